"""Published methods by year, with what was measured here; later papers' numbers are marked as not measured again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.figures.canvas import WIDTH, Figure
from bench.figures.looks import parts
from bench.figures.request import Request
from bench.figures.rows import Marks, Row, Rows, main_rows, nothing
from bench.figures.sheet import BELOW, EDGE, Sheet
from bench.figures.text import Labels, width
from bench.protocol.statistics import confidence_interval
from bench.report.groups import Groups
from bench.report.names import select
from bench.report.published import papers, published, table_kinds

ABREAST = 2
LINE_HEIGHT = 0.145
GAP = 0.17
YEAR = 0.45  # inches for a year
PRINTED: dict[str, Any] = {"color": "#000000", "marker": "o", "markerfacecolor": "none", "markersize": 4.5}
LATER: dict[str, Any] = {"color": "#7F7F7F", "marker": "x", "markersize": 4.0}
OURS: dict[str, Any] = {"color": "#0072B2", "marker": "s", "markersize": 3.2}
UNKNOWN = 9999  # the year of a method that has none: last


@dataclass
class Told:
    """A method's published rank 1 by data set.  later: of a paper that is not reproduced here."""

    values: dict[str, float] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)


def draw(request: Request) -> Figure:
    """Methods from top to bottom in the order of years, a panel for each data set."""
    told = published_methods()
    datasets = chosen_datasets(request, told)
    methods = chosen_methods(request, told, datasets)
    rows = measured_rows(request, methods, datasets)
    found = {(row.dataset, row.method): row for row in rows.rows}
    sheet, labels, titles = Sheet(), Labels(methods, 1.0), Labels(datasets, WIDTH - 2 * EDGE)
    marks = Marks(row.group for row in rows.rows)
    names = [labels(m) + marks(*(row.group for row in rows.rows if row.method == m)) for m in methods]
    left = YEAR + max(width(name) for name in names)
    beside = min(ABREAST, len(datasets))
    for first in range(0, len(datasets), ABREAST):
        abreast = datasets[first : first + ABREAST]
        own = (WIDTH - left - EDGE - GAP * (beside - 1)) / beside
        height = LINE_HEIGHT * len(methods)
        for number, dataset in enumerate(abreast):
            at = left + number * (own + GAP)
            sheet.heading(titles(dataset), at, own)
            axes = sheet.axes(at, own, height, down=0.2)
            panel(axes, methods, dataset, told, found)
            axes.set_yticks(range(len(methods)), [] if number else names)
            axes.tick_params(axis="y", length=0)
        for place in new_years(methods):
            year = year_of(methods[place])
            sheet.text("?" if year == UNKNOWN else str(year), EDGE, down=0.225 + place * LINE_HEIGHT)
        sheet.y += 0.2 + height + BELOW + 0.05
    entries = [
        (Line2D([], [], linestyle="none", **style), label)
        for style, label in ((PRINTED, "published"), (OURS, "measured here"), (LATER, "later papers, not re-measured"))
    ]
    sheet.y += sheet.legend(entries, EDGE) + 0.03
    sheet.line(f"Whiskers: 95 % interval over splits{marks.line}")
    return sheet.finish([*rows.notes, *labels.notes, *titles.notes])


def new_years(methods: Sequence[str]) -> list[int]:
    """The places of the first method of each year."""
    return [i for i, method in enumerate(methods) if not i or year_of(method) != year_of(methods[i - 1])]


def year_of(method: str) -> int:
    """Of the paper that a method is from; of one behind a front-end, that of what matches."""
    paper = papers().get(method) or papers().get(parts(method)[1])
    return paper.year if paper else UNKNOWN


def published_methods() -> dict[str, Told]:
    """Every published method, without ablations, in the order of years."""
    found: dict[str, Told] = {}
    for p in published():
        if p.rank == 1 and p.value is not None and not p.erratum and "[" not in p.method:
            told = found.setdefault(p.method, Told())
            if p.dataset not in told.values:
                told.values[p.dataset] = p.value
                told.later |= set() if p.table in table_kinds() else {p.dataset}
    return dict(sorted(found.items(), key=lambda item: year_of(item[0])))


def chosen_datasets(request: Request, told: Mapping[str, Told]) -> list[str]:
    """The data sets that are asked for, else those of the first main table that have cells; UsageError for none."""
    known = list(dict.fromkeys(dataset for own in told.values() for dataset in own.values))
    if request.datasets:
        return select(request.datasets, known, "data set with published numbers")
    return [d for d in main_rows(replace(request, methods=())).datasets if d in known] or known[:1]


def chosen_methods(request: Request, told: Mapping[str, Told], datasets: Sequence[str]) -> list[str]:
    """The methods that are asked for; else all, of several front-ends before one method the best as published."""
    known = [m for m, own in told.items() if set(datasets) & own.values.keys()]
    if request.methods:
        return select(request.methods, known, "published method")
    best: dict[str, str] = {}
    for method in known:
        family = method if method in papers() else parts(method)[1]
        mean = {m: np.mean([told[m].values.get(d, 0) for d in datasets]) for m in (method, best.get(family, method))}
        best[family] = max(mean, key=lambda m: mean[m])
    return sorted(best.values(), key=lambda m: (year_of(m), known.index(m)))


def measured_rows(request: Request, methods: Sequence[str], datasets: Sequence[str]) -> Rows:
    """What has cells of it."""
    groups = Groups(request.results)
    cells = [(d, m) for d in datasets for m in methods if groups.find(d, m, request.seed, request.profile)]
    if not cells:
        return Rows((), (), (nothing(request),))
    asked = replace(request, methods=list({m: None for _, m in cells}), datasets=list({d: None for d, _ in cells}))
    return main_rows(asked)


def panel(
    axes: Axes, methods: Sequence[str], dataset: str, told: Mapping[str, Told], rows: Mapping[tuple[str, str], Row]
) -> None:
    for place, method in enumerate(methods):
        own = told[method]
        if dataset in own.values:
            style = LATER if dataset in own.later else PRINTED
            axes.plot([own.values[dataset]], [place], linestyle="none", **style)
        if row := rows.get((dataset, method)):
            values = row.group.percent(1)
            axes.hlines([place], *confidence_interval(values), color=OURS["color"], linewidth=0.8)
            axes.plot([row.group.mean(1)], [place], linestyle="none", label=method, **OURS)
    for place in new_years(methods)[1:]:
        axes.axhline(place - 0.5, color="0.6", linewidth=0.4)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_xlim(0, min(1.08 * axes.get_xlim()[1], 103))
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10], integer=True))
    axes.grid(axis="x")
    axes.set_xlabel("rank 1, %", labelpad=1)
