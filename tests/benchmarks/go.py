"""Run a packed campaign where there is no network: unpack to a fast folder, run, pack what came of it.

    python3 go.py --budget 14m --output OUT [--campaign gpu] [--scratch /dev/shm/bench] [any option of `bench run`]

`pack_campaign` puts this file beside what it needs; Python's own library is enough for it.  What a call leaves in the
scratch folder the next one goes on from, by newer code where that has been packed since; a new scratch folder goes on
from ``--earlier OUT``, the output of another.  OUT then holds results.tar.xz* (finished cells, logs) and kept.tar*
(weights, checkpoints), in parts of at most 16 MiB:

    cat OUT/results.tar.xz* | tar xJ -C FOLDER && python -m bench adopt --results FOLDER/store -d '*'
"""

import argparse
import hashlib
import math
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import uuid
import zipfile
from collections import OrderedDict
from contextlib import ExitStack, suppress
from pathlib import Path

BEGAN = time.monotonic()
HERE = Path(__file__).resolve().parent
PART = 16 * 2**20
"""Bytes of a part: what comes back from a lent machine is often limited."""
PACKING = 10.0  # seconds
OUT_OF_TIME = 4  # exit code: the same again goes on
PATIENCE = 10.0  # seconds past its own budget after which a campaign is killed; after half of them it is told to end
UNITS = {"h": 3600, "m": 60, "s": 1}
RECORDS, WEIGHTS, CHECKPOINTS = (".json", ".jsonl", ".txt"), ".safetensors", ".pt"
ORIGIN = "origin"
"""A file in a work folder and in its output: which results went into them."""


class Refused(Exception):
    """What was asked for would lose results, or cannot be done."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", required=True, metavar="TIME", help="for all of it: 14m, 90s, 1h30m")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--campaign", default="gpu")
    parser.add_argument("--scratch", type=Path, default=default_scratch(), metavar="DIR")
    parser.add_argument("--earlier", type=Path, metavar="DIR", help="the output of an earlier call, to go on from")
    parser.add_argument("--most", type=float, default=math.inf, metavar="MIB", help="of the output (default: no limit)")
    options, passed_on = parser.parse_known_args()
    parts = re.findall(r"(\d+)([hms])", options.budget)
    if not parts or "".join(a + b for a, b in parts) != options.budget:
        parser.error(f"--budget {options.budget}: a time such as 14m, 90s or 1h30m is expected")
    end = BEGAN + sum(int(number) * UNITS[unit] for number, unit in parts)
    work = options.scratch / "work"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        taken = unpack(options.scratch, options.earlier)
        require_own(work, options.output, options.earlier if taken else None)
        (options.output / "new").mkdir(parents=True, exist_ok=True)  # rather than fail when there are results to lose
        say("unpacked")
        try:
            code = campaign(options.campaign, options.scratch, passed_on, end - time.monotonic() - PACKING - PATIENCE)
            say(f"campaign: exit code {code}")
        finally:
            pack(work, options.output, options.most * 2**20)
    except (Refused, OSError, zipfile.BadZipFile) as error:
        print(f"go: {error}; what is done lies in {work}", file=sys.stderr)
        return 1
    say("packed")
    return code


def default_scratch() -> Path:
    """A folder in memory where the system has one."""
    memory = Path("/dev/shm")
    return (memory if os.access(memory, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))) / "bench"


def say(text: str) -> None:
    print(f"go: {time.monotonic() - BEGAN:.0f} s: {text}", flush=True)


def unpack(scratch: Path, earlier: Path | None) -> bool:
    """Code, wheels, images and weights into the scratch folder, where those there are not the same.

    Into a new one the work of an earlier call too; whether that was so.
    """
    mark, packed = scratch / "unpacked", packed_digest()
    new = not mark.exists()
    if new or mark.read_text() != packed:
        if not new:  # what is left half unpacked is unpacked again, and still no new folder
            mark.write_text("")
            for name in ("repo", "site", "data", "weights"):
                shutil.rmtree(scratch / name, ignore_errors=True)
        (scratch / "work").mkdir(parents=True, exist_ok=True)
        for archive in sorted(HERE.glob("*.tar.*")):
            extract(archive, scratch)
        for wheel in sorted((HERE / "wheels").glob("*.whl")):  # a wheel is a zip file of what goes on the path
            with zipfile.ZipFile(wheel) as file:
                file.extractall(scratch / "site")
    if new and earlier:
        unpack_earlier(earlier, scratch)
    elif earlier:
        say(f"{scratch / 'work'} goes on from its own, which --earlier {earlier} would overwrite")
    mark.write_text(packed)
    return bool(new and earlier)


def packed_digest() -> str:
    """SHA-256 of all that is to be unpacked."""
    sha = hashlib.sha256()
    for path in (*sorted(HERE.glob("*.tar.*")), *sorted((HERE / "wheels").glob("*.whl"))):
        sha.update(path.read_bytes())
    return sha.hexdigest()


def unpack_earlier(earlier: Path, scratch: Path) -> None:
    if not list(earlier.glob("results.tar.xz.*")):
        raise Refused(f"--earlier {earlier} holds no results.tar.xz.00: the output of an earlier call is expected")
    for name in ("results.tar.xz", "kept.tar"):
        if parts := sorted(earlier.glob(f"{name}.*")):
            whole = scratch / name
            whole.write_bytes(b"".join(part.read_bytes() for part in parts))
            extract(whole, scratch / "work")
            whole.unlink()
    if (earlier / ORIGIN).exists():
        shutil.copy(earlier / ORIGIN, scratch / "work" / ORIGIN)


def require_own(work: Path, output: Path, taken: Path | None) -> None:
    """Refused for an output whose results the work folder does not hold.  taken: the output that it just took in."""
    if not list(output.glob("results.tar.xz.*")) or (taken and taken.resolve() == output.resolve()):
        return
    if not set(packings(output)[-1:]) & set(packings(work)):
        raise Refused(
            f"--output {output} holds results that {work} did not go on from: choose another folder, or a new --scratch"
            f" and --earlier {output}"
        )


def packings(folder: Path) -> list[str]:
    """The names of all packings that led to a folder's results, the latest last."""
    path = folder / ORIGIN
    return path.read_text().split() if path.exists() else []


def extract(archive: Path, folder: Path) -> None:
    """Unpack an archive, by the system's tar where there is one: it is several times as fast."""
    command = ["tar", "xf", str(archive), "--no-same-owner", "-C", str(folder)]
    if not shutil.which("tar") or subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        except Exception as error:  # of many kinds where an archive is damaged
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise Refused(f"{archive} cannot be unpacked: {reason}") from error


def campaign(name: str, scratch: Path, passed_on: list[str], seconds: float) -> int:
    """Run it within so many seconds, its output shown and kept; its exit code."""
    work = scratch / "work"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BENCH_")}
    path = os.pathsep.join(filter(None, (f"{scratch / 'site'}", f"{scratch / 'repo'}", environment.get("PYTHONPATH"))))
    environment |= {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "BENCH_CACHE": str(scratch / "cache")}
    for variable, folder in (("BENCH_DATA", "data"), ("BENCH_WEIGHTS", "weights")):
        if (scratch / folder).is_dir():
            environment[variable] = str(scratch / folder)
    seconds = max(1, int(seconds))
    command = ["-m", "bench", "run", "--campaign", name, "--budget", f"{seconds}s", "--results", str(work / "store")]
    return watched([sys.executable, *command, *passed_on], work, environment, seconds)


def watched(command: list[str], work: Path, environment: dict[str, str], seconds: float) -> int:
    """Run a command, all its processes gone by `PATIENCE` after so many seconds; its exit code, or `OUT_OF_TIME`."""
    process = subprocess.Popen(
        command, cwd=work, env=environment, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    over = threading.Event()
    reader = threading.Thread(target=show, args=(process, work / "log.txt", over), daemon=True)
    reader.start()
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):  # what there is by then is packed all the same
        process.wait(seconds + PATIENCE / 2)
    late = process.poll() is None
    if late:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE / 2)
    with suppress(ProcessLookupError, PermissionError):  # the last of its processes may be gone
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    reader.join(1.0)  # a process that left the group may hold the pipe for ever
    over.set()
    return OUT_OF_TIME if late else code


def show(process: "subprocess.Popen[str]", path: Path, over: threading.Event) -> None:
    """Print what a process prints, and append it to a file."""
    with process.stdout as lines, path.open("a", buffering=1) as log:
        log.writelines(f"{line}\n" for line in about_gpu())
        for line in lines:
            if over.is_set():
                return
            print(line, end="", flush=True)
            log.write(line)


def about_gpu() -> list[str]:
    try:
        query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ["no nvidia-smi"]


def pack(work: Path, output: Path, most: float = math.inf) -> None:
    """Finished cells and logs, then weights and checkpoints, those with most work a byte first, in so many bytes.

    What an earlier call left in the output folder is replaced once all that is new is whole.
    """
    new = output / "new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    files = sorted(path for path in work.rglob("*") if path.is_file())
    with Parts(new / "results.tar.xz") as parts, tarfile.open(fileobj=parts, mode="w|xz") as tar:
        for path in files:
            if path.suffix in RECORDS:
                tar.add(path, path.relative_to(work))
    room = most - sum(part.stat().st_size for part in new.iterdir()) - tarfile.RECORDSIZE
    kept = [path for path in files if path.suffix in (WEIGHTS, CHECKPOINTS)]
    if kept:
        with Parts(new / "kept.tar") as parts, tarfile.open(fileobj=parts, mode="w|") as tar:
            for path in sorted(kept, key=worth, reverse=True):
                if (size := path.stat().st_size + 2048) > room:
                    say(f"no room within --most for {path}, {size / 2**20:.0f} MiB: it stays there")
                    continue
                room -= size
                tar.add(path, path.relative_to(work))
    old = {*output.glob("results.tar.xz.*"), *output.glob("kept.tar.*")}
    for part in old - {part.replace(output / part.name) for part in new.iterdir()}:
        part.unlink()
    new.rmdir()
    names = "\n".join([*packings(work), uuid.uuid4().hex])
    for folder in (output, work):
        (folder / ORIGIN).write_text(names)


def worth(path: Path) -> float:
    """The work in a file by its size: updates a byte of a checkpoint; weights are the end of a whole training."""
    return math.inf if path.suffix == WEIGHTS else updates(path) / path.stat().st_size


def updates(path: Path) -> int:
    """How many updates of its training a checkpoint of torch's holds, read without torch; 0 where it does not say."""
    try:
        with zipfile.ZipFile(path) as file:
            name = next(name for name in file.namelist() if name.endswith("data.pkl"))
            return int(Plain(file.open(name)).load()["step"])
    except Exception:  # of many kinds where it is no checkpoint
        return 0


class Plain(pickle.Unpickler):
    """Reads plain values, and None for all that is none."""

    def find_class(self, module: str, name: str) -> object:
        return OrderedDict if name == "OrderedDict" else lambda *_: None

    def persistent_load(self, _name: object) -> None:
        return None


class Parts(ExitStack):
    """A file written in parts NAME.00, NAME.01, ... of at most `PART` bytes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.count, self.free = path, 0, 0

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while len(rest):
            if not self.free:
                self.close()
                part = self.path.with_name(f"{self.path.name}.{self.count:02d}")
                self.file = self.enter_context(part.open("wb"))
                self.count, self.free = self.count + 1, PART
            written = self.file.write(rest[: self.free])
            self.free, rest = self.free - written, rest[written:]
        return len(data)


if __name__ == "__main__":
    sys.exit(main())
