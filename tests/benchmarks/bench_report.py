"""How long `table`, `status` and `compare` take from 1,000 cells, and which heavy modules they import.

``python -m tests.benchmarks.bench_report``
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.engine.store import Store
from bench.plugin.registry import ROOT
from tests.cells import cell, record

CELLS = 1000
METHODS = ("bilinear+xqda", "bicubic+xqda", "srcnn+xqda", "bilinear+nfst", "bicubic+nfst", "bicubic+l2", "judea", "sdf")
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
)
COMMANDS = (
    ["table", "2"],
    ["table", "2", "--format", "latex"],
    ["status"],
    ["compare", "bicubic+xqda", "bicubic+nfst", "-d", "caviar"],
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
    for number in range(CELLS):
        dataset = ("caviar", "mlr_viper")[number % 2]
        own = cell(METHODS[number // 2 % len(METHODS)], dataset, number // 2 // len(METHODS))
        store.put(own, record(curve[:1], cmc=tuple(curve), probe_ranks=tuple(float(k) for k in range(1, 633))), {})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        make_store(Path(folder))
        for command in COMMANDS:
            times, modules = [], ""
            for _ in range(3):
                start = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, "-c", PROBE.format(heavy=HEAVY), *command, "--results", folder],
                    cwd=ROOT, capture_output=True, text=True, check=True,
                )  # fmt: skip
                times.append(time.perf_counter() - start)
                modules = done.stderr.strip().splitlines()[-1]
            print(f"{' '.join(command):55} {min(times):.2f} s  (exit code, modules: {modules})")


if __name__ == "__main__":
    main()
