"""Names of files made of texts, and files that users name."""

import os
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.files import safe_name, writing
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


class TestWriting:
    def test_a_pipe_is_written_to_and_stays_one(self, tmp_path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
        found: list[bytes] = []
        reader.start()
        with writing(pipe) as file:
            file.write(b"rows")
        reader.join(10)
        assert found == [b"rows"]
        assert stat.S_ISFIFO(pipe.stat().st_mode)

    def test_a_failure_leaves_the_file_as_it_was(self, tmp_path) -> None:
        path = tmp_path / "cells.csv"
        path.write_bytes(b"before")

        def fail() -> None:
            with writing(path) as file:
                file.write(b"half")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("cells.csv", b"before")]

    def test_a_folder_is_no_file(self, tmp_path) -> None:
        with pytest.raises(UsageError, match="name a file in it"), writing(tmp_path):
            pass
