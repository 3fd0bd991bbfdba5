"""Mean CMC curves of rows of the main tables, with the tables' intervals and published points."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from bench.figures.canvas import WIDTH, Figure
from bench.figures.key import Key
from bench.figures.looks import parts
from bench.figures.request import Request
from bench.figures.rows import Row, main_rows
from bench.figures.sheet import BELOW, EDGE, GAP, LEFT, Sheet, ticks
from bench.protocol.statistics import confidence_interval

TOGETHER = {1: 7, 2: 5}
"""Curves in one panel, by panels side by side: more cannot be told apart."""
MARKED = (1, 5, 10, 20, 50)
"""Ranks at which curves have a marker."""


def draw(request: Request) -> Figure:
    """A block of panels for each data set; rows that share their matching method share a panel."""
    rows = main_rows(request)
    key, sheet = Key(rows.rows), Sheet()
    broad = key.widest > sheet.half - 0.5
    for dataset in rows.datasets:
        sheet.title(key.titles(dataset))
        shown = rows.of(dataset)
        beside = 1 if broad or len(shown) <= TOGETHER[2] else 2
        panels = panels_of(shown, beside)
        width, height = (WIDTH - LEFT - EDGE, 1.5) if beside == 1 else (sheet.half, 1.15)
        for first in range(0, len(panels), beside):
            heights = []
            for place, some in enumerate(panels[first : first + beside]):
                left = LEFT + place * (width + GAP)
                axes = sheet.axes(left, width, height)
                curves(axes, some, key)
                if place:
                    axes.tick_params(labelleft=False)
                else:
                    axes.set_ylabel("matched, %", labelpad=2)
                heights.append(sheet.legend(key.entries(some), left, width, height + BELOW))
            sheet.y += height + BELOW + max(heights) + 0.06
    rings = "; hollow: published" if any(row.published for row in rows.rows) else ""
    sheet.line(f"Bands: 95 % interval over splits{rings}{key.line}")
    return sheet.finish([*rows.notes, *key.notes])


def panels_of(rows: Sequence[Row], beside: int) -> list[list[Row]]:
    """Rows of one matching method together, those that are alone with theirs in one panel; wide panels take several."""
    most = TOGETHER[beside]
    families: dict[str, list[Row]] = {}
    for row in rows:
        families.setdefault(parts(row.method)[1], []).append(row)
    alone = [row for family in families.values() if len(family) == 1 for row in family]
    panels: list[list[Row]] = []
    for group in [*(family for family in families.values() if len(family) > 1), alone]:
        free = [panel for panel in panels if beside == 1 and len(panel) + len(group) <= most]
        if free:
            free[0].extend(group)
        else:
            panels += [group[i : i + most] for i in range(0, len(group), most)]
    return panels


def curves(axes: Axes, rows: Sequence[Row], key: Key) -> None:
    """Mean curves over a logarithmic axis of ranks, so that the first ranks have room."""
    most = max(row.group.ranks for row in rows)
    for row in rows:
        ranks = range(1, row.group.ranks + 1)
        means = [row.group.mean(rank) for rank in ranks]
        low, high = zip(*(confidence_interval(row.group.percent(rank)) for rank in ranks), strict=True)
        marked = [rank - 1 for rank in (*MARKED, row.group.ranks) if rank in ranks]
        own = key.look(row)
        axes.plot(ranks, means, **own.line, markevery=sorted(set(marked)), label=row.method)
        axes.fill_between(ranks, low, high, color=own.colour, alpha=0.2, linewidth=0)
        if row.published:
            axes.plot(list(row.published), list(row.published.values()), **own.hollow)
    axes.set_xscale("log")
    axes.set_xlim(0.9, max(most, 2) * 1.12)
    axes.set_ylim(0, 103)
    axes.grid(axis="y")
    ticks(axes, MARKED)
    ticks(axes, range(0, 101, 20), "y")
    axes.set_xlabel("rank", labelpad=1)
