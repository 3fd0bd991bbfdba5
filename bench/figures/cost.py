"""Rank 1 against what a split costs: time to fit, time to match, memory, and parameters where they are recorded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from bench.figures.canvas import WIDTH, Figure
from bench.figures.key import Key
from bench.figures.request import Request
from bench.figures.rows import Row, main_rows
from bench.figures.sheet import BELOW, EDGE, GAP, LEFT, Sheet, log_axis
from bench.protocol.statistics import confidence_interval
from bench.report.notes import by_value

HEIGHT = 1.25
RIGHT = 0.14  # inches: the last number of an axis may stand at its end


@dataclass(frozen=True)
class Cost:
    """What a record's ``cost`` has under a name, and its name on an axis."""

    key: str
    label: str
    words: str


COSTS = (
    Cost("fit_seconds", "fit, s", "time to fit"),
    Cost("match_seconds", "match, s", "time to match"),
    Cost("peak_memory_mib", "memory, MiB", "memory"),
    Cost("parameters", "parameters", "parameters"),
)
SHORTEST = 0.001
"""Seconds and MiB below this are drawn there: an axis is logarithmic."""


def draw(request: Request) -> Figure:
    """A panel for each cost that is recorded; a point for each row, the median over its splits."""
    rows = main_rows(request)
    key, sheet = Key(rows.rows), Sheet()
    costs = [cost for cost in COSTS if any(costs_of(row, cost) for row in rows.rows)]
    for dataset in rows.datasets:
        own = rows.of(dataset)
        top = 1.1 * max(max(row.group.percent(1)) for row in own) or 1.0
        sheet.title(key.titles(dataset))
        beside = 2 if len(costs) in (2, 4) else 3
        width = (WIDTH - LEFT - RIGHT - GAP * (beside - 1)) / beside
        for first in range(0, len(costs), beside):
            for place, cost in enumerate(costs[first : first + beside]):
                axes = sheet.axes(LEFT + place * (width + GAP), width, HEIGHT)
                panel(axes, own, cost, key)
                axes.set_ylim(0, top)
                axes.tick_params(labelleft=not place)
                if not place:
                    axes.set_ylabel("matched at rank 1, %", labelpad=2)
            sheet.y += HEIGHT + BELOW + 0.06
    sheet.y += sheet.legend(key.entries(rows.rows, linestyle="none"), EDGE) + 0.05
    absent = [cost.words for cost in COSTS if cost not in costs]
    missing = f"; not recorded: {', '.join(absent)}" if absent else ""
    sheet.line(f"Whiskers: 95 % interval over splits; costs: median of a split{missing}{key.line}")
    return sheet.finish([*not_recorded(rows.rows, costs), *machines(rows.rows), *rows.notes, *key.notes])


def costs_of(row: Row, cost: Cost) -> list[float]:
    """One value a split that has it."""
    return [value for record in row.group.records if (value := record.cost.get(cost.key)) is not None]


def panel(axes: Axes, rows: Sequence[Row], cost: Cost, key: Key) -> None:
    for row in rows:
        if values := costs_of(row, cost):
            x, percent = max(float(np.median(values)), SHORTEST), row.group.percent(1)
            look = key.look(row)
            axes.vlines([x], *confidence_interval(percent), color=look.colour, linewidth=0.7)
            axes.plot([x], [float(np.mean(percent))], **look.points, label=row.method)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.15, high * 1.15)
    log_axis(axes, most=3)
    axes.grid()
    axes.set_xlabel(cost.label, labelpad=1)


def not_recorded(rows: Sequence[Row], costs: Sequence[Cost]) -> list[str]:
    """Which rows lack which of the costs that others have."""
    lines = []
    for cost in costs:
        without = [(row.dataset, row.method, "") for row in rows if not costs_of(row, cost)]
        lines += [f"{cost.words} not recorded: {by_value(without)}"] if without else []
    return lines


def machines(rows: Sequence[Row]) -> list[str]:
    """Where the cells were computed, if not all on one kind of machine: then their times are not of one measure."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for record in row.group.records:
            where = f"{record.computed.machine}{f', {record.computed.device}' if record.computed.device else ''}"
            found.setdefault(where, set()).add(row.method)
    if len(found) < 2:
        return []
    each = (f"{where}: {', '.join(sorted(methods))}" for where, methods in sorted(found.items()))
    return [f"computed on different machines or devices, times are not of one measure: {'; '.join(each)}"]
