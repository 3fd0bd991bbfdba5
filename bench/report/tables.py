"""A table of the paper from stored results: which rows and columns it has, and the cells that each takes.

Which tables there are, and the order of their rows and columns, is read from ``results/published``.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from bench.engine.store import Result
from bench.errors import UsageError
from bench.plugin.grammar import split_text
from bench.plugin.registry import registry, unknown
from bench.report.aliases import Alias, resolve
from bench.report.content import COSTS, EXTRAS, Entry, Table
from bench.report.groups import Group, Groups, base_and_subset
from bench.report.names import Aliases, matching, select
from bench.report.notes import footnotes
from bench.report.published import Published, TableKind, published, table_kinds


def make_table(
    kind: TableKind,
    results: Sequence[Result],
    patterns: Sequence[str] = (),
    seed: int = 0,
    methods: Sequence[str] = (),
    profile: str | None = None,
    columns: Sequence[str] = (),
    aliases: Sequence[Alias] = (),
) -> Table:
    """Assemble a table.

    Parameters
    ----------
    patterns
        Data sets to show: names, globs, names with files.  By default those with a cell that the paper prints and, in
        an open table, others of their kind without options of their own; all that it prints where none has a cell.
    methods
        Rows to show, likewise; by default those that the paper prints and, in an open table, all that were measured.
    profile
        Cells of this training schedule only, of methods that have one.
    columns
        Further columns: keys of `EXTRAS`.
    aliases
        What methods and data sets are to be called where names are printed.

    Raises
    ------
    UsageError
        When a pattern stands for nothing that there is, a column is not known, or two names get one alias.
    """
    for column in columns:
        if column not in EXTRAS:
            raise UsageError(f"no column {column!r}: there is {', '.join(EXTRAS)}")
    groups = Groups(results)
    reference = {(p.dataset, p.method, p.rank): p for p in published() if p.table == kind.name}
    shown = {d: rows_of(kind, groups, d, seed, methods) for d in chosen_datasets(kind, groups, patterns, seed)}
    missing: list[str] = []
    if not patterns:
        measured = {d: rows for d, rows in shown.items() if any(groups.find(d, m, seed, profile) for m in rows)}
        missing = [d for d in shown if measured and d not in measured]
        shown = measured or {d: rows for d, rows in shown.items() if d in printed_datasets(kind)}
    for pattern in methods:
        if not any(rows_of(kind, groups, dataset, seed, [pattern]) for dataset in shown):
            known = {m: None for dataset in shown for m in (*printed_methods(kind), *groups.methods(dataset, seed))}
            raise unknown(f"row of table {kind.name}", pattern, list(known))
    entries: dict[tuple[str, str, int | str], Entry] = {}
    left_out: list[tuple[str, Group, Group]] = []
    for dataset, rows in shown.items():
        for method in rows:
            found = groups.find(dataset, method, seed, profile)
            left_out += [(method, found[0], other) for other in found[1:]]
            for rank in kind.ranks:
                printed = reference.get((dataset, method, rank))
                entries[dataset, method, rank] = make_entry(dataset, method, rank, found, printed)
            for extra in columns:
                entries[dataset, method, extra] = make_entry(dataset, method, extra, found, None)
    rows_shown = list(dict.fromkeys(method for rows in shown.values() for method in rows))
    names = Aliases([*shown, *rows_shown], resolve(aliases, list(shown), rows_shown))
    table = Table(kind, tuple(shown), shown, entries, tuple(columns), names)
    return replace(table, notes=tuple(footnotes(table, left_out, missing)))


def make_entry(
    dataset: str, method: str, column: int | str, found: Sequence[Group], printed: Published | None
) -> Entry:
    value, erratum = (printed.value, printed.erratum) if printed else (None, False)
    if not found:
        return Entry(dataset, method, column, (), None, value, erratum)
    people = found[0].records[0].sizes.test_people
    return Entry(dataset, method, column, values_of(found[0], column), found[0], value, erratum, people)


def values_of(group: Group, column: int | str) -> tuple[float, ...]:
    """One value a split; none where a cell does not have the rank or the cost that is asked for."""
    if isinstance(column, int):
        return group.percent(column)
    if column == "map":
        return tuple(100 * scores.map for scores in group.scores.values())
    costs = [record.cost.get(COSTS[column]) for record in group.records]
    return tuple(cost for cost in costs if cost is not None) if None not in costs else ()


def printed_datasets(kind: TableKind) -> list[str]:
    return list(dict.fromkeys(p.dataset for p in published() if p.table == kind.name))


def printed_methods(kind: TableKind) -> list[str]:
    return list(dict.fromkeys(p.method for p in published() if p.table == kind.name))


def chosen_datasets(kind: TableKind, groups: Groups, patterns: Sequence[str], seed: int) -> list[str]:
    """The data sets of a table: those that patterns stand for or, without any, those that belong there."""
    printed = printed_datasets(kind)
    others = sorted(set(groups.datasets(seed)) - set(printed))
    if patterns:
        return select(patterns, [*printed, *others], "data set")
    return [*printed, *(d for d in others if kind.open and "[" not in d and main_table(d) == kind.name)]


def rows_of(kind: TableKind, groups: Groups, dataset: str, seed: int, wanted: Sequence[str]) -> tuple[str, ...]:
    """The rows of a data set in order: the paper's, then measured others that the table adds, or that are wanted."""
    printed = printed_methods(kind)
    own = groups.methods(dataset, seed)
    rows = {base_and_subset(m) for m in printed}
    listed = printed if dataset in printed_datasets(kind) else [m for m in printed if m in own]
    named = [row for row in kind.named if groups.find(dataset, row, seed)]
    others = [m for m in sorted({*own, *named}) if base_and_subset(m) not in rows]
    if not wanted:
        return (*listed, *(m for m in others if kind.adds(m)))
    available = [*listed, *others]
    hits = {name for pattern in wanted for name in matching(pattern, available)}
    # An anchor subset of a cell has no cell of its own, but may be asked for.
    parts = [w for w in wanted if not matching(w, available) and "*" not in w and groups.find(dataset, w, seed)]
    return (*(m for m in available if m in hits), *parts)


def main_table(dataset: str) -> str | None:
    """The main table of a data set: the one that prints it or, for others, the one whose data sets are like it."""
    mains = [kind for kind in table_kinds().values() if kind.main]
    for kind in mains:
        if dataset in printed_datasets(kind):
            return kind.name
    low = is_low_resolution(dataset)
    for kind in mains:
        resolutions = {is_low_resolution(name) for name in printed_datasets(kind)}
        if low is not None and low in resolutions:
            return kind.name
    return None


def main_kind(dataset: str) -> TableKind:
    """Likewise as a table: the first main one for a data set that is like none."""
    mains = [kind for kind in table_kinds().values() if kind.main]
    name = main_table(dataset)
    return next((kind for kind in mains if kind.name == name), mains[0])


@cache
def is_low_resolution(dataset: str) -> bool | None:
    """Whether a data set's probes are of low resolution; None for one that has no plug-in."""
    name = split_text(dataset)[0]
    attributes = [p.attributes for p in registry().plugins if p.kind == "dataset" and p.name == name]
    return attributes[0].get("low_resolution") is not None if attributes else None
