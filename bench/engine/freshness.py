"""Which stored cells the code as it is would compute again, and why; no plug-in is imported."""

import difflib
from dataclasses import replace
from functools import cache
from pathlib import PurePath

from bench.engine.identity import Cell, Depends, changes, depends_of, source_of
from bench.engine.store import Result
from bench.errors import UsageError
from bench.plugin.grammar import split_text
from bench.plugin.registry import registry
from bench.plugin.weights_files import named_in


def stale(result: Result) -> list[str]:
    """What a cell's number depends on and has changed since, in words; empty for a current cell, and for one whose
    plug-in is not there any more."""
    now = current(result.cell.method, result.cell.dataset)
    if now is None:
        return []
    return [*(changes(result.cell.depends, now) if now != result.cell.depends else []), *other_weights(result)]


def other_weights(result: Result) -> list[str]:
    """Which files of weights a cell started from that its plug-ins name no longer, in words.

    Files are told apart by their names without suffix: the content of one that still has its name is a matter of the
    folder that it is read from, and part of what a cell is.
    """
    if result.record is None or not result.cell.weights:
        return []
    texts = [text for one in result.record.initialisation.values() for text in one.values()]
    before = {PurePath(name).stem: name for text in texts for name in named_in(text)}
    now = {PurePath(name).stem: name for name in weights_now(result.cell.method)}
    new = sorted(now.keys() - before.keys())
    return [
        f"started from {before[stem]}, now {now[difflib.get_close_matches(stem, new, n=1, cutoff=0)[0]]}"
        for stem in sorted(before.keys() - now.keys() if new else ())
    ]


@cache
def weights_now(method: str) -> tuple[str, ...]:
    """The weights files that a method's and its front-end's files name."""
    frontend, _, name = split_text(method)[0].rpartition("+")
    plugins = [registry().get("method", name), *([registry().get("frontend", frontend)] if frontend else [])]
    return tuple(file for plugin in plugins for file in plugin.weights)


def as_now(result: Result) -> Cell:
    """The stored cell as the code would name it now, options that are new since at their defaults; a stale cell, and
    one whose plug-in is not there any more, as it is."""
    now = current(result.cell.method, result.cell.dataset)
    if now is None or now == result.cell.depends or changes(result.cell.depends, now):
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
