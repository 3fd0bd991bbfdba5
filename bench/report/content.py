"""What a table holds: entries with their numbers, in the order of rows and columns, and footnotes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bench.protocol.statistics import confidence_interval, tolerance
from bench.report.groups import Group
from bench.report.names import Aliases
from bench.report.published import TableKind

EXTRAS: Mapping[str, str] = {"map": "mAP", "seconds": "s", "fit": "fit, s", "match": "match, s", "memory": "MiB"}
"""Columns on request and their headings: mAP, and what a split costs, the median over splits."""
COSTS = {"seconds": "total_seconds", "fit": "fit_seconds", "match": "match_seconds", "memory": "peak_memory_mib"}


@dataclass(frozen=True)
class Entry:
    """One method on one data set at one rank, or in one of `EXTRAS`.

    values: one per split, CMC and mAP in percent; empty when nothing was measured, and for a rank beyond the gallery.
    group: the cells that they are of.
    """

    dataset: str
    method: str
    column: int | str
    values: tuple[float, ...] = ()
    group: Group | None = None
    published: float | None = None
    erratum: bool = False
    test_people: int = 0

    @cached_property
    def mean(self) -> float | None:
        """Of costs the median, which one split that waited for the machine leaves as it is."""
        if not self.values:
            return None
        return float(np.median(self.values) if self.column in COSTS else np.mean(self.values))

    @cached_property
    def interval(self) -> tuple[float, float]:
        return (float("nan"), float("nan")) if self.column in COSTS else confidence_interval(self.values)

    @property
    def difference(self) -> float | None:
        mean = self.mean
        return None if mean is None or self.published is None or self.erratum else mean - self.published

    @property
    def within_noise(self) -> bool:
        """Whether the published value is met within sampling noise (`statistics.tolerance`), or there is none."""
        if self.difference is None or self.published is None:
            return True
        return abs(self.difference) <= tolerance(self.values, self.published, self.test_people)


@dataclass(frozen=True)
class Table:
    """A table ready to be printed: data sets and methods in order, an entry each per rank and extra, and footnotes."""

    kind: TableKind
    datasets: tuple[str, ...]
    methods: dict[str, tuple[str, ...]]
    entries: dict[tuple[str, str, int | str], Entry]
    columns: tuple[str, ...] = ()
    aliases: Aliases = field(default_factory=lambda: Aliases(()))
    notes: tuple[str, ...] = ()

    def ranked(self, dataset: str, methods: Sequence[str], column: int | str) -> tuple[list[Entry], list[Entry]]:
        """The entries of a column that may be ranked against each other, and the measured ones that may not.

        Ranked are those of equal data and splits: of several such sets, the one of most cells.  Stale ones are ranked
        only where there are no others: what came of other code or weights says little of which method is better.
        """
        found = [e for m in methods if (e := self.entries.get((dataset, m, column))) is not None and e.group]
        stale = all(entry.group.stale for entry in found if entry.group)
        sets: dict[tuple[str, tuple[int, ...]], list[Entry]] = {}
        for entry in found:
            if entry.group and entry.group.in_contract and (stale or not entry.group.stale):
                sets.setdefault((entry.group.comparable, entry.group.splits), []).append(entry)
        best = max(sets.values(), key=lambda entries: sum(len(e.values) for e in entries), default=[])
        return best, [e for e in found if e not in best]
