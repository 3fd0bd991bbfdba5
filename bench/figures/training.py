"""Learning curves of networks, from the curves that cells keep."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.errors import UsageError
from bench.figures.canvas import WIDTH, Figure
from bench.figures.key import Key
from bench.figures.looks import Look, looks
from bench.figures.request import Request
from bench.figures.rows import Row, main_rows
from bench.figures.sheet import BELOW, EDGE, HANDLE, LEFT, LINE, Entry, Sheet, log_axis
from bench.figures.text import cut, plain
from bench.report.notes import by_value

TOTAL = "total"
"""The term of a loss that is minimised."""
HEIGHT = 1.1
SECOND = 0.38  # inches before a second panel, which has a scale of its own
MARKED = 4
"""Markers on a line."""


@dataclass(frozen=True)
class Curve:
    """One training of one network.  loss: by term, (steps,) each."""

    step: np.ndarray
    loss: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Line:
    """What becomes one line.  name: of the row or the term.  trainings: update and loss, (steps,) each."""

    name: str
    label: str
    look: Look
    trainings: list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Panel:
    """The trainings of one plug-in's networks, by row."""

    plugin: str
    rows: dict[Row, list[Curve]]

    def alike(self) -> Iterator[str]:
        """A line for rows that share their trainings, as those of one front-end do: one line hides the other."""
        names: dict[str, list[str]] = {}
        for row, curves in self.rows.items():
            same = repr([(c.step.tolist(), {term: v.tolist() for term, v in c.loss.items()}) for c in curves])
            names.setdefault(same, []).append(row.method)
        dataset = next(iter(self.rows)).dataset
        yield from (
            f"same curves of {self.plugin} on {dataset}: {', '.join(methods)}"
            for methods in names.values()
            if len(methods) > 1
        )

    def lines(self, key: Key) -> list[Line]:
        """The total of every row or, of a single row, every term."""

        def trainings(curves: Sequence[Curve], term: str) -> list[tuple[np.ndarray, np.ndarray]]:
            return [(curve.step, curve.loss[term]) for curve in curves if term in curve.loss]

        if len(self.rows) > 1:
            return [
                Line(row.method, key.label(row), key.look(row), trainings(curves, TOTAL))
                for row, curves in self.rows.items()
            ]
        (curves,) = self.rows.values()
        terms = list(dict.fromkeys(term for curve in curves for term in curve.loss))
        own = looks(terms)
        return [Line(term, plain(term), own[term], trainings(curves, term)) for term in terms]


def draw(request: Request) -> Figure:
    """For each data set a panel for each kind of network; a line for each row or, of a single row, each term."""
    rows = main_rows(request)
    panels = {dataset: panels_of(rows.of(dataset)) for dataset in rows.datasets}
    panels = {dataset: own for dataset, own in panels.items() if own}
    if not panels:
        raise UsageError("no cell of these holds learning curves: networks keep them, closed-form methods have none")
    shown = [row for own in panels.values() for panel in own for row in panel.rows]
    key, sheet = Key(shown), Sheet()
    for dataset, own in panels.items():
        sheet.title(key.titles(dataset))
        for abreast in (own[first : first + 2] for first in range(0, len(own), 2)):
            heights = []
            # Losses of different networks have scales of their own.
            width = (WIDTH - LEFT - EDGE - SECOND * (len(abreast) - 1)) / len(abreast)
            for place, panel in enumerate(abreast):
                left = LEFT + place * (width + SECOND)
                head = plain(panel.plugin) if len(panel.rows) > 1 else key.label(next(iter(panel.rows)))
                sheet.text(cut(head, width), left)
                axes = sheet.axes(left, width, HEIGHT, down=LINE + 0.04)
                lines = panel.lines(key)
                entries = draw_lines(axes, lines, width - HANDLE)
                if not place:
                    axes.set_ylabel("loss", labelpad=2)
                heights.append(sheet.legend(entries, left, width, LINE + 0.04 + HEIGHT + BELOW))
            sheet.y += LINE + 0.04 + HEIGHT + BELOW + max(heights) + 0.08
    sheet.line(f"Lines: mean over splits and anchors; bands: their range{key.line}")
    without = [(row.dataset, row.method, "") for row in rows.rows if row not in shown]
    left_out = [f"no learning curves: {by_value(without)}"] if without else []
    alike = [line for own in panels.values() for panel in own for line in panel.alike()]
    return sheet.finish([*left_out, *alike, *rows.notes, *key.notes])


def panels_of(rows: Sequence[Row]) -> list[Panel]:
    found: dict[str, dict[Row, list[Curve]]] = {}
    for row in rows:
        for record in row.group.records:
            for plugin, curve in curves_in(record.curves):
                found.setdefault(plugin, {}).setdefault(row, []).append(curve)
    return [Panel(plugin, own) for plugin, own in found.items()]


def curves_in(curves: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Curve]]:
    """Each plug-in's training at each anchor; what has another shape than that of the training loop is left out."""
    for by_plugin in curves.values():
        for plugin, given in by_plugin.items():
            loss = given.get("loss") if isinstance(given, Mapping) else None
            step = numbers(given.get("step")) if isinstance(loss, Mapping) else None
            if step is None or not isinstance(loss, Mapping):
                continue
            terms = {str(term): numbers(values) for term, values in loss.items()}
            kept = {term: values for term, values in terms.items() if values is not None and len(values) == len(step)}
            if kept:
                yield plugin, Curve(step, kept)


def numbers(given: object) -> np.ndarray | None:
    """A list of finite numbers as (n,) float64; None for anything else."""
    if not isinstance(given, list) or not given:
        return None
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in given):
        return None
    return np.array(given, np.float64)


def draw_lines(axes: Axes, lines: Sequence[Line], most: float) -> list[Entry]:
    """Mean and range of trainings that were recorded at the same updates, the longest where they differ.

    Returns the legend, its labels no wider than `most` inches.
    """
    entries: list[Entry] = []
    positive = True
    for line in lines:
        longest = max((tuple(step) for step, _ in line.trainings), key=lambda step: (step[-1], len(step)), default=())
        if not longest:
            continue
        values = np.array([loss for step, loss in line.trainings if tuple(step) == longest])
        low, high, own = values.min(axis=0), values.max(axis=0), line.look
        axes.fill_between(longest, low, high, color=own.colour, alpha=0.2, linewidth=0)
        axes.plot(longest, values.mean(axis=0), **own.line, markevery=max(1, len(longest) // MARKED), label=line.name)
        positive &= bool(values.min() > 0)
        entries.append((Line2D([], [], **own.line), cut(line.label, most)))
    low, high = axes.dataLim.intervaly
    if positive and high > 10 * low:
        axes.set_ylim(low / 1.4, high * 1.4)
        log_axis(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(axis="y")
    axes.set_xlabel("update", labelpad=1)
    return entries
