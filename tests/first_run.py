"""What a first run prints, ``run --all`` where there are no data and no results: `python -m tests.first_run` writes it
into README, with its cells' lines left out, since their times and order vary, and the figure that README shows."""

import re
import resource
import tempfile
import time
from pathlib import Path

from bench.figures.canvas import outlined
from bench.figures.plotting import plot
from tests.conftest import ROOT, bench_process

README = ROOT / "README.md"
FIGURE = ROOT / "results" / "figures" / "first_run.svg"
SHOWN = ("bilinear+xqda", "bicubic+xqda", "srcnn+xqda[steps=0]", "bicubic+nfst", "bicubic+l2", "judea", "sld2l", "sdf")
BLOCK = re.compile(r"(<!-- output of the first run -->\n```text\n)(.*?)(```)", re.DOTALL)
NOTHING = dict.fromkeys(("BENCH_DATA", "BENCH_PLUGINS", "BENCH_WEIGHTS"), "")


def first_run(folder: Path, *more: str) -> str:
    """What the command prints, `folder` empty; one line ``...`` in place of its cells' lines."""
    own = {"BENCH_CACHE": str(folder / "cache"), "BENCH_RESULTS": str(folder / "results")}
    process = bench_process("run", "--all", *more, **NOTHING, **own)
    out, err = process.communicate(timeout=3600)
    if process.returncode or err:
        raise RuntimeError(f"the first run ended with {process.returncode}:\n{out}{err}")
    return re.sub(r"(^\[\d+/\d+\] .*\n)+", "...\n", out, flags=re.MULTILINE)


def printed() -> str:
    """What README says that it prints."""
    found = BLOCK.search(README.read_text(encoding="utf-8"))
    if not found:
        raise ValueError("README.md has no block <!-- output of the first run -->")
    return found[2]


def draw(store: Path) -> None:
    """README's figure, from a first run's cells, in letters that look the same everywhere."""
    FIGURE.parent.mkdir(exist_ok=True)
    FIGURE.write_bytes(outlined(plot("resolution", SHOWN, "synthetic", stores=[store])))


def write() -> None:
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        output = first_run(Path(folder))
        draw(Path(folder) / "results")
        sizes = {f.name: sum(p.stat().st_size for p in f.rglob("*") if p.is_file()) for f in Path(folder).iterdir()}
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda m: m[1] + output + m[3], text), encoding="utf-8")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{time.monotonic() - start:.0f} s, {used.ru_utime + used.ru_stime:.0f} processor seconds, ", end="")
    print(f"largest process {used.ru_maxrss / 1024:.0f} MiB, MiB on disk: ", end="")
    print(", ".join(f"{name} {size / 2**20:.0f}" for name, size in sorted(sizes.items())))


if __name__ == "__main__":
    write()
