"""Names of files made of texts."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from bench.files import safe_name
from tests.conftest import ROOT


def test_usual_specs_keep_their_names() -> None:
    assert safe_name("sing[alpha=0,anchors=1/2+1/4]") == "sing[alpha=0,anchors=1-2+1-4]"
    assert safe_name("x" * 255) == "x" * 255


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400))
def test_any_text_fits(text) -> None:
    name = safe_name(text)
    assert "/" not in name
    assert len(name.encode()) <= 255


def test_long_texts_stay_apart() -> None:
    a, b = safe_name("é" * 300 + "a"), safe_name("é" * 300 + "b")
    assert a != b
    assert a.startswith("é" * 100)


def test_a_full_disk_is_told_by_its_first_error(tmp_path) -> None:
    """A file that may not grow fails as on a full disk: when its buffer is written, and again when it is closed."""
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from bench.engine.cache import Cache
from bench.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    Cache(Path(sys.argv[1])).rows("key", lambda: (np.zeros(1500, np.uint8) for _ in range(9)))
except StorageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write to the cache {tmp_path}: File too large")
    assert not list(tmp_path.rglob("*.partial"))
