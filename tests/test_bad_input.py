"""Bad input of every kind: one clear line, the right exit code, no traceback, nothing lost."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.plugin.registry import Plugin, Registry, registry

SMALL = "synthetic[identities=24]"


def write_viper(root: Path, people: int = 632) -> Path:
    """A folder in VIPeR's layout with one shared tiny image, hard-linked under every name."""
    image = root / "one.bmp"
    root.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((128, 48, 3), np.uint8)).save(image)
    for camera, angle in (("a", 0), ("b", 90)):
        folder = root / "VIPeR" / f"cam_{camera}"
        folder.mkdir(parents=True)
        for person in range(people):
            (folder / f"{person:03d}_{angle}.bmp").hardlink_to(image)
    return root


def write_caviar(root: Path) -> Path:
    """A folder in CAVIAR4REID's layout: 50 people of 20 images, 10 small and 10 large, and 22 people of 10."""
    folder = root / "CAVIAR4REID"
    folder.mkdir(parents=True)
    for name, size in (("small.jpg", (20, 50)), ("large.jpg", (40, 100))):
        Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(root / name)
    for person in range(1, 73):
        for index in range(1, 21 if person <= 50 else 11):
            source = "large.jpg" if index <= 10 else "small.jpg"
            (folder / f"{person:04d}{index:03d}.jpg").hardlink_to(root / source)
    return root


def replace_file(path: Path, content: bytes) -> None:
    """Change one file without touching those linked to the same content."""
    path.unlink()
    path.write_bytes(content)


def one_line(output, code: int, *words: str) -> None:
    """The command ended with `code` and said so in one line on standard error that holds the words."""
    assert output.code == code, output.err
    lines = output.err.strip().splitlines()
    assert len(lines) == 1, output.err
    assert lines[0].startswith("bench: ")
    assert "Traceback" not in output.err + output.out
    for word in words:
        assert word in lines[0]


@pytest.fixture
def run(bench, tmp_path) -> Callable:
    """`run` with a store of its own, in one process."""
    return lambda *arguments: bench("run", "--jobs", 1, "--results", tmp_path / "results", *arguments)


class TestData:
    def test_no_data_root(self, run) -> None:
        one_line(run("-d", "viper"), 3, "the folder that holds VIPeR with --data or BENCH_DATA")

    def test_no_data_root_for_a_copy_that_may_lie_in_several_folders(self, run) -> None:
        one_line(run("-d", "cuhk03"), 3, "the folder that holds them with --data or BENCH_DATA", "cuhk03/cuhk-03.mat")

    def test_missing_folder(self, run, tmp_path) -> None:
        one_line(run("-d", "viper", "--data", tmp_path), 3, str(tmp_path / "VIPeR"), "get VIPeR")

    def test_skipped_under_all(self, run, tmp_path) -> None:
        output = run("--all", "--data", tmp_path, "-m", "bicubic+nfst", "--splits", "0", "--dry-run")
        assert output.code == 0
        (line,) = [line for line in output.out.splitlines() if "caviar" in line]
        assert line.startswith("skipped: ")
        assert "data sets that are not there: caviar, mlr_" in line

    def test_wrong_count_of_images(self, run, tmp_path) -> None:
        root = write_viper(tmp_path)
        (root / "VIPeR" / "cam_a" / "007_0.bmp").unlink()
        one_line(run("-d", "viper", "--data", root), 3, "1,263 images found, 1,264 expected")

    def test_person_with_one_camera(self, run, tmp_path) -> None:
        root = write_viper(tmp_path)
        shutil.move(root / "VIPeR" / "cam_a" / "007_0.bmp", root / "VIPeR" / "cam_b" / "007_0.bmp")
        one_line(run("-d", "viper", "--data", root), 3, "no image on the probe side: 7;")

    def test_truncated_image(self, run, tmp_path) -> None:
        root = write_viper(tmp_path)
        path = root / "VIPeR" / "cam_b" / "100_90.bmp"
        replace_file(path, path.read_bytes()[:5000])
        one_line(run("-d", "mlr_viper", "--data", root), 3, str(path), "not a readable image")

    @pytest.mark.parametrize("content", [b"", b"not an image at all"], ids=["empty", "text"])
    def test_non_image_file(self, run, tmp_path, content) -> None:
        root = write_caviar(tmp_path)
        path = root / "CAVIAR4REID" / "0001001.jpg"
        replace_file(path, content)
        one_line(run("-d", "caviar", "--data", root), 3, str(path))

    def test_unexpected_file_name(self, run, tmp_path) -> None:
        root = write_viper(tmp_path)
        (root / "VIPeR" / "cam_a" / "copy of 7.bmp").hardlink_to(root / "one.bmp")
        one_line(run("-d", "viper", "--data", root), 3, "viper", "copy of 7")

    def test_caviar_with_a_person_too_few(self, run, tmp_path) -> None:
        root = write_caviar(tmp_path)
        (root / "CAVIAR4REID" / "0030020.jpg").unlink()
        one_line(run("-d", "caviar", "--data", root), 3, "980 images found, 1,000 expected")


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-m", "bicubic+xqd"], ["no method 'bicubic+xqd'", "did you mean 'bicubic+xqda'?"]),
            (["-m", "cubic+xqda"], ["did you mean 'bicubic+xqda'?"]),
            (["-m", "*+nothing"], ["nothing is called '*+nothing'"]),
            (["-d", "mlr_vipr"], ["no data set 'mlr_vipr'", "did you mean 'mlr_viper'?"]),
            (["-m", "bicubic+xqda[solvr=eigh]"], ["no parameter of bicubic+xqda 'solvr'", "did you mean 'solver'?"]),
            (["-m", "bicubic+xqda[solver=qr]"], ["'solver' parameter of xqda must be 'svd' or 'eigh'; got 'qr'"]),
            (["-m", "bicubic+xqda[ridge=-1]"], ["'ridge' parameter of xqda must be greater than 0; got '-1'"]),
            (["-m", "bicubic+xqda[ridge]"], ["ridge", "valid number"]),
            (["-m", "bicubic+xqda[solver=eigh"], ["not of the form name or name[key=value,...]"]),
            (["-m", "bicubic+xqda[anchors=1/5]"], ["anchors=1/5", "1/2, 1/3, 1/4"]),
            (["-m", "xqda", "-d", SMALL], ["'xqda' needs a front-end there", "bicubic+xqda"]),
            (["-m", "bicubic+xqda", "-d", "viper"], ["full resolution", "run 'xqda' on it"]),
            (["-d", "synthetic[identities=2]"], ["identities", "greater than or equal to 8"]),
            (["-d", f"{SMALL[:-1]},gallery_draws=0]"], ["gallery_draws"]),
            (["-d", SMALL, "--splits", "3-1"], ["--splits 3-1"]),
            (["-d", SMALL, "--enhancers", "x"], ["--enhancers x"]),
            (["-d", SMALL, "--splits", "0-9999999"], ["--splits 0-9999999: splits are numbered from 0 to 999"]),
            (["-d", SMALL, "--splits", "1" * 300], ["--splits 111", "expected numbers and ranges"]),
            (["-d", SMALL, "--seed", "9" * 300], ["--seed", "a number below 2**63"]),
            (["-d", SMALL, "--seed", str(2**63)], ["--seed", "a number below 2**63"]),
            (["-d", SMALL, "--jobs", "9" * 300], ["--jobs", "a number below 4,097"]),
            (["-d", SMALL, "--results", "/nowhere/results"], ["there is no folder /nowhere to make it in"]),
            (["-d", SMALL, "--plugins", "/nowhere"], ["no folder /nowhere: --plugins"]),
            (["-d", SMALL, "--seed", "-1"], ["--seed"]),
            (["-d", SMALL, "--jobs", "0"], ["at least 1"]),
            (["-d", SMALL, "--profile", "fast"], ["invalid choice: 'fast'"]),
            ([], ["say what to run"]),
        ],
    )
    def test_run(self, run, arguments, words) -> None:
        one_line(run(*arguments), 2, *words)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["table", "5"], ["no table '5'", "1, 2, 3, 4"]),
            (["table", "2", "-d", "nowhere"], ["no data set 'nowhere'"]),
            (["check", "xqdaa"], ["did you mean 'xqda'?"]),
            (["compare", "a", "b", "-d", "nowhere"], ["no data set 'nowhere'"]),
            (["table"], ["say which table"]),
            (["lost"], ["invalid choice: 'lost'"]),
        ],
    )
    def test_other_commands(self, bench, tmp_path, arguments, words) -> None:
        extra = [] if arguments[0] == "lost" else ["--results", tmp_path]
        one_line(bench(*arguments, *extra), 2, *words)

    @pytest.mark.parametrize("arguments", [["status"], ["table", "2"], ["compare", "a", "b", "-d", SMALL]])
    def test_a_mistyped_store(self, bench, tmp_path, arguments) -> None:
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "file").write_text("")
        for folder in (tmp_path / "none", tmp_path / "other"):
            one_line(bench(*arguments, "--results", folder), 2, f"no cell here: {folder}")

    def test_missing_split_file(self, run) -> None:
        one_line(run("-d", f"{SMALL[:-1]},split_file=/nowhere/splits.csv]"), 3, "/nowhere/splits.csv")

    def test_files_that_never_end(self, run, tmp_path) -> None:
        os.mkfifo(tmp_path / "pipe.csv")
        for path in (tmp_path / "pipe.csv", "/dev/zero"):
            one_line(run("-d", f"lr_manifest[file={path}]"), 3, str(path), "not a regular file")
            one_line(run("-d", f"{SMALL[:-1]},split_file={path}]"), 3, str(path), "not a regular file")

    def test_split_that_the_file_does_not_have(self, run, tmp_path) -> None:
        people = [f"0,{i:04d},{'train' if i % 2 else 'test'}" for i in range(24)]
        (tmp_path / "splits.csv").write_text("\n".join(["split,identity,part", *people]))
        one_line(run("-d", f"{SMALL[:-1]},split_file={tmp_path / 'splits.csv'}]"), 3, "has no split 1; it has 0")

    def test_cuda_without_a_gpu(self, run, monkeypatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "torch", None)
        one_line(run("-d", SMALL, "--device", "cuda"), 2, "--device cuda", "no GPU")


BAD_METHODS = '''
import os
import signal
import numpy as np
from bench.plugin.base import Method

class Bad(Method):
    """Returns whatever its parameter says, for tests of what the harness makes of it."""
    name = "bad"
    def __init__(self, how: str = "nan"):
        self.how = how
    def fit(self, train):
        if self.how == "raise":
            raise ZeroDivisionError("the method's own mistake")
        return self
    def distances(self, probe, gallery):
        d = np.ones((len(probe), len(gallery)))
        if self.how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return {"nan": d * np.nan, "inf": d * np.inf, "shape": d[:, 1:], "text": d.astype(str), "good": d}[self.how]
'''


@pytest.fixture
def bad_method(tmp_path, monkeypatch) -> None:
    """Register the method `bad` from a file outside the tree."""
    (tmp_path / "bad_method.py").write_text(BAD_METHODS)
    monkeypatch.syspath_prepend(tmp_path)
    plugin = Plugin("bad", "method", "bad_method", "Bad", "", "", {})
    extended = Registry((*registry().plugins, plugin), ())
    for module in (
        "bench.plugin.spec",
        "bench.engine.plan",
        "bench.engine.identity",
        "bench.engine.embedded",
    ):
        monkeypatch.setattr(f"{module}.registry", lambda: extended)


@pytest.mark.usefixtures("bad_method")
class TestMethods:
    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ("nan", "bad.distances returned 144 values that are NaN or infinite"),
            ("inf", "bad.distances returned 144 values that are NaN or infinite"),
            ("shape", "bad.distances returned shape (12, 11); (12, 12) (probes, gallery) expected"),
            ("text", "bad.distances returned <U32; real numbers"),
            ("raise", "ZeroDivisionError: the method's own mistake"),
        ],
    )
    def test_failure_is_recorded_and_stops_no_other(self, run, bench, tmp_path, how, words) -> None:
        output = run("-m", f"bicubic+bad[how={how}]", "-m", "bicubic+nfst", "-d", SMALL, "--splits", "0")
        one_line(output, 1, "split 0 failed: ", words)
        assert "bicubic+nfst | " in output.out, "the other cell's table is printed"
        status = bench("status", "--results", tmp_path / "results")
        assert words in status.out
        finished = [p.parent.name for p in (tmp_path / "results").rglob("split*.json") if "failed" not in p.name]
        assert finished == ["bicubic+nfst"]

    def test_a_worker_that_dies_costs_no_finished_cell(self, run, bench, tmp_path) -> None:
        output = run("-m", "bicubic+bad[how=die]", "-m", "bicubic+nfst", "-d", SMALL, "--splits", "0-1", "--jobs", 2)
        one_line(output, 1, "a worker process was killed", "fewer --jobs")
        assert run("-m", "bicubic+nfst", "-d", SMALL, "--splits", "0-1").code == 0

    def test_a_failed_cell_runs_again_and_leaves_no_failure_behind(self, run, tmp_path, monkeypatch) -> None:
        run("-m", "bicubic+bad", "-d", SMALL, "--splits", "0")
        import bad_method

        monkeypatch.setattr(bad_method.Bad, "distances", lambda self, p, g: np.ones((len(p), len(g))))
        output = run("-m", "bicubic+bad", "-d", SMALL, "--splits", "0")
        assert output.code == 0
        assert "rank-1 8.3 %" in output.out, "a constant distance scores 1 / 12 at rank 1"
        assert not list((tmp_path / "results").rglob("*.failed.json"))

    def test_contract_reports_each_clause(self, bench) -> None:
        output = bench("check", "bicubic+bad")
        assert output.code == 1
        assert "FAIL distances are a finite (probes, gallery) matrix: bad.distances returned 144 values" in output.out


class TestStore:
    def test_unreadable_result_is_named_and_left_alone(self, run, bench, tmp_path) -> None:
        assert run("-m", "bicubic+nfst", "-d", SMALL, "--splits", "0-1").code == 0
        path = next((tmp_path / "results").rglob("split0*.json"))
        path.write_text(path.read_text()[:100])
        for arguments in (["table", "2", "-d", SMALL], ["status"]):
            one_line(bench(*arguments, "--results", tmp_path / "results"), 1, str(path), "not a readable result")
        one_line(
            run("-m", "bicubic+nfst", "-d", SMALL, "--splits", "0-1"), 1, str(path), "remove it or run the cell again"
        )
        assert len(path.read_text()) == 100
        output = run("-m", "bicubic+nfst", "-d", SMALL, "--splits", "0-1", "--force")
        assert (output.code, output.err) == (0, "")
        assert bench("status", "--results", tmp_path / "results").code == 0

    def test_full_disk(self, run, bench, tmp_path, monkeypatch) -> None:
        assert run("-m", "bicubic+nfst", "-d", SMALL, "--splits", "0").code == 0

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        one_line(run("-m", "bicubic+nfst", "-d", SMALL, "--splits", "0-3"), 1, "No space left on device", "kept")
        monkeypatch.undo()
        assert "splits 0" in bench("status", "--results", tmp_path / "results").out
        assert not list(tmp_path.rglob("*.partial"))

    def test_results_folder_that_cannot_be_made(self, bench, tmp_path) -> None:
        (tmp_path / "file").write_text("")
        output = bench("run", "-m", "bicubic+nfst", "-d", SMALL, "--splits", "0", "--results", tmp_path / "file" / "x")
        one_line(output, 1, "cannot write to", "Not a directory")
