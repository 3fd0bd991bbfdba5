"""Tables as blocks of printed values, which every format shows in its own way."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.report.content import COSTS, EXTRAS, Entry, Table

LEGEND = "percent: mean over splits ± 95 % confidence interval (Student's t over splits); {}, {}"
COST_LEGEND = "seconds and MiB: median over splits"
FIRST = "method"
BESIDE = ("published", "diff")
"""Columns beside a measured rank where published values are asked for."""


@dataclass(frozen=True)
class Value:
    """What is printed in one place of a table.  mark: 1 for the best of a column, 2 for the second best, else 0."""

    text: str
    interval: str = ""
    mark: int = 0


@dataclass(frozen=True)
class Block:
    """Rows and columns that are printed as one, under a heading.

    labels: of what is measured, each with the labels of the columns beside it that belong to it.  rows: the name of a
    method, then a value for each column.
    """

    heading: str
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    rows: tuple[tuple[Value, ...], ...]

    @property
    def header(self) -> tuple[str, ...]:
        """A label for each column."""
        return (FIRST, *(text for label, beside in self.labels for text in (label, *beside)))


def blocks(table: Table, with_published: bool) -> list[Block]:
    """A table of several ranks is a block for each data set; one of rank 1 alone has a column for each data set."""
    if len(table.kind.ranks) > 1:
        return [
            make_block(
                table,
                table.aliases(dataset),
                [(f"r={rank}", dataset, rank) for rank in table.kind.ranks]
                + [(EXTRAS[extra], dataset, extra) for extra in table.columns],
                table.methods[dataset],
                with_published,
            )
            for dataset in table.datasets
        ]
    columns: list[tuple[str, str, int | str]] = []
    for dataset in table.datasets:
        name = table.aliases(dataset)
        columns += [(name, dataset, 1), *((f"{name}, {EXTRAS[extra]}", dataset, extra) for extra in table.columns)]
    methods = list(dict.fromkeys(m for d in table.datasets for m in table.methods[d]))
    return [make_block(table, "rank 1", columns, methods, with_published)]


def make_block(
    table: Table,
    heading: str,
    columns: Sequence[tuple[str, str, int | str]],
    methods: Sequence[str],
    with_published: bool,
) -> Block:
    """columns: (label, data set, rank or extra)."""
    marked = {(dataset, column): marks(table, methods, dataset, column) for _, dataset, column in columns}
    labels = tuple(
        (label, BESIDE if with_published and isinstance(column, int) else ()) for label, _, column in columns
    )
    rows = []
    for method in methods:
        row = [Value(table.aliases(method))]
        for _, dataset, column in columns:
            entry = table.entries.get((dataset, method, column))
            row.append(measured(entry, marked[dataset, column].get(method, 0)))
            if with_published and isinstance(column, int):
                row += reference(entry)
        rows.append(tuple(row))
    return Block(heading, labels, tuple(rows))


def marks(table: Table, methods: Sequence[str], dataset: str, column: int | str) -> dict[str, int]:
    """Method -> 1 for the best and 2 for the second best mean of a column, as printed (one decimal)."""
    if column in COSTS:
        return {}
    entries, _ = table.ranked(dataset, methods, column)
    means = {e.method: round(e.mean, 1) for e in entries if e.mean is not None}
    order = sorted(set(means.values()), reverse=True)
    return {m: order.index(v) + 1 for m, v in means.items() if order.index(v) < 2} if len(means) > 1 else {}


def measured(entry: Entry | None, mark: int) -> Value:
    """``37.3 ± 1.2``."""
    if entry is None or entry.mean is None:
        return Value("--")
    low, high = entry.interval
    return Value(f"{entry.mean:.1f}", "" if np.isnan(low) else f" ± {(high - low) / 2:.1f}", mark)


def reference(entry: Entry | None) -> tuple[Value, Value]:
    """Published value and difference."""
    if entry is None or entry.published is None:
        return Value("--"), Value("--")
    value = Value(f"({entry.published:.1f})" if entry.erratum else f"{entry.published:.1f}")
    if entry.difference is None:
        return value, Value("--")
    return value, Value(f"{entry.difference:+.1f}{'' if entry.within_noise else ' !'}")


def legends(table: Table, best: str, second: str) -> list[str]:
    """What is to be known of the numbers.  best, second: how the best and the second best are marked, in words."""
    return [LEGEND.format(best, second), *([COST_LEGEND] if set(table.columns) & set(COSTS) else [])]


def short_notes(table: Table) -> list[str]:
    """The table's notes, with files by their short names but where it is said what these stand for."""
    return [note if note in table.aliases.legends else table.aliases.files(note) for note in table.notes]
