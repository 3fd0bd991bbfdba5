"""From nothing to a table: seconds for methods x 10 splits with an empty cache and an empty store.

``python -m tests.benchmarks.bench_run [--dataset mlr_viper] [--methods '*+xqda' '*+nfst'] [--jobs 2]``; data sets with
images take them from BENCH_DATA.  Also checks that the table is the same for one process and for several.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.engine.provenance import described

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, dataset: str, methods: list[str], jobs: int) -> tuple[float, str]:
    """Seconds and the printed table of one run from nothing."""
    environ = {**os.environ, "BENCH_CACHE": str(folder / "cache")}
    chosen = [argument for method in methods for argument in ("-m", method)]
    command = [sys.executable, "-m", "bench", "run", *chosen, "-d", dataset, "--jobs", str(jobs)]
    start = time.perf_counter()
    out = subprocess.run(
        [*command, "--results", str(folder / "results")],
        cwd=ROOT,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return time.perf_counter() - start, out[out.index("### Table") :]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", default="synthetic")
    parser.add_argument("--methods", nargs="+", default=["*+xqda", "*+nfst"])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    print(described())
    tables = {}
    for jobs in (options.jobs, 1):
        with tempfile.TemporaryDirectory() as folder:
            seconds, tables[jobs] = run(Path(folder), options.dataset, options.methods, jobs)
        print(f"{options.dataset}, {' '.join(options.methods)}, 10 splits, {jobs} jobs: {seconds:.1f} s from nothing")
    print("same table" if len(set(tables.values())) == 1 else "TABLES DIFFER")


if __name__ == "__main__":
    main()
