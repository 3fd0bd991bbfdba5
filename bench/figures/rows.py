"""The rows that a figure shows: chosen as for tables, with what a reader must know of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from bench.errors import UsageError
from bench.figures.request import Request
from bench.figures.text import plain
from bench.report.content import Table
from bench.report.groups import Group, Groups
from bench.report.names import normal, select
from bench.report.notes import flags
from bench.report.published import TableKind, published, table_kinds
from bench.report.tables import chosen_datasets, main_kind, make_table, printed_datasets, rows_of

MARKS = "*†‡§¶"
"""Beside the label of a row that is not what it seems."""


@dataclass(frozen=True, eq=False)
class Row:
    """Cells of one method on one data set, as a table takes them."""

    dataset: str
    method: str
    group: Group

    @property
    def published(self) -> dict[int, float]:
        """Published percent by rank, from any table of the paper."""
        return printed_ranks(self.dataset, self.method)


@cache
def printed() -> dict[tuple[str, str], dict[int, float]]:
    """(data set, method) -> percent by rank, as the paper's tables print it; errata are left out."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for p in published():
        if p.table in table_kinds() and p.value is not None and not p.erratum:
            found.setdefault((p.dataset, normal(p.method)), {}).setdefault(p.rank, p.value)
    return found


def printed_ranks(dataset: str, method: str) -> dict[int, float]:
    """Likewise of one method, however its options are written."""
    return printed().get((dataset, normal(method)), {})


@dataclass(frozen=True)
class Rows:
    """Rows of several data sets, in order.  notes: the footnotes that a table of them would have."""

    datasets: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def of(self, dataset: str) -> list[Row]:
        return [row for row in self.rows if row.dataset == dataset]


def main_rows(request: Request) -> Rows:
    """Rows of the main table of each data set that is asked for; of none, those of the first main table with cells.

    Methods with options are shown where they are named.  UsageError where there is no cell.
    """
    groups = Groups(request.results)
    mains = [kind for kind in table_kinds().values() if kind.main]
    names = named_datasets(request, groups, mains)
    by_table = {kind: [d for d in names if main_kind(d) is kind] for kind in mains}
    found: list[Rows] = []
    for kind, own in by_table.items():
        datasets = own if request.datasets else chosen_datasets(kind, groups, (), request.seed)
        if datasets and (request.datasets or not found):
            found += rows_of_table(request, groups, kind, datasets, options=False)
    return together(request, found)


def table_rows(request: Request, kind: TableKind) -> Rows:
    """Rows of one table, of the data sets that are asked for or that it has by itself; UsageError without a cell."""
    groups = Groups(request.results)
    datasets = named_datasets(request, groups, [kind]) or chosen_datasets(kind, groups, (), request.seed)
    return together(request, rows_of_table(request, groups, kind, datasets, options=True))


def named_datasets(request: Request, groups: Groups, kinds: Sequence[TableKind]) -> list[str]:
    """The data sets that the request names; none where it names none."""
    known = [dataset for kind in kinds for dataset in printed_datasets(kind)] + sorted(groups.datasets(request.seed))
    return select(request.datasets, list(dict.fromkeys(known)), "data set") if request.datasets else []


def together(request: Request, found: Sequence[Rows]) -> Rows:
    if not found:
        raise UsageError(nothing(request))
    return Rows(
        tuple(dataset for some in found for dataset in some.datasets),
        tuple(row for some in found for row in some.rows),
        tuple(dict.fromkeys(note for some in found for note in some.notes)),
    )


def rows_of_table(
    request: Request, groups: Groups, kind: TableKind, datasets: Sequence[str], options: bool
) -> list[Rows]:
    """The rows of a table that have cells on some data sets, with its notes on them; none, or one element.

    options: methods that have some are shown although none was named.
    """

    def wanted(dataset: str) -> list[str]:
        rows = rows_of(kind, groups, dataset, request.seed, request.methods)
        rows = tuple(m for m in rows if request.methods or options or "[" not in m)
        return [m for m in rows if groups.find(dataset, m, request.seed, request.profile)]

    shown = {dataset: rows for dataset in datasets if (rows := wanted(dataset))}
    if not shown:
        return []
    methods = list(dict.fromkeys(m for rows in shown.values() for m in rows))
    return [measured(make_table(kind, request.results, list(shown), request.seed, methods, request.profile))]


def measured(table: Table) -> Rows:
    """The rows of a table that have cells."""
    rows = []
    for dataset in table.datasets:
        for method in table.methods[dataset]:
            group = table.entries[dataset, method, table.kind.ranks[0]].group
            if group is not None:
                rows.append(Row(dataset, method, group))
    without = {
        d: [m for m in table.methods[d] if not any(r.dataset == d and r.method == m for r in rows)]
        for d in table.datasets
    }
    notes = [f"no finished cell on {dataset}: {', '.join(names)}" for dataset, names in without.items() if names]
    notes += [note for note in table.notes if not note.startswith("--")]
    datasets = tuple(d for d in table.datasets if any(row.dataset == d for row in rows))
    return Rows(datasets, tuple(rows), tuple(notes))


def nothing(request: Request) -> str:
    """That there is no cell of what is asked for."""
    what = [*(f"of {m}" for m in request.methods), *(f"on {d}" for d in request.datasets)]
    what += [f"of profile {request.profile}"] if request.profile else []
    what += [f"of seed {request.seed}"] if request.seed else []
    return f"no finished cell {' '.join(what)}".rstrip() + "; `status` says what there is"


def remarks(group: Group) -> list[str]:
    """What a reader must know of a row beside its number, in few words each."""
    return [*([f"schedule {group.cell.profile}"] if group.cell.profile != "paper" else []), *flags(group)]


class Marks:
    """Signs for what holds of some rows of a figure, and the line that explains them; what holds of all has none."""

    def __init__(self, groups: Iterable[Group]) -> None:
        every = [remarks(group) for group in groups]
        found = list(dict.fromkeys(word for words in every for word in words))
        self._all = [word for word in found if all(word in words for words in every)]
        self._some = dict(zip((word for word in found if word not in self._all), signs(), strict=False))

    def __call__(self, *groups: Group) -> str:
        """What holds of any of them."""
        found = {word for group in groups for word in remarks(group)}
        return "".join(sign for word, sign in self._some.items() if word in found)

    @property
    def line(self) -> str:
        """To be added to another line; empty where there is nothing to say."""
        parts = [f"{sign} {word}" for word, sign in self._some.items()]
        parts += [f"all: {', '.join(self._all)}"] if self._all else []
        return "".join(f"; {plain(part)}" for part in parts)


def signs() -> Iterable[str]:
    for times in range(1, 9):
        yield from (sign * times for sign in MARKS)
