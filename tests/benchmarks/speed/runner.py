"""Measuring a case: both sides in turns, on the processor's clock."""

import math
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.errors import BenchError
from tests.benchmarks.speed.case import Case, difference
from tests.benchmarks.speed.interval import LEAST_PAIRS, median_ratio
from tests.benchmarks.speed.result import Measured

SHORTEST = 0.02
"""Seconds: what takes less is called several times for one measurement."""
LONG = 1.0
"""Seconds: what takes more is not called again to see how often to call it."""
MOST_PAIRS = 200


class Spent(NamedTuple):
    """Seconds of one call: of all processors, in this process and those that it waited for, and on the clock."""

    processor: float
    clock: float


def spent(call: Callable[[], Any], times: int = 1) -> Spent:
    start, before = time.perf_counter(), processor_seconds()
    for _ in range(times):
        call()
    return Spent((processor_seconds() - before) / times, (time.perf_counter() - start) / times)


def processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def check(case: Case, ours: Any, reference: Any) -> float:
    """The difference of two results; BenchError where it is more than the case allows."""
    found = difference(ours, reference)
    if not found <= case.tolerance:
        raise BenchError(
            f"ours and the reference ({case.reference}) differ by {found:.2g} of the largest value,"
            f" at most {case.tolerance:.2g} expected"
        )
    return found


def measure(case: Case, seconds: float, size: int | None = None) -> Measured:
    """Take turns for so many seconds, and for `LEAST_PAIRS` pairs at least; who goes first alternates.

    BenchError where the results of the two differ.
    """
    size = size or case.size
    with tempfile.TemporaryDirectory() as folder:
        sides = case.make(size, Path(folder))
        results, calls = zip(*(repeats(call) for call in (sides.ours, sides.reference)), strict=True)
        found = check(case, *results)
        turns: list[list[Spent]] = [[], []]
        start = time.monotonic()
        while len(turns[0]) < LEAST_PAIRS or (time.monotonic() - start < seconds and len(turns[0]) < MOST_PAIRS):
            for side in (0, 1) if len(turns[0]) % 2 == 0 else (1, 0):
                turns[side].append(spent((sides.ours, sides.reference)[side], calls[side]))
    ours, reference = ([turn.processor for turn in side] for side in turns)
    ratio = median_ratio(ours, reference)
    return Measured(
        name=case.name,
        reference=case.reference,
        size=size,
        unit=case.unit,
        pairs=len(ours),
        ratio=ratio.ratio,
        low=ratio.low,
        high=ratio.high,
        seconds=median(ours),
        reference_seconds=median(reference),
        clock=median(turn.clock for turn in turns[0]),
        reference_clock=median(turn.clock for turn in turns[1]),
        difference=found,
        figures={name: figure(median(ours)) for name, figure in sides.figures.items()},
    )


def repeats(call: Callable[[], Any]) -> tuple[Any, int]:
    """A call's result, and how often to call it for one measurement, as it may be short.

    The first call also does what is done once only, such as imports; only where it is not long a second is looked at.
    """
    results: list[Any] = []
    first = spent(lambda: results.append(call()))
    again = first if first.processor > LONG else spent(call)
    return results[0], max(1, math.ceil(SHORTEST / max(again.processor, 1e-6)))
