"""Rank 1 against alpha, the weight of the super-resolution loss: the paper's Figure 6."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from matplotlib.axes import Axes

from bench.errors import UsageError
from bench.figures.canvas import WIDTH, Figure
from bench.figures.key import Key
from bench.figures.looks import parts
from bench.figures.request import Request
from bench.figures.rows import Row, printed, table_rows
from bench.figures.sheet import BELOW, EDGE, GAP, LEFT, Sheet, ticks
from bench.plugin.grammar import MethodOptions, canonical, split_text
from bench.plugin.registry import registry
from bench.protocol.statistics import confidence_interval
from bench.report.groups import as_value, base_and_subset
from bench.report.notes import plural
from bench.report.published import find_table

TABLE = "fig6"
PARAMETER = "alpha"
HEIGHT = 1.5


@dataclass(frozen=True)
class Line:
    """Rows that differ in alpha alone, by alpha.  splits: those that all have, which its points are means of."""

    dataset: str
    family: str
    rows: dict[float, Row]

    @cached_property
    def splits(self) -> tuple[int, ...]:
        every = [set(row.group.splits) for row in self.rows.values()]
        return tuple(sorted(set.intersection(*every)))

    @cached_property
    def head(self) -> Row:
        """What stands for all: the row of fewest cells."""
        return Row(self.dataset, self.family, min((r.group for r in self.rows.values()), key=lambda g: len(g.splits)))

    @cached_property
    def published(self) -> dict[float, float]:
        """By alpha."""
        found = {}
        for (dataset, name), ranks in printed().items():
            place = family_of(*name.rpartition(" ")[::2]) if dataset == self.dataset else None
            if place and place[0] == self.family and 1 in ranks:
                found[place[1]] = ranks[1]
        return dict(sorted(found.items()))

    @property
    def alike(self) -> bool:
        """Whether its points differ in alpha alone: same splits, schedule, data, weights and versions."""
        groups = [row.group for row in self.rows.values()]
        return (
            bool(self.splits)
            and len({(g.cell.profile, g.cell.weights, bool(g.stale), g.comparable) for g in groups}) == 1
        )

    @property
    def reach(self) -> list[float]:
        """All that is to be seen of it, in percent."""
        bounds = [end for alpha in self.rows for end in confidence_interval(self.values(alpha)) if end == end]
        return [*bounds, *(max(self.values(alpha)) for alpha in self.rows), *self.published.values()]

    @property
    def about_splits(self) -> str:
        """Which splits its points are of, where rows have others too; empty otherwise."""
        if all(row.group.splits == self.splits for row in self.rows.values()):
            return ""
        if not self.splits:
            return f"{self.family} on {self.dataset}: points of different splits"
        return f"{self.family} on {self.dataset}: {plural('split', self.splits)} alone, which all points have"

    def values(self, alpha: float) -> tuple[float, ...]:
        """Rank 1 in percent, a value a split."""
        group = self.rows[alpha].group
        chosen = set(self.splits or group.splits)
        return tuple(v for split, v in zip(group.splits, group.percent(1), strict=True) if split in chosen)


def draw(request: Request) -> Figure:
    """A panel for each data set, a line for all that differs in alpha alone; hollow: published."""
    rows = table_rows(request, find_table(TABLE))
    lines = [line for dataset in rows.datasets for line in lines_of(dataset, rows.of(dataset))]
    if not lines:
        raise UsageError(f"no finished cell of a method that has the parameter {PARAMETER}")
    datasets = list(dict.fromkeys(line.dataset for line in lines))
    key, sheet = Key(line.head for line in lines), Sheet()
    beside = min(2, len(datasets))
    width = sheet.half if beside == 2 else WIDTH - LEFT - EDGE
    every = sorted({alpha for line in lines for alpha in (*line.rows, *line.published)})
    top = 1.12 * max(value for line in lines for value in line.reach)
    for number, dataset in enumerate(datasets):
        place = number % beside
        sheet.heading(key.titles(dataset), LEFT + place * (width + GAP), width)
        axes = sheet.axes(LEFT + place * (width + GAP), width, HEIGHT, down=0.2)
        panel(axes, [line for line in lines if line.dataset == dataset], key)
        axes.set_ylim(0, top)
        axes.set_xlim(every[0] - 0.08 * (every[-1] or 1), every[-1] + 0.08 * (every[-1] or 1))
        ticks(axes, every)
        if place:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("matched at rank 1, %", labelpad=2)
        if place == beside - 1 or number == len(datasets) - 1:
            sheet.y += 0.2 + HEIGHT + BELOW + 0.04
    sheet.y += sheet.legend(key.entries(line.head for line in lines)) + 0.04
    rings = "; hollow: published" if any(line.published for line in lines) else ""
    sheet.line(f"Whiskers: 95 % interval over splits{rings}{key.line}")
    partial = [line.about_splits for line in lines if line.about_splits]
    return sheet.finish([*dict.fromkeys(partial), *rows.notes, *key.notes])


def lines_of(dataset: str, rows: Sequence[Row]) -> list[Line]:
    """The rows that have the parameter, by all else that they are."""
    families: dict[str, dict[float, Row]] = {}
    for row in rows:
        if found := family_of(*base_and_subset(row.method)):
            families.setdefault(found[0], {})[found[1]] = row
    return [Line(dataset, family, dict(sorted(own.items()))) for family, own in families.items()]


@cache
def family_of(base: str, subset: str) -> tuple[str, float] | None:
    """A row's name without the parameter, and the parameter's value; None where it has none."""
    name, pairs = split_text(base)
    defaults = [p.defaults for p in registry().plugins if p.kind == "method" and p.name == parts(name)[1]]
    value = as_value(pairs.pop(PARAMETER, str(defaults[0].get(PARAMETER, "")) if defaults else ""))
    if isinstance(value, str | bool):
        return None
    given = {key: as_value(text) for key, text in pairs.items()}
    return canonical(name, [given, {"anchors": subset} if subset != MethodOptions.anchors else {}]), value


def panel(axes: Axes, lines: Sequence[Line], key: Key) -> None:
    for line in lines:
        own = key.look(line.head)
        values = {alpha: line.values(alpha) for alpha in line.rows}
        means = [float(np.mean(v)) for v in values.values()]
        low, high = zip(*(confidence_interval(v) for v in values.values()), strict=True)
        axes.vlines(list(values), low, high, color=own.colour, linewidth=0.7)
        style = own.line if line.alike else own.points
        axes.plot(list(values), means, **style, label=line.family)
        if line.published:
            axes.plot(list(line.published), list(line.published.values()), **own.hollow)
    axes.grid(axis="y")
    axes.set_xlabel(PARAMETER, labelpad=1)
