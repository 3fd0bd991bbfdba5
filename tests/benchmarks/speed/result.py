"""The file of a run, and one run against another."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench.errors import UsageError, listing
from bench.files import read_regular, writing
from tests.benchmarks.speed.interval import Interval, change, regressed

FORMAT = 1
LARGEST_FILE = 2**24  # bytes


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case.  ratio: how many times as fast as the reference, between low and high.

    seconds, reference_seconds: of processors, medians of one call; clock, reference_clock: on the clock.
    difference: of the two results, as a share of the reference's largest value.
    """

    name: str
    reference: str
    size: int
    unit: str
    pairs: int
    ratio: float
    low: float
    high: float
    seconds: float
    reference_seconds: float
    clock: float
    reference_clock: float
    difference: float
    figures: dict[str, float]

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.ratio <= self.high < math.inf:
            raise ValueError(f"the ratio of {self.name} must lie in an interval of numbers above 0")

    @property
    def interval(self) -> Interval:
        return Interval(self.ratio, self.low, self.high)

    @property
    def what(self) -> tuple[str, int, str]:
        """What must be equal in two runs that are compared."""
        return self.reference, self.size, self.unit


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """machine: what it ran on, by name.  missed: cases that were not measured, each with its reason."""

    format: int
    machine: dict[str, str]
    cases: list[Measured]
    missed: dict[str, str]

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"it has format {self.format}, and this version reads format {FORMAT}")
        if len({case.name for case in self.cases}) < len(self.cases):
            raise ValueError("it holds a case twice")


def write_run(path: Path, run: Run) -> None:
    """BenchError, in a line, where the file cannot be written."""
    with writing(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(run)) + b"\n")


def read_run(path: Path) -> Run:
    """UsageError, naming the file, where it is not one that `speed --json` wrote."""
    try:
        return msgspec.json.decode(read_regular(path, LARGEST_FILE, "a run has"), type=Run)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        reason = " ".join((getattr(error, "strerror", None) or str(error)).split())
        raise UsageError(f"{path} is not what `speed --json` writes: {reason}") from error


def regressions(new: Run, old: Run) -> list[str]:
    """The cases that were measured in both runs and have become slower beyond noise."""
    before = {case.name: case for case in old.cases}
    pairs = [(case, before[case.name]) for case in new.cases if case.name in before]
    return [a.name for a, b in pairs if a.what == b.what and regressed(a.interval, b.interval)]


def comparison(new: Run, old: Run, wanted: Sequence[str]) -> Iterator[str]:
    """Lines for people: what differs about the machines, each case's ratio of ratios, and what cannot be compared.

    wanted: names of the cases that the new run was to measure.
    """
    for key in dict.fromkeys([*old.machine, *new.machine]):
        pair = [run.machine.get(key, "none") for run in (old, new)]
        if pair[0] != pair[1]:
            yield f"{key} differs: {pair[0]} then, {pair[1]} now"
    before = {case.name: case for case in old.cases}
    slower = regressions(new, old)
    for case in new.cases:
        if (then := before.get(case.name)) and case.what == then.what:
            found = change(case.interval, then.interval)
            verdict = "SLOWER" if case.name in slower else "faster" if found.low > 1 else ""
            yield f"{case.name:18} {then.interval} then, {case.interval} now: {found} {verdict}".rstrip()
        elif then:
            yield f"{case.name:18} not compared: then {shown(then)}, now {shown(case)}"
    names = {case.name for case in new.cases}
    if only_new := [case.name for case in new.cases if case.name not in before]:
        yield f"not in the earlier run: {listing(only_new, most=len(only_new))}"
    if only_old := [name for name in before if name not in names and name in wanted]:
        yield f"in the earlier run only: {listing(only_old, most=len(only_old))}"


def shown(case: Measured) -> str:
    return f"{case.size:,} {case.unit} against {case.reference}"
