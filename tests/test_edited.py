"""A method that its author edits is run again, though its version is as it was."""

from pathlib import Path

import pytest

from tests.conftest import bench_process

SMALL = "synthetic[identities=24]"
METHOD = """
from scipy.spatial.distance import cdist

from bench import Method


class Pixels(Method):
    '''Raw pixels.'''

    name = "pixels"

    def distances(self, probe, gallery):
        a, b = (images.array().reshape(len(images), -1) / 255 for images in (probe, gallery))
        return cdist(a, b, "cityblock")
"""


@pytest.fixture
def run(tmp_path: Path):
    """Run the method, written as it is then, in a process of its own; what it printed."""
    plugin = tmp_path / "plugins" / "pixels.py"
    plugin.parent.mkdir()

    def call(text: str, *arguments: str) -> str:
        plugin.write_text(text)
        where = ("--plugins", plugin.parent, "--results", tmp_path / "results")
        process = bench_process("run", *where, *arguments, "-d", SMALL, "--splits", "0", "--jobs", 1, "--device", "cpu")
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return out

    return call


def test_it_is_run_again_by_name_and_kept_otherwise(run) -> None:
    named, globbed = ("-m", "bicubic+pixels"), ("-m", "*bic+pixels")
    assert "1 to run" in run(METHOD, *named)
    assert "1 finished before, 0 to run" in run(METHOD, *named)
    reworded = METHOD.replace("Raw pixels.", "The pixels as they are.").replace("class", "# a comment\nclass")
    assert "1 finished before, 0 to run" in run(reworded, *named)

    edited = METHOD.replace("cityblock", "euclidean")
    kept = run(edited, *globbed)
    assert kept.splitlines()[0].startswith("1 cell is stale and kept (the code of bicubic+pixels has been edited since")
    assert "0 to run" in kept
    assert "0 to run" in run(edited, *named, "--keep")
    again = run(edited, *named)
    assert again.splitlines()[0].startswith("1 stale cell of bicubic+pixels to run again: the code of")
    assert "[1/1] bicubic+pixels" in again
    assert "1 finished before, 0 to run" in run(edited, *named)
