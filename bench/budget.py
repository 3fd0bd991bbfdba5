"""How long a command may take: a moment that all its processes know, before which trainings keep where they are.

Moments are of `time.monotonic`, one clock for all processes of a machine.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

EXIT_CODE = 4
RESERVE = 0.05
"""Share of a budget that is kept for writing what there is, within `LEAST_RESERVE` and `MOST_RESERVE` seconds."""
LEAST_RESERVE, MOST_RESERVE = 3.0, 20.0
AGAIN = 1.0
"""Seconds between two interrupts of what still runs at a budget's cut: a single one may be lost, as in `__del__`."""


class OutOfTime(KeyboardInterrupt):
    """The budget is spent: like Ctrl-C it ends what is running, which has then neither failed nor finished."""


@dataclass(frozen=True)
class Budget:
    """stop: from then on nothing is begun, and a training ends with a checkpoint.  cut: what still runs is ended."""

    stop: float
    cut: float

    @classmethod
    def of(cls, seconds: float) -> "Budget":
        """A budget that begins now."""
        reserve = min(max(RESERVE * seconds, LEAST_RESERVE), MOST_RESERVE, seconds / 2)
        end = time.monotonic() + seconds
        return cls(end - reserve, end - reserve / 2)


_current: Budget | None = None
_shields = 0


def left() -> float:
    """Seconds in which something may be begun; infinite without a budget."""
    return float("inf") if _current is None else _current.stop - time.monotonic()


def spent(ahead: float = 0.0) -> bool:
    """Whether less than so many seconds are left."""
    return left() <= ahead


@contextmanager
def shared(budget: Budget | None) -> Iterator[None]:
    """Keep to a budget in this process, and to one that holds already where that ends earlier."""
    global _current
    before = _current
    if budget is not None and (before is None or budget.stop < before.stop):
        _current = budget
    try:
        yield
    finally:
        _current = before


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Keep to a budget that begins now; `OutOfTime` in the main thread for whatever still runs at its `cut`.

    None changes nothing.  Other threads than the main one keep to the budget, but cannot be interrupted.
    """
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        with shared(Budget.of(seconds)):
            yield
        return
    outer, handler = _current, signal.getsignal(signal.SIGALRM)
    with shared(Budget.of(seconds)):
        _ring_at(_current)
        try:
            yield
        finally:
            _ring_at(outer)
            if outer is None:
                signal.signal(signal.SIGALRM, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Let what ends or sums up a command come to its end, past the `cut` of a budget too."""
    global _shields
    _shields += 1
    try:
        yield
    finally:
        if 0 < signal.getitimer(signal.ITIMER_REAL)[0] < AGAIN and spent():
            # What comes next has a whole second too, so as to leave what it holds in order.
            signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
        _shields -= 1


def current() -> Budget | None:
    """The budget that this process keeps to."""
    return _current


def _ring_at(budget: Budget | None) -> None:
    """Interrupt the main thread at a budget's cut and then again and again; where that is past, after a while."""
    signal.signal(signal.SIGALRM, _ring)
    ahead = budget.cut - time.monotonic() if budget else 0.0
    signal.setitimer(signal.ITIMER_REAL, (ahead if ahead > 0 else AGAIN) if budget else 0, AGAIN)


def _ring(_signal: int, _frame: FrameType | None) -> None:
    if not _shields:
        raise OutOfTime
