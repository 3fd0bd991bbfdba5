"""Which stored cells the code as it is would compute again, and why; no plug-in is imported."""

from dataclasses import replace
from functools import cache

from bench.engine.identity import Cell, Depends, changes, depends_of
from bench.engine.store import Result
from bench.errors import UsageError


def stale(result: Result) -> list[str]:
    """What a cell's number depends on and has changed since, in words; empty for a current cell, and for one whose
    plug-in is not there any more."""
    now = current(result.cell.method, result.cell.dataset)
    if now is None or now == result.cell.depends:
        return []
    return changes(result.cell.depends, now)


def as_now(result: Result) -> Cell:
    """The stored cell as the code would name it now, options that are new since at their defaults; a stale cell, and
    one whose plug-in is not there any more, as it is."""
    now = current(result.cell.method, result.cell.dataset)
    if now is None or now == result.cell.depends or stale(result):
        return result.cell
    return replace(result.cell, depends=now)


@cache
def current(method: str, dataset: str) -> Depends | None:
    """`depends_of` as the code is now, None where a plug-in is not there.  MissingPart where a part of one is not."""
    try:
        return depends_of(method, dataset)
    except UsageError:
        return None
