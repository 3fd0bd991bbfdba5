"""CMC curves as drawn lines that a reader can switch on and off: the geometry, in the units of the drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.document.boards import Board, Line
from bench.figures.looks import COLOURS, DASHES, MARKERS, looks
from bench.figures.rows import printed_ranks
from bench.protocol.statistics import confidence_interval
from bench.report.groups import Group

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 66, 12, 12, 44
RANKS = 30
SHOWN = 8
"""Curves that are drawn at first: the best of those without options of their own."""
MARKED = (1, 5, 10, 20, 30)
"""Ranks at which a curve has a marker."""


@dataclass(frozen=True)
class Curve:
    """One row's curve.

    line, band: SVG paths; the band, empty for a single split, is the 95 % interval over splits.  points, printed:
    where markers are, (x, y); of the mean, and of the published values.  values: percent at the ranks 1, 2, ...
    colour, shape: numbers of a colour and of a marker's shape.  dashes: as SVG writes them, empty for a whole line.
    open: whether the marker is only an outline.
    """

    label: str
    line: str
    band: str
    points: tuple[tuple[float, float], ...]
    printed: tuple[tuple[float, float], ...]
    values: tuple[float, ...]
    colour: int
    shape: int
    dashes: str
    open: bool
    shown: bool


@dataclass(frozen=True)
class Chart:
    """width, height: of the drawing.  x, y: ticks, a label and its place each.  ranks: how many.  left, right: of x."""

    curves: tuple[Curve, ...]
    x: tuple[tuple[str, float], ...]
    y: tuple[tuple[str, float], ...]
    ranks: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def chart(board: Board) -> Chart:
    """The curves of a leaderboard's measured rows, of which there must be one, best first."""
    rows = board.measured
    ranks = min(RANKS, max(group.ranks for _, group in rows))
    drawn = looks([line.method for line, _ in rows])
    first = [line for line, _ in rows if "[" not in line.method] or [line for line, _ in rows]
    curves = []
    for line, group in rows:
        look = drawn[line.method]
        style = (COLOURS.index(look.colour), MARKERS.index(look.marker), dashes_of(look.dashes), not look.whole)
        curves.append(curve(board.dataset, line, group, ranks, style, line in first[:SHOWN]))
    ticks_x = [rank for rank in (1, 5, 10, 15, 20, 25, 30) if rank <= ranks]
    return Chart(
        tuple(curves),
        tuple((str(rank), x_of(rank, ranks)) for rank in ticks_x),
        tuple((str(value), y_of(value)) for value in range(0, 101, 20)),
        ranks,
    )


def curve(dataset: str, line: Line, group: Group, ranks: int, style: tuple[int, int, str, bool], shown: bool) -> Curve:
    own = range(1, min(ranks, group.ranks) + 1)
    percent = [group.percent(rank) for rank in own]
    means = [float(np.mean(values)) for values in percent]
    mean = [(x_of(rank, ranks), y_of(value)) for rank, value in zip(own, means, strict=True)]
    limits = [confidence_interval(values) for values in percent]
    band = ""
    if len(group.splits) > 1:
        upper = [(x_of(rank, ranks), y_of(min(high, 100))) for rank, (_, high) in zip(own, limits, strict=True)]
        lower = [(x_of(rank, ranks), y_of(max(low, 0))) for rank, (low, _) in zip(own, limits, strict=True)]
        band = path([*upper, *reversed(lower)]) + "Z"
    published = printed_ranks(dataset, line.method)
    return Curve(
        line.label,
        path(mean),
        band,
        tuple(mean[rank - 1] for rank in MARKED if rank in own),
        tuple((x_of(rank, ranks), y_of(value)) for rank, value in published.items() if rank <= ranks),
        tuple(round(value, 1) for value in means),
        *style,
        shown,
    )


def x_of(rank: int, ranks: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * (rank - 1) / max(ranks - 1, 1), 1)


def y_of(percent: float) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - percent / 100), 1)


def path(points: Sequence[tuple[float, float]]) -> str:
    """``M44 10L55 12...``"""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def dashes_of(dashes: object) -> str:
    """A dash pattern of matplotlib's, in multiples of the line's width, for a line of 2 units."""
    return "" if dashes == DASHES[0] else " ".join(f"{2 * part:g}" for part in dashes[1])  # type: ignore[index]
