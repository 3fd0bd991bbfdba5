"""Which stored cells the code as it is would compute again, and why; no plug-in is imported."""

from dataclasses import replace
from functools import cache

from bench.engine.identity import Cell, Depends, changes, depends_of, source_of
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


def edited(result: Result) -> list[str]:
    """Whether the files of a cell's plug-ins have been edited since, under the same version, in words; empty if not.

    For cells of the user's own: those that come with bench are guarded by small cells of every plug-in, so that there
    an edit that moves no number makes nothing stale.
    """
    method, record = result.cell.method, result.record
    if record is None or not record.computed.source or current(method, result.cell.dataset) is None:
        return []
    if record.computed.source == source_of(method):
        return []
    return [f"the code of {method.partition('[')[0]} has been edited since, under the same version"]


@cache
def current(method: str, dataset: str) -> Depends | None:
    """`depends_of` as the code is now, None where a plug-in is not there.  MissingPart where a part of one is not."""
    try:
        return depends_of(method, dataset)
    except UsageError:
        return None
