"""How soon the command line answers."""

from functools import partial
from pathlib import Path

from tests.benchmarks.speed.case import Case, Sides
from tests.benchmarks.speed.commands import bench, python


def start(other: str, _size: int, _folder: Path) -> Sides:
    return Sides(lambda: bench("--help").returncode, lambda: python("-c", other).returncode)


CASES = (
    Case("start", "python -c pass", partial(start, "pass"), 1, "call of --help", 1),
    Case("start-numpy", 'python -c "import numpy"', partial(start, "import numpy"), 1, "call of --help", 1),
)
