"""How long `table`, `status`, `compare` and `report` take from 1,000 cells, and which heavy modules they import.

``python -m tests.benchmarks.bench_report``
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.engine.store import Store
from bench.plugin.registry import ROOT
from tests.cells import cell, record

METHODS = ("bilinear+xqda", "bicubic+xqda", "bicubic+nfst", *(f"bicubic+l2[variant={k}]" for k in range(47)))
HEAVY = (
    "numpy",
    "msgspec",
    "pandas",
    "scipy",
    "scipy.stats",
    "sklearn",
    "torch",
    "torchvision",
    "PIL",
    "pydantic",
    "h5py",
    "matplotlib",
)
COMMANDS = (
    ["table", "2"],
    ["table", "2", "--format", "latex"],
    ["status"],
    ["compare", "bicubic+xqda", "bicubic+nfst", "-d", "caviar"],
    ["report", "-o", "report.html"],
    ["report", "-o", "report.html", "-d", "caviar"],  # 500 cells
)
PROBE = """
import sys
sys.argv[0] = "bench"
from bench.cli import main
code = main(sys.argv[1:])
print(code, *[name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""


def make_store(folder: Path) -> None:
    """Cells with a CMC of 316 ranks and the ranks of 632 probes, as on MLR-VIPeR."""
    store = Store(folder)
    curve = [k / 316 for k in range(1, 317)]
    for method in METHODS:
        for dataset in ("caviar", "mlr_viper"):
            for split in range(10):
                ranks = tuple(float(k) for k in range(1, 633))
                store.put(cell(method, dataset, split), record([0], cmc=tuple(curve), probe_ranks=ranks), {})


def cpu_seconds() -> float:
    """Of all processes started so far: what a command takes on a machine with nothing else to do."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        make_store(Path(folder))
        for command in COMMANDS:
            times, work, modules = [], [], ""
            for _ in range(3):
                start, before = time.perf_counter(), cpu_seconds()
                done = subprocess.run(
                    [sys.executable, "-c", PROBE.format(heavy=HEAVY), *command, "--results", folder],
                    cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
                )  # fmt: skip
                times.append(time.perf_counter() - start)
                work.append(cpu_seconds() - before)
                modules = done.stderr.strip().splitlines()[-1]
            print(f"{' '.join(command):55} {min(times):.2f} s, CPU {min(work):.2f} s  (exit code, modules: {modules})")


if __name__ == "__main__":
    main()
