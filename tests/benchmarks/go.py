"""Run a packed campaign where there is no network: unpack to a fast folder, run, pack what came of it.

    python3 go.py --budget 14m --output OUT [--campaign gpu] [--scratch /dev/shm/bench] [any option of `bench run`]

`pack_campaign` puts this file beside what it needs; Python's own library is enough for it.  What a call leaves in the
scratch folder the next one goes on from, and ``--earlier OUT`` goes on from the output of one on another machine.  OUT
then holds results.tar.xz* (finished cells, logs) and kept.tar* (weights, checkpoints), in parts of at most 16 MiB:

    cat OUT/results.tar.xz* | tar xJ -C FOLDER && python -m bench adopt --results FOLDER/store -d '*'
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

BEGAN = time.monotonic()
HERE = Path(__file__).resolve().parent
PART, MOST = 16 * 2**20, 60 * 2**20
"""Bytes of a part and of all: what comes back from a lent machine is often limited."""
PACKING = 10.0  # seconds
PATIENCE = 10.0  # seconds past its budget after which the campaign is ended; half as long again, and it is killed
UNITS = {"h": 3600, "m": 60, "s": 1}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", required=True, metavar="TIME", help="for all of it: 14m, 90s, 1h30m")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--campaign", default="gpu")
    parser.add_argument("--scratch", type=Path, default=default_scratch(), metavar="DIR")
    parser.add_argument("--earlier", type=Path, metavar="DIR", help="the output of an earlier call, to go on from")
    options, passed_on = parser.parse_known_args()
    parts = re.findall(r"(\d+)([hms])", options.budget)
    if not parts or "".join(a + b for a, b in parts) != options.budget:
        parser.error(f"--budget {options.budget}: a time such as 14m, 90s or 1h30m is expected")
    end = BEGAN + sum(int(number) * UNITS[unit] for number, unit in parts)
    work = options.scratch / "work"
    try:
        unpack(options.scratch, options.earlier)
        say("unpacked")
        code = campaign(options.campaign, options.scratch, passed_on, end - time.monotonic() - PACKING)
        say(f"campaign: exit code {code}")
    finally:
        pack(work, options.output)
    say("packed")
    return code


def default_scratch() -> Path:
    """A folder in memory where the system has one."""
    memory = Path("/dev/shm")
    return (memory if os.access(memory, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))) / "bench"


def say(text: str) -> None:
    print(f"go: {time.monotonic() - BEGAN:.0f} s: {text}", flush=True)


def unpack(scratch: Path, earlier: Path | None) -> None:
    """Code, wheels, images and weights into the scratch folder, where they are not there yet."""
    if not (scratch / "unpacked").exists():
        (scratch / "work").mkdir(parents=True, exist_ok=True)
        for archive in sorted(HERE.glob("*.tar.*")):
            extract(archive, scratch)
        for wheel in sorted((HERE / "wheels").glob("*.whl")):  # a wheel is a zip file of what goes on the path
            with zipfile.ZipFile(wheel) as file:
                file.extractall(scratch / "site")
        (scratch / "unpacked").touch()
    for name in ("results.tar.xz", "kept.tar") if earlier else ():
        if parts := sorted(Path(str(earlier)).glob(f"{name}*")):
            whole = scratch / name
            whole.write_bytes(b"".join(part.read_bytes() for part in parts))
            extract(whole, scratch / "work")
            whole.unlink()


def extract(archive: Path, folder: Path) -> None:
    """Unpack an archive, by the system's tar where there is one: it is several times as fast."""
    command = ["tar", "xf", str(archive), "--no-same-owner", "-C", str(folder)]
    if not shutil.which("tar") or subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")


def campaign(name: str, scratch: Path, passed_on: list[str], seconds: float) -> int:
    """Run it within so many seconds, its output shown and kept; its exit code."""
    work = scratch / "work"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BENCH_")}
    environment |= {"PYTHONPATH": f"{scratch / 'site'}{os.pathsep}{scratch / 'repo'}", "PYTHONUNBUFFERED": "1"}
    environment |= {"BENCH_CACHE": str(scratch / "cache")}
    for variable, folder in (("BENCH_DATA", "data"), ("BENCH_WEIGHTS", "weights")):
        if (scratch / folder).is_dir():
            environment[variable] = str(scratch / folder)
    command = ["run", "--campaign", name, "--budget", f"{max(1, int(seconds))}s", "--results", str(work / "store")]
    with (work / "log.txt").open("a") as log:
        for line in about_gpu():
            print(line, file=log)
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", *command, *passed_on],
            cwd=work,
            env=environment,
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        late = threading.Timer(max(1, seconds) + PATIENCE, process.terminate)
        much_too_late = threading.Timer(max(1, seconds) + 1.5 * PATIENCE, process.kill)
        for timer in (late, much_too_late):
            timer.daemon = True
            timer.start()
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            log.write(line)
        code = process.wait()
        for timer in (late, much_too_late):
            timer.cancel()
    return code


def about_gpu() -> list[str]:
    try:
        query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ["no nvidia-smi"]


def pack(work: Path, output: Path) -> None:
    """Finished cells and logs, then weights and as many checkpoints as there is room for, the newest first."""
    output.mkdir(parents=True, exist_ok=True)
    for old in (*output.glob("results.tar.xz*"), *output.glob("kept.tar*")):
        old.unlink()
    files = [path for path in work.rglob("*") if path.is_file()]
    records = [p for p in files if p.suffix in (".json", ".txt")]
    with Parts(output / "results.tar.xz") as parts, tarfile.open(fileobj=parts, mode="w|xz") as tar:
        for path in sorted(records):
            tar.add(path, path.relative_to(work))
    room = MOST - sum(part.stat().st_size for part in output.iterdir())
    weights = [p for p in files if p.suffix == ".safetensors"]
    checkpoints = sorted((p for p in files if p.suffix == ".pt"), key=lambda p: -p.stat().st_mtime)
    if not (weights or checkpoints):
        return
    with Parts(output / "kept.tar") as parts, tarfile.open(fileobj=parts, mode="w|") as tar:
        for path in (*weights, *checkpoints):
            if (size := path.stat().st_size + 2048) > room:
                say(f"no room for {path.relative_to(work)} ({size / 2**20:.0f} MiB)")
                continue
            room -= size
            tar.add(path, path.relative_to(work))


class Parts:
    """A file written in parts NAME.00, NAME.01, ... of at most `PART` bytes."""

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.file, self.free = path, 0, None, 0

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, *_: object) -> None:
        if self.file:
            self.file.close()

    def write(self, data: bytes) -> int:
        for block in self.blocks(memoryview(data)):
            self.file.write(block)
            self.free -= len(block)
        return len(data)

    def blocks(self, data: memoryview) -> Iterator[memoryview]:
        while len(data):
            if not self.free:
                self.__exit__()
                self.file = open(f"{self.path}.{self.count:02d}", "wb")  # noqa: SIM115
                self.count, self.free = self.count + 1, PART
            block, data = data[: self.free], data[self.free :]
            yield block


if __name__ == "__main__":
    sys.exit(main())
