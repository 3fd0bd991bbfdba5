"""The published reference numbers, and which tables there are: all read from ``results/published``."""

import csv
from dataclasses import dataclass
from functools import cache

from bench.plugin.registry import ROOT, unknown

PUBLISHED = ROOT / "results" / "published"


@dataclass(frozen=True)
class Published:
    """A printed number.

    value: percent, None where the paper has none.  erratum: it cannot be right as printed.  shots: images of each
    person in the gallery; a number of several shots is one of the data set with ``gallery_shots``.
    """

    table: str
    dataset: str
    method: str
    rank: int
    value: float | None
    erratum: bool
    shots: int = 1


@dataclass(frozen=True)
class Paper:
    """Where a published method is from.  name: authors and venue."""

    year: int
    name: str


@dataclass(frozen=True)
class TableKind:
    """A table of the paper.  open: measured methods that it does not list are added below; main: shown after a run.

    rows: further rows: measured methods that a table which is not open adds, and anchor subsets of stored cells; one
    that ends in ``*`` stands for all that begin so.
    """

    name: str
    title: str
    ranks: tuple[int, ...]
    open: bool
    main: bool
    rows: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        return f"Table {self.name}: {self.title}"

    @property
    def named(self) -> tuple[str, ...]:
        """The added rows that are named whole, which may be anchor subsets of a stored cell."""
        return tuple(row for row in self.rows if not row.endswith("*"))

    def adds(self, method: str) -> bool:
        """Whether a measured method that the paper's table does not list is shown."""
        return self.open or any(
            method.startswith(row[:-1]) if row.endswith("*") else method == row for row in self.rows
        )


@cache
def published() -> tuple[Published, ...]:
    """Every published rank, in file order."""
    rows = []
    with (PUBLISHED / "published.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["rank"].isdecimal():
                value = float(row["value"]) if row["value"] else None
                shots = int(row["shots"])
                dataset = row["dataset"] if shots == 1 else f"{row['dataset']}[gallery_shots={shots}]"
                erratum = row["note"].startswith("erratum")
                rows.append(Published(row["table"], dataset, row["method"], int(row["rank"]), value, erratum, shots))
    return tuple(rows)


@cache
def papers() -> dict[str, Paper]:
    """The paper of every published method."""
    with (PUBLISHED / "methods.csv").open(newline="", encoding="utf-8") as file:
        return {row["method"]: Paper(int(row["year"]), row["paper"]) for row in csv.DictReader(file)}


@cache
def table_kinds() -> dict[str, TableKind]:
    """The tables that can be printed, by name."""
    with (PUBLISHED / "tables.csv").open(newline="", encoding="utf-8") as file:
        kinds = [
            TableKind(
                row["table"],
                row["title"],
                tuple(map(int, row["ranks"].split())),
                row["open"] == "yes",
                row["main"] == "yes",
                tuple(row["rows"].split()),
            )
            for row in csv.DictReader(file)
        ]
    return {kind.name: kind for kind in kinds}


def later(dataset: str) -> dict[str, dict[int, float]]:
    """Percent by rank of the methods of later papers on a data set, whose tables are not among ours."""
    found: dict[str, dict[int, float]] = {}
    for p in published():
        if p.dataset == dataset and p.table not in table_kinds() and p.value is not None and not p.erratum:
            found.setdefault(p.method, {})[p.rank] = p.value
    return found


def find_table(name: str) -> TableKind:
    kinds = table_kinds()
    if name not in kinds:
        raise unknown("table", name, list(kinds))
    return kinds[name]


@cache
def known_gaps() -> dict[tuple[str, str, str, int], str]:
    """Rows known to lie outside sampling noise of their published value: (table, dataset, method, rank) -> cause."""
    with (PUBLISHED / "known_gaps.csv").open(newline="", encoding="utf-8") as file:
        return {(r["table"], r["dataset"], r["method"], int(r["rank"])): r["cause"] for r in csv.DictReader(file)}
