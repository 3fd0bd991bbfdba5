"""Leaderboards: for each data set every measured row, the printed ones, and those of later papers, best first."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np

from bench.document.against import Against, against
from bench.engine.store import Result
from bench.figures.rows import printed_ranks
from bench.report.blocks import marks, measured, reference, short_notes
from bench.report.content import Entry, Table
from bench.report.groups import Group, schedule_of, transductive
from bench.report.notes import flags
from bench.report.published import TableKind, later, papers, table_kinds
from bench.report.tables import main_kind, make_table, printed_datasets

COSTS = ("fit", "match", "memory")
MEASURED, PRINTED, LATER = "measured", "printed", "later"
SOURCES: Mapping[str, str] = {PRINTED: "printed, not measured", LATER: "later, not re-measured"}
MARKS = ("", "best", "second")


@dataclass(frozen=True)
class Place:
    """What stands in one column of a row.  value: to sort by, None for nothing.  more: small print behind the text."""

    text: str = ""
    value: float | str | None = None
    more: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a leaderboard.

    source: `MEASURED`, `PRINTED` or `LATER`.  flags: what makes its number less than it seems.  remark, paper: of a row
    that is not measured, why it is here.  group: the cells of one that is.  number: its place in the board's `against`,
    None for a row that is compared with no other.
    """

    method: str
    label: str
    source: str
    places: Mapping[str, Place]
    flags: tuple[str, ...] = ()
    remark: str = ""
    paper: str = ""
    group: Group | None = None
    number: int | None = None


@dataclass(frozen=True)
class Column:
    """key: in the places of lines.  words: whether it is sorted as text."""

    key: str
    label: str
    words: bool = False


@dataclass(frozen=True)
class Board:
    """reference: the number of the row that others are compared with at first, the best without options of its own."""

    dataset: str
    label: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    against: Against
    reference: int
    schedules: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def measured(self) -> list[tuple[Line, Group]]:
        return [(line, line.group) for line in self.lines if line.group]


def board(
    results: Sequence[Result],
    dataset: str,
    label: str,
    seed: int,
    methods: Sequence[str] = (),
    profile: str | None = None,
) -> Board:
    """The leaderboard of one data set.

    label: its name as it is printed.  methods: names or globs, each of a row of its main table; by default all rows.
    """
    kind = main_kind(dataset)
    table = make_table(kind, results, [dataset], seed, methods, profile, ("map", *COSTS))
    lines = [*own_lines(table, dataset), *([] if methods else later_lines(dataset, kind))]
    lines.sort(key=lambda line: value_of(line, kind.ranks[0]), reverse=True)
    compared, _ = table.ranked(dataset, table.methods[dataset], kind.ranks[0])
    ranked = {e.method for e in compared}
    chosen = [(line, line.group) for line in lines if line.group and line.method in ranked]
    made = against([(line.label, group) for line, group in chosen])
    numbers = {line.method: i for i, (line, _) in enumerate(chosen[: len(made.labels)])}
    reference = min((i for method, i in numbers.items() if "[" not in method), default=0)
    shown = tuple(finished(line, numbers, ranked, made, reference) for line in lines)
    schedules = sorted({str(line.places["schedule"].text) for line in shown if line.group})
    columns = tuple(columns_of(kind))
    notes = (*made.notes, *short_notes(table))
    return Board(dataset, label, columns, shown, made, reference, tuple(schedules), notes)


def columns_of(kind: TableKind) -> Iterator[Column]:
    yield Column("method", "method", words=True)
    for rank in kind.ranks:
        yield Column(str(rank), f"r={rank}")
    yield Column("map", "mAP")
    yield Column("published", "printed r=1")
    yield Column("diff", "diff")
    yield Column("compared", "compared")
    yield Column("splits", "splits")
    yield Column("schedule", "schedule", words=True)
    yield Column("fit", "fit, s")
    yield Column("match", "match, s")
    yield Column("memory", "MiB")
    yield Column("weights", "weights", words=True)


def own_lines(table: Table, dataset: str) -> Iterator[Line]:
    """The rows of a table: measured, or printed in the paper alone."""
    methods = table.methods[dataset]
    first = table.kind.ranks[0]
    marked = {rank: marks(table, methods, dataset, rank) for rank in table.kind.ranks}
    for method in methods:
        entry = table.entries[dataset, method, first]
        label = table.aliases(method)
        group, elsewhere = entry.group, printed_ranks(dataset, method)
        if group is None:
            if elsewhere:
                yield published_line(method, label, PRINTED, {r: elsewhere.get(r) for r in table.kind.ranks})
            continue
        if entry.published is None:  # another of the paper's tables may have it
            entry = replace(entry, published=elsewhere.get(first))
        places = {str(r): rank_place(table.entries[dataset, method, r], marked[r]) for r in table.kind.ranks}
        places["map"] = rank_place(table.entries[dataset, method, "map"], {})
        value, difference = reference(entry)
        places["published"] = Place(value.text, entry.published)
        places["diff"] = Place(difference.text, entry.difference)
        places |= about(group)
        for cost in COSTS:
            mean = table.entries[dataset, method, cost].mean
            places[cost] = Place("" if mean is None else in_short(mean), mean)
        yield Line(method, label, MEASURED, {"method": Place(label, label), **places}, group=group)


def later_lines(dataset: str, kind: TableKind) -> Iterator[Line]:
    for method, ranks in later(dataset).items():
        paper = papers().get(method)
        yield published_line(
            method, method, LATER, {r: ranks[r] for r in kind.ranks if r in ranks}, paper.name if paper else ""
        )


def published_line(method: str, label: str, source: str, ranks: Mapping[int, float | None], paper: str = "") -> Line:
    places = {"method": Place(label, label)}
    places |= {str(rank): Place(f"{value:.1f}", value) for rank, value in ranks.items() if value is not None}
    if source == PRINTED and "1" in places:
        places["published"] = places["1"]
    return Line(method, label, source, places, remark=SOURCES[source], paper=paper)


def rank_place(entry: Entry, marked: Mapping[str, int]) -> Place:
    value = measured(entry, 0)
    return Place(value.text, entry.mean, value.interval, MARKS[marked.get(entry.method, 0)])


def about(group: Group) -> dict[str, Place]:
    """How the numbers came about: splits, schedule, weights."""
    schedule = schedule_of(group.cell)
    starts = list(group.starts.items())
    short = ", ".join(dict.fromkeys(PurePath(name).stem for name, _ in starts))
    return {
        "splits": Place(str(len(group.splits)), len(group.splits)),
        "schedule": Place(schedule, schedule),
        "weights": Place(short, short or None, "; ".join(words for _, words in starts)),
    }


def finished(line: Line, numbers: Mapping[str, int], ranked: Container[str], made: Against, reference: int) -> Line:
    """The line with its flags, and compared with the row of a number."""
    if line.group is None:
        return line
    words = flags(line.group)
    if transductive(line.method):
        words.append("transductive")
    if line.method not in ranked and line.group.in_contract and not line.group.stale:
        words.append("other splits or data")
    number = numbers.get(line.method)
    verdict = made.verdicts[reference][number] if number is not None else None
    places = {**line.places, "compared": Place(verdict.text, verdict.value, mark=verdict.state) if verdict else Place()}
    return replace(line, places=places, flags=tuple(words), number=number)


def value_of(line: Line, rank: int) -> float:
    place = line.places.get(str(rank))
    return float(place.value) if place and place.value is not None else -1.0


def in_short(value: float) -> str:
    """Three digits that count: ``0.012``, ``1.23``, ``456``."""
    return (
        f"{value:,.0f}" if value >= 100 else np.format_float_positional(value, precision=3, fractional=False, trim="-")
    )


def datasets_of(results: Sequence[Result], seed: int) -> list[str]:
    """Data sets with finished cells: in the order of the main tables, then by name; those with options last."""
    own = sorted({r.cell.dataset for r in results if r.cell.seed == seed})
    mains = [kind for kind in table_kinds().values() if kind.main]
    printed = dict.fromkeys(dataset for kind in mains for dataset in printed_datasets(kind))
    order = {dataset: (0, place) for place, dataset in enumerate(printed)}
    return sorted(own, key=lambda d: (order.get(d, (1, 0)), "[" in d, d))
