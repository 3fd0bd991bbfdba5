"""Rank 1 by the ratio that probes were shrunk by, and by their size in pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from bench.errors import UsageError
from bench.figures.canvas import WIDTH, Figure
from bench.figures.key import Key
from bench.figures.probes import Outcomes, Probes
from bench.figures.request import Request
from bench.figures.rows import Row, main_rows
from bench.figures.sheet import BELOW, EDGE, LEFT, LINE, Sheet
from bench.protocol.fusion import ANCHORS
from bench.protocol.statistics import confidence_interval
from bench.report.notes import by_value

BINS = 5
FEW = 6
"""Sizes that are shown one by one."""
HEIGHT = 1.6
NO_TABLE = "no table of images beside these cells: `run` writes the one of a data set that is there"


@dataclass(frozen=True)
class Bins:
    """Groups of probes, smallest first.  labels: of the groups, or of the edges between and around them."""

    name: str
    labels: tuple[str, ...]
    at_edges: bool
    edges: np.ndarray | None = None
    ratios: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.labels) - self.at_edges

    def of(self, probes: Outcomes) -> np.ndarray:
        """(P,) int64: the group of each probe."""
        if self.edges is None:
            return np.array([self.ratios.index(ratio) for ratio in probes.ratio])
        return np.clip(np.searchsorted(self.edges, probes.area), 0, self.count - 1)


def draw(request: Request) -> Figure:
    """For each data set a panel by ratio, where its probes were shrunk, and one by size."""
    rows, probes = main_rows(request), Probes(request.stores)
    found = {(row.dataset, row.method): probes.of(row.group) for row in rows.rows}
    shown = [row for row in rows.rows if found[row.dataset, row.method]]
    if not shown:
        raise UsageError(next(iter(probes.problems), NO_TABLE))
    key, sheet, notes = Key(shown), Sheet(), [*probes.problems, *rows.notes]
    datasets = list(dict.fromkeys(row.dataset for row in shown))
    labels = {d: [key.label(row) for row in shown if row.dataset == d] for d in datasets}
    for dataset in datasets:
        own = {row: found[dataset, row.method] for row in shown if row.dataset == dataset}
        without = [row.method for row, cells in own.items() if any(cell.hits is None for cell in cells)]
        if without:
            what = "rank 1 of each probe is not kept by cells of random galleries from before it was"
            notes.insert(0, f"{dataset}: mean ranks, since {what}: {', '.join(without)}")
        sheet.title(key.titles(dataset))
        for bins in bins_of([cell for cells in own.values() for cell in cells]):
            axes = sheet.axes(LEFT, WIDTH - LEFT - EDGE - 0.12, HEIGHT)
            points(axes, own, bins, key, exact=not without)
            axes.set_ylabel("mean rank of match (low is good)" if without else "matched at rank 1, %", labelpad=2)
            sheet.y += HEIGHT + BELOW + 0.08 + LINE * bins.labels[0].count("\n")
        if dataset == datasets[-1] or labels[dataset] != labels[datasets[-1]]:
            sheet.y += sheet.legend(key.entries(own)) + 0.06
    left_out = [(row.dataset, row.method, "") for row in rows.rows if row not in shown]
    if left_out:
        notes.append(f"left out, no table of images fits: {by_value(left_out)}")
    sheet.line("Whiskers: 95 % interval over splits" + key.line)
    return sheet.finish([*notes, *key.notes])


def bins_of(cells: Sequence[Outcomes]) -> list[Bins]:
    """By ratio, where all probes have one, and by size where that says more: single sizes, or equal parts of probes."""
    area, ratio = (np.concatenate([getattr(cell, name) for cell in cells]) for name in ("area", "ratio"))
    found = []
    ratios = tuple(name for name in map(str, sorted(ANCHORS)) if name in ratio)
    if ratios and all(ratio != ""):
        own_sizes = [np.unique(area[ratio == name]) for name in ratios]
        labels = ratios
        if all(len(own) == 1 for own in own_sizes):
            labels = tuple(f"{name}\n{own[0]:,.0f} px" for name, own in zip(ratios, own_sizes, strict=True))
        found.append(Bins("down-sampling ratio", labels, False, ratios=ratios))
        if labels != ratios:
            return found
    sizes = np.unique(area)
    if len(sizes) <= FEW:
        edges = (sizes[1:] + sizes[:-1]) / 2
        return [*found, Bins("probe size, pixels", tuple(f"{size:,.0f}" for size in sizes), False, edges)]
    cuts = np.unique(np.quantile(area, np.linspace(0, 1, BINS + 1)).round())
    name = f"probe size, pixels ({len(cuts) - 1} equal parts)"
    return [*found, Bins(name, tuple(f"{cut:,.0f}" for cut in cuts), True, cuts[1:-1])]


def points(axes: Axes, rows: Mapping[Row, Sequence[Outcomes]], bins: Bins, key: Key, exact: bool) -> None:
    """A point with its interval for each row and group of probes, side by side."""
    for place, (row, cells) in enumerate(rows.items()):
        by_bin = [values_in(cells, bins, number, exact) for number in range(bins.count)]
        shift = 0.7 * ((place + 0.5) / len(rows) - 0.5)
        x = [number + shift for number in range(bins.count)]
        means = [float(np.mean(values)) if values else float("nan") for values in by_bin]
        ends = [confidence_interval(values) for values in by_bin]
        own = key.look(row)
        axes.vlines(x, [low for low, _ in ends], [high for _, high in ends], color=own.colour, linewidth=0.7)
        axes.plot(x, means, **{**own.line, "linewidth": 0.5}, label=row.method)
    axes.set_xlim(-0.5, bins.count - 0.5)
    axes.set_ylim(bottom=0)
    places = [number - 0.5 if bins.at_edges else number for number in range(len(bins.labels))]
    axes.set_xticks(places, bins.labels)
    axes.set_xlabel(bins.name, labelpad=1)
    axes.grid(axis="y")
    for number in range(1, bins.count):
        axes.axvline(number - 0.5, color="0.88", linewidth=0.6, zorder=0)


def values_in(cells: Sequence[Outcomes], bins: Bins, number: int, exact: bool) -> list[float]:
    """A mean for each split that has probes in a group: percent at rank 1 where `exact`, else the rank."""
    found = []
    for cell in cells:
        inside = bins.of(cell) == number
        values = 100 * cell.hits if exact and cell.hits is not None else cell.ranks
        if inside.any():
            found.append(float(values[inside].mean()))
    return found
