"""Every example of README and the guides runs: shortened, and on drawn people, where it would compute for long."""

import glob
import re
import shutil
from pathlib import Path

import pytest

from bench.cli import build_parser
from methods._dgd import DGD_FILE
from tests.conftest import ROOT
from tests.pages import PAGES, blocks, classes, command, lines, needed, photographs, shortened

OTHERS = ("python3 -m venv", "python -m pip install", "python3 FOLDER", "python -m tests.")
"""Beginnings of lines that call something else: set-up, which .ci/run follows, and what test_go.py starts."""


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_those_that_there_are(page: str) -> None:
    for language, text in blocks(page):
        for line in lines(text) if language == "sh" else ():
            variables, words = command(line)
            if words:
                build_parser().parse_args(words)
            else:
                assert variables or line.startswith(OTHERS), line


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with what the examples name: pictures and their lists, weights, the pages' plug-ins, a store."""
    photographs(tmp_path / "photos")
    photographs(tmp_path / "photographs", size=(96, 128))
    (tmp_path / "names.txt").write_text("bicubic+l2=L2\n")
    (tmp_path / "weights").mkdir()
    shutil.copy(ROOT / "methods" / "weights" / DGD_FILE, tmp_path / "weights")
    for camera, folder in (("a", "far"), ("b", "near")):
        for k in range(12):
            path = tmp_path / "data" / "Corridor" / folder / f"{k:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tmp_path / "photos" / f"cam_{camera}" / f"p{k}_0.jpg", path)
    (tmp_path / "plugins").mkdir()
    for page in PAGES:
        for name, text in classes(page):
            (tmp_path / "plugins" / f"{name}.py").write_text(text)
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    for name, folder in (("PLUGINS", "plugins"), ("DATA", "data"), ("RESULTS", "results/local")):
        monkeypatch.setenv(f"BENCH_{name}", str(tmp_path / folder))
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    monkeypatch.setenv("SLURM_SUBMIT_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread", "contract_holds")
@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page: str, place: Path, bench, monkeypatch) -> None:
    bench("run", "-m", "bicubic+l2", "-d", "synthetic[identities=24]", "--splits", "0", "--jobs", "1")
    for language, text in blocks(page):
        if language == "python":
            if "matplotlib" in text:
                pytest.importorskip("matplotlib")
            exec(compile(text, page, "exec"), {"__name__": "example"})
            continue
        for line in lines(text):
            variables, words = command(line)
            if "BENCH_RESULTS" in variables:
                monkeypatch.setenv("BENCH_RESULTS", variables["BENCH_RESULTS"].replace("$SLURM_SUBMIT_DIR", str(place)))
            words = [word.replace("$SLURM_ARRAY_TASK_ID", "0") for word in words]
            if words:
                if before := needed(words):
                    assert bench(*before).code == 0, before
                given = [name for word in shortened(words) for name in glob.glob(word) or [word]]
                done = bench(*given)
                expected = re.search(r"exit code (\d)", line)
                assert done.code == (int(expected[1]) if expected else 0), (line, given, done.err)
