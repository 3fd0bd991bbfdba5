"""Stored cells by row: which of them may be averaged, which of them a row of a table takes."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from bench.engine.freshness import as_now, stale
from bench.engine.identity import PROTOCOL_STEPS, Cell
from bench.engine.record import Record, Scores
from bench.engine.store import Result
from bench.errors import UsageError
from bench.plugin.grammar import MethodOptions, canonical, parse_anchors, split_text
from bench.plugin.registry import registry
from bench.plugin.weights_files import named_in

MEASURED = "measured"
"""Name of the store that comes with bench; cells of others that are read together with it are the user's own."""


@dataclass(frozen=True)
class Group:
    """Finished cells that differ in nothing but their split.

    results, scores: by split, in order; the scores are those of one anchor subset, which may be a part of the cell's.
    own: splits that the user has computed, where others come with bench.
    """

    results: dict[int, Result]
    scores: dict[int, Scores]
    own: tuple[int, ...] = ()

    @property
    def splits(self) -> tuple[int, ...]:
        return tuple(self.results)

    @property
    def cell(self) -> Cell:
        """One of the cells: all but its split is that of all."""
        return next(iter(self.results.values())).cell

    @cached_property
    def stale(self) -> list[str]:
        """What has changed since, in words; empty for current cells."""
        return stale(next(iter(self.results.values())))

    @cached_property
    def comparable(self) -> str:
        """Equal for two groups whose numbers may be compared split by split: same data, matched and scored alike."""
        cell = as_now(next(iter(self.results.values())))
        parts = cell.depends.get("parts") or {}
        own = {step: parts.get(step) for step in PROTOCOL_STEPS}
        return json.dumps([cell.data, cell.seed, own, cell.depends.get("protocol")], sort_keys=True, default=str)

    @cached_property
    def starts(self) -> dict[str, str]:
        """The weights files that its cells started from: name -> its description, with the start of its SHA-256."""
        texts = [text for r in self.records for one in r.initialisation.values() for text in one.values()]
        return {name: words for text in texts for name, words in named_in(text).items()}

    @property
    def in_contract(self) -> bool:
        """Whether every cell's method had passed the contract when it was computed."""
        return all(record.contract for record in self.records)

    @property
    def records(self) -> list[Record]:
        return [result.finished for result in self.results.values()]

    @property
    def ranks(self) -> int:
        """The highest rank that every split's CMC has: no more than people in the gallery."""
        return min(len(scores.cmc) for scores in self.scores.values())

    def percent(self, rank: int) -> tuple[float, ...]:
        """The CMC at a rank, one value a split; none for a rank that it does not have."""
        return tuple(100 * scores.cmc[rank - 1] for scores in self.scores.values()) if rank <= self.ranks else ()

    def mean(self, rank: int) -> float:
        return float(np.mean(self.percent(rank)))

    @cached_property
    def order(self) -> tuple[bool, int, bool, str]:
        """What a row takes comes last: current cells, then most splits, then the paper's schedule, then the newest."""
        dates = max(record.computed.date for record in self.records)
        return not self.stale, len(self.results), self.cell.profile == "paper", dates


class Groups:
    """The finished cells of a store by data set, seed and method."""

    def __init__(self, results: Iterable[Result]) -> None:
        self.results = [result for result in results if not result.failed]
        self._users = users_stores(self.results)
        self._by_base: dict[tuple[str, int, str], list[Result]] = {}
        self._methods: dict[tuple[str, int], set[str]] = {}
        for result in self.results:
            cell = result.cell
            self._by_base.setdefault((cell.dataset, cell.seed, base_and_subset(cell.method)[0]), []).append(result)
            self._methods.setdefault((cell.dataset, cell.seed), set()).add(cell.method)
        self._found: dict[tuple[str, int, str], list[Group]] = {}

    def datasets(self, seed: int) -> list[str]:
        return list(dict.fromkeys(dataset for dataset, own, _ in self._by_base if own == seed))

    def methods(self, dataset: str, seed: int) -> list[str]:
        """The methods of a data set's cells, in order of their names."""
        return sorted(self._methods.get((dataset, seed), ()))

    def find(self, dataset: str, method: str, seed: int, profile: str | None = None) -> list[Group]:
        """The groups of a row, which are never mixed, first the one that counts.

        method: with an anchor subset it may be a part of cells of more anchors.  profile: of this schedule only, where
        the method has schedules.
        """
        key = (dataset, seed, method)
        if key not in self._found:
            self._found[key] = self._make(dataset, method, seed)
        groups = self._found[key]
        return [g for g in groups if profile in (None, g.cell.profile) or not has_schedule(method)]

    def _make(self, dataset: str, method: str, seed: int) -> list[Group]:
        base, subset = base_and_subset(method)
        rows: dict[str, list[tuple[Result, Scores]]] = {}
        for result in self._by_base.get((dataset, seed, base), ()):
            if base_and_subset(result.cell.method)[1] in (subset, MethodOptions.anchors):
                scores = subset_scores(result, subset)
                if scores is not None:
                    rows.setdefault(as_now(result).row, []).append((result, scores))
        groups = []
        for pairs in rows.values():
            # Of two cells of one split, one of them stored before an option was there, the first counts.
            first = {result.cell.split: (result, scores) for result, scores in reversed(pairs)}
            pairs = [first[split] for split in sorted(first)]
            own = tuple(r.cell.split for r, _ in pairs if r.origin in self._users)
            groups.append(Group({r.cell.split: r for r, _ in pairs}, {r.cell.split: s for r, s in pairs}, own))
        return sorted(groups, key=lambda group: group.order, reverse=True)


def users_stores(results: Iterable[Result]) -> set[str]:
    """The names of the stores that are the user's own; none where all cells are of one kind."""
    origins = {result.origin for result in results}
    return origins - {MEASURED} if MEASURED in origins else set()


@cache
def base_and_subset(method: str) -> tuple[str, str]:
    """A row's cell and anchor subset: ``sing[alpha=0,anchors=1/2]`` -> (``sing[alpha=0.0]``, ``1/2``).

    Numbers are compared as such: printed tables have ``alpha=0``, cells ``alpha=0.0``.
    """
    name, pairs = split_text(method)
    try:
        subset = "+".join(map(str, parse_anchors(pairs.pop("anchors", MethodOptions.anchors))))
    except UsageError:
        return method, MethodOptions.anchors
    return canonical(name, [{key: as_value(text) for key, text in pairs.items()}]), subset


def as_value(text: str) -> bool | float | str:
    if text == "true":
        return True
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def subset_scores(result: Result, subset: str) -> Scores | None:
    """The scores of one anchor subset from a stored cell; None where they were not stored."""
    record = result.finished
    if subset == base_and_subset(result.cell.method)[1]:
        return Scores(record.cmc, record.map)
    return record.subsets.get(subset)


def has_schedule(method: str) -> bool:
    """Whether the training schedule of a method matters; True where its plug-in is not there any more."""
    found = plugin_attributes(method)
    return not found or any(bool(attributes.get("profiles")) for attributes in found)


def schedule_of(cell: Cell) -> str:
    """The training schedule of a cell, in words."""
    return cell.profile if has_schedule(cell.method) else "closed form"


def transductive(method: str) -> bool:
    """Whether a method says that it uses other probes or statistics of the whole gallery."""
    return any(bool(attributes.get("transductive")) for attributes in plugin_attributes(method))


@cache
def plugin_attributes(method: str) -> list[dict[str, object]]:
    """The class attributes of a method and of its front-end, read as text; empty where one is not there."""
    frontend, _, name = split_text(method)[0].rpartition("+")
    wanted = [("method", name), *([("frontend", frontend)] if frontend else [])]
    found = [p.attributes for kind, n in wanted for p in registry().plugins if (p.kind, p.name) == (kind, n)]
    return found if len(found) == len(wanted) else []


def differences(shown: Group, other: Group) -> str:
    """In what a group that is left out differs from the one that is shown."""
    a, b = shown.cell, other.cell
    words = []
    if other.stale:
        words.append(f"stale ({'; '.join(other.stale[:2])}{'; ...' if len(other.stale) > 2 else ''})")
    if a.profile != b.profile:
        words.append(f"schedule {b.profile}")
    if a.data != b.data:
        words.append("other data")
    if a.weights != b.weights:
        own = [file for file in other.starts.values() if file not in shown.starts.values()]
        words.append(f"other weights ({', '.join(own)})" if own else "other weights")
    if not words and a.method != b.method:
        words.append(f"part of {b.method}")
    if not words:
        words.append("other versions or options")
    return ", ".join(words)
