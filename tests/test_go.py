"""A packed campaign: what is packed, what `go.py` makes of its time and its folders, and what comes back."""

import io
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import torch

from bench import budget
from bench.cli.steps import read_campaign
from bench.engine import store as stores
from bench.engine.store import Store
from bench.errors import DataError, UsageError
from bench.learning.checkpoints import save
from tests.benchmarks import go, pack_campaign
from tests.conftest import ROOT

SMALL = "synthetic[identities=24]"


def archive(path: Path, **files: str) -> None:
    """A tar file with files of that text; ``__`` in a name is a slash."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            about = tarfile.TarInfo(name.replace("__", "/"))
            about.size = len(text)
            tar.addfile(about, io.BytesIO(text.encode()))


def packed_names(out: Path, name: str) -> list[str]:
    whole = io.BytesIO(b"".join(part.read_bytes() for part in sorted(out.glob(f"{name}.*"))))
    with tarfile.open(fileobj=whole) as tar:
        return tar.getnames()


def checkpoint(path: Path, step: int, size: int) -> None:
    net = torch.nn.Linear(size // 4, 1)
    about = {"seed": 0, "steps": 300, "identity": "step"}
    save(path, about, net, torch.optim.SGD(net.parameters(), momentum=0.9), step, {"step": [0, 1]}, [])


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A packed folder whose code is one file."""
    folder = tmp_path / "packed"
    folder.mkdir()
    archive(folder / "code.tar.gz", repo__code="old")
    monkeypatch.setattr(go, "HERE", folder)
    return folder


@pytest.fixture
def call(here, tmp_path, monkeypatch):
    """Call `go`, the campaign being a file that its number is written to; returns the exit code."""

    def one(number: int, out: str, *more: object, scratch: str = "scratch") -> int:
        def campaign(name, scratch, passed_on, seconds) -> int:
            (scratch / "work" / f"{number}.txt").write_text("")
            return 0

        monkeypatch.setattr(go, "campaign", campaign)
        words = ["go", "--budget", "60s", "--output", tmp_path / out, "--scratch", tmp_path / scratch, *more]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        return go.main()

    return one


class TestUnpack:
    def test_newer_code_takes_the_place_of_older(self, here, tmp_path) -> None:
        scratch = tmp_path / "scratch"
        go.unpack(scratch, None)
        (scratch / "work" / "mine.txt").write_text("")
        archive(here / "code.tar.gz", repo__other="new")
        go.unpack(scratch, None)
        assert {str(p.relative_to(scratch)) for p in scratch.rglob("*") if p.is_file()} == {
            "unpacked", "repo/other", "work/mine.txt"}  # fmt: skip

    def test_earlier_work_goes_into_a_new_folder_only(self, call, tmp_path) -> None:
        assert call(1, "first") == 0
        assert call(2, "second", "--earlier", tmp_path / "first", scratch="new") == 0
        assert {"1.txt", "2.txt"} <= {*packed_names(tmp_path / "second", "results.tar.xz")}
        mine = tmp_path / "new" / "work" / "1.txt"
        mine.write_text("newer")
        assert call(3, "second", "--earlier", tmp_path / "first", scratch="new") == 0
        assert mine.read_text() == "newer"

    @pytest.mark.parametrize("broken", ["code", "earlier", "nothing"])
    def test_what_cannot_be_unpacked_leaves_the_output_alone(self, call, here, tmp_path, capsys, broken) -> None:
        assert call(1, "out") == 0
        before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        part = tmp_path / "out" / "results.tar.xz.00"
        if broken == "code":
            (here / "code.tar.gz").write_bytes(b"no archive")
        elif broken == "earlier":
            part.write_bytes(before[part][:50])
            before[part] = part.read_bytes()
        earlier = tmp_path if broken == "nothing" else tmp_path / "out"
        capsys.readouterr()
        assert call(2, "out", "--earlier", earlier, scratch="new") == 1
        assert capsys.readouterr().err.count("\n") == 1
        assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


class TestOutput:
    def test_results_of_another_call_stay(self, call, tmp_path, capsys) -> None:
        assert [call(1, "out"), call(2, "out")] == [0, 0], "of one scratch folder"
        assert call(3, "out", scratch="new") == 1
        assert "choose another folder" in capsys.readouterr().err
        assert call(4, "out", "--earlier", tmp_path / "out", scratch="newest") == 0
        names = packed_names(tmp_path / "out", "results.tar.xz")
        assert names == ["1.txt", "2.txt", "4.txt"]
        assert call(5, "out") == 1, "others have gone on from its results"
        assert [call(6, "other"), call(7, "other"), call(8, "out", scratch="newest")] == [0, 0, 0]

    def test_what_cannot_be_written_to_is_said_before_the_campaign(self, call, tmp_path, capsys) -> None:
        (tmp_path / "file").write_text("")
        assert call(1, "file/out") == 1
        assert capsys.readouterr().err.count("\n") == 1
        assert not (tmp_path / "scratch" / "work" / "1.txt").exists()

    def test_a_full_disk_costs_no_result(self, call, tmp_path, monkeypatch, capsys) -> None:
        def full(*_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(go.Parts, "write", full)
            assert call(1, "out") == 1
        output = capsys.readouterr().err
        assert (output.count("\n"), str(tmp_path / "scratch" / "work") in output) == (1, True)
        assert call(2, "out") == 0
        assert packed_names(tmp_path / "out", "results.tar.xz") == ["1.txt", "2.txt"]

    def test_the_old_stays_until_the_new_is_whole(self, tmp_path, monkeypatch) -> None:
        work, out = tmp_path / "work", tmp_path / "out"
        work.mkdir()
        (work / "a.pt").write_bytes(os.urandom(3000))
        monkeypatch.setattr(go, "PART", 1000)
        go.pack(work, out)
        before = {path: path.read_bytes() for path in out.iterdir()}

        def full(path):
            raise OSError("full")

        with monkeypatch.context() as patch:
            patch.setattr(go, "worth", full)
            with pytest.raises(OSError, match="full"):
                go.pack(work, out)
        assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
        (work / "a.pt").unlink()
        go.pack(work, out)
        assert [path.name for path in out.iterdir() if path.name.startswith("kept")] == []

    def test_logs_are_among_the_results(self, tmp_path) -> None:
        (tmp_path / "work" / "weights").mkdir(parents=True)
        (tmp_path / "work" / "weights" / "dgd.jsonl").write_text("{}")
        go.pack(tmp_path / "work", tmp_path / "out")
        assert packed_names(tmp_path / "out", "results.tar.xz") == ["weights/dgd.jsonl"]

    def test_most_work_a_byte_comes_first(self, tmp_path, capsys) -> None:
        work, out = tmp_path / "work", tmp_path / "out"
        work.mkdir()
        checkpoint(work / "late.pt", 200, 50_000)
        checkpoint(work / "large.pt", 250, 500_000)
        checkpoint(work / "early.pt", 3, 50_000)
        (work / "broken.pt").write_bytes(b"no checkpoint")
        (work / "net.safetensors").write_bytes(bytes(70_000))
        go.pack(work, out)
        assert packed_names(out, "kept.tar") == ["net.safetensors", "late.pt", "large.pt", "early.pt", "broken.pt"]
        capsys.readouterr()
        go.pack(work, out, most=200_000)
        assert packed_names(out, "kept.tar") == ["net.safetensors", "late.pt", "early.pt", "broken.pt"]
        assert "large.pt" in capsys.readouterr().out
        assert sum(path.stat().st_size for path in out.iterdir()) < 200_000 + 100

    def test_updates_of_a_checkpoint_are_read_without_torch(self, tmp_path) -> None:
        for step in (0, 7, 300, 70_000):
            checkpoint(tmp_path / "a.pt", step, 10)
            assert go.updates(tmp_path / "a.pt") == torch.load(tmp_path / "a.pt")["step"] == step


class TestTime:
    def test_nothing_outlives_its_time(self, tmp_path, monkeypatch) -> None:
        """A command that ignores being told to end, and a child of it that left the group and holds the pipe."""
        monkeypatch.setattr(go, "PATIENCE", 1.0)
        code = (
            "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "a = subprocess.Popen(['sleep', '60']); b = subprocess.Popen(['sleep', '8'], start_new_session=True);"
            "print(a.pid, flush=True); time.sleep(60)"
        )
        start = time.monotonic()
        assert go.watched([sys.executable, "-c", code], tmp_path, dict(os.environ), 1) == budget.EXIT_CODE
        assert time.monotonic() - start < 6
        child = int((tmp_path / "log.txt").read_text().split()[-1])
        state = Path(f"/proc/{child}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z"

    def test_the_campaign_gets_what_is_left(self, here, tmp_path, monkeypatch) -> None:
        given = []
        monkeypatch.setattr(go, "campaign", lambda *arguments: given.append(arguments[3]) or 0)
        monkeypatch.setattr(go, "BEGAN", time.monotonic())
        monkeypatch.setattr(
            sys, "argv", ["go", "--budget", "2m", "--output", str(tmp_path / "o"), "--scratch", str(tmp_path / "s")]
        )
        assert go.main() == 0
        assert 60 < given[0] <= 120 - go.PACKING - go.PATIENCE


class TestPack:
    def test_images_stay_out_of_git(self, tmp_path, capsys) -> None:
        assert pack_campaign.main([str(ROOT / "packed"), "--campaign", "rehearsal"]) == 2
        assert "git work tree" in capsys.readouterr().err
        assert not (ROOT / "packed").exists()
        pack_campaign.refuse_in_git(ROOT / "build" / "packed")
        pack_campaign.refuse_in_git(tmp_path / "packed")

    def test_sets_of_a_campaign_are_found_on_disk(self, tmp_path, campaign) -> None:
        folder = tmp_path / "data" / "mine"
        folder.mkdir(parents=True)
        (folder / "people.csv").write_text("")
        with pytest.raises(UsageError):
            pack_campaign.images_of(read_campaign(campaign("run -m sing -d nowhere")), None, tmp_path)
        for chosen in (f"-d {SMALL}", "-d 'mlr_*'", ""):
            assert pack_campaign.images_of(read_campaign(campaign(f"run -m sing {chosen}")), None, tmp_path) == {}
        with pytest.raises(DataError):
            pack_campaign.images_of(read_campaign(campaign("run -m sing -d mlr_viper")), None, tmp_path)

    @pytest.mark.parametrize("options", [f"-d {SMALL} --profile quick", "-d '*viper'", "-d caviar -d synthetic"])
    def test_weights_of_ones_own_come_along(self, tmp_path, campaign, options) -> None:
        """In place of those in the clone, and what nothing starts from stays behind."""
        for name in ("dgd_market1501_v2.safetensors", "mine/x3.mat", "other.safetensors"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("")
        steps = read_campaign(campaign(f"run -m sing {options}"))
        found = pack_campaign.weights_of(steps, tmp_path)
        assert {str(place) for place in found.values()} == {"dgd_market1501_v2.safetensors", "mine/x3.mat"}
        assert pack_campaign.weights_of(read_campaign(campaign(f"run -m sing -d {SMALL}")), tmp_path) == {}

    def test_what_came_back_is_adopted(self, bench, tmp_path, monkeypatch) -> None:
        work, back = tmp_path / "work", tmp_path / "back"
        command = ("run", "-m", "bicubic+l2", "-d", SMALL, "--splits", "0-1", "--jobs", 1)
        work.mkdir()
        assert bench(*command, "--results", work / "store").code == 0
        (work / "net.pt").write_bytes(os.urandom(5000))
        monkeypatch.setattr(go, "PART", 512)
        go.pack(work, tmp_path / "out")
        parts = sorted((tmp_path / "out").glob("*.tar*"))
        assert {p.name for p in parts} >= {"results.tar.xz.00", "results.tar.xz.01", "kept.tar.00", "kept.tar.09"}
        assert all(part.stat().st_size <= 512 for part in parts)
        whole = tmp_path / "whole"
        whole.write_bytes(b"".join(p.read_bytes() for p in parts if p.name.startswith("results")))
        with tarfile.open(whole) as tar:
            tar.extractall(back, filter="data")
        measured = tmp_path / "measured"
        measured.mkdir()
        monkeypatch.setattr(stores, "MEASURED", measured)
        output = bench("adopt", "--results", back / "store", "-d", SMALL)
        assert (output.code, output.out.split()[0]) == (0, "2")
        assert [r.cell.split for r in Store(measured).read_all()[0]] == [0, 1]

    @pytest.mark.slow
    def test_the_rehearsal_ends_on_a_bare_machine(self, tmp_path) -> None:
        packed, scratch, out = tmp_path / "packed", tmp_path / "scratch", tmp_path / "out"
        have = [word for text in (*pack_campaign.dependencies(), *pack_campaign.FOR_TESTS) for word in ("--have", text)]
        assert pack_campaign.main([str(packed), "--campaign", "rehearsal", *have]) == 0
        call = [sys.executable, packed / "go.py", "--campaign", "rehearsal", "--budget", "70s", "--output", out,
                "--scratch", scratch, "--jobs", "2"]  # fmt: skip
        for _ in range(20):
            start = time.monotonic()
            process = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, env={"HOME": str(tmp_path)})
            assert time.monotonic() - start < 90
            if process.returncode != budget.EXIT_CODE:
                break
        assert (process.returncode, process.stderr) == (0, "")
        assert len(Store(scratch / "work" / "store").read_all()[0]) == 15
        assert list(out.glob("kept.tar.*")), "the pre-trained weights"
