"""How the paths of ``bench speed`` grow:  python -m tests.benchmarks.bench_growth [--only 'lomo*' ...] [--csv FILE]

Each case at an eighth, a quarter, half of its size, and its size; seconds of the processor, ours alone, the least of
--rounds on one thread.  A case without a size, such as the start of the command, has none.
"""

import argparse
import fnmatch
import tempfile
from pathlib import Path

from threadpoolctl import threadpool_limits

from bench.engine.provenance import machine
from tests.benchmarks.growth import keep
from tests.benchmarks.speed.case import Case
from tests.benchmarks.speed.cases import CASES
from tests.benchmarks.speed.runner import repeats, spent

STEPS = (1, 2, 4, 8)


def sizes(case: Case) -> list[int]:
    """Four sizes, of which the last is that of `bench speed` unless its eighth were too small to be measured."""
    return [step * max(case.tiny, case.size // 8) for step in STEPS]


def seconds(case: Case, size: int, rounds: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        ours = case.make(size, Path(folder)).ours
        _, times = repeats(ours)
        return min(spent(ours, times).processor for _ in range(rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["*"], metavar="CASE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="keep the times there, for tests.benchmarks.growth")
    given = parser.parse_args()
    chosen = [c for c in CASES if c.size > 1 and any(fnmatch.fnmatchcase(c.name, glob) for glob in given.only)]
    print(f"{machine()}, one thread")
    with threadpool_limits(1):
        for case in chosen:
            if reason := case.missing():
                print(f"{case.name}: not measured: {reason}")
                continue
            found = {size: seconds(case, size, given.rounds) for size in sizes(case)}
            print(f"{case.name}: " + ", ".join(f"{n:,} {s:.3g} s" for n, s in found.items()))
            keep(given.csv, case.name, case.unit, found)


if __name__ == "__main__":
    main()
