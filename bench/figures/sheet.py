"""A column that is filled from the top: panels, legends and lines of text, placed in inches."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.figures.canvas import NORMAL, SMALL, WIDTH, Figure
from bench.figures.text import BOLD, cut, wrapped
from bench.figures.text import width as text_width

Entry = tuple[Artist, str]
"""Of a legend."""

PAGE = 9.5  # inches
LINE = 0.128  # inches from line to line of small text
EDGE = 0.05
LEFT = 0.45
"""Inches for the labels of a vertical axis."""
BELOW = 0.31
"""Inches for the labels of a horizontal axis, its name among them."""
HANDLE, COLUMN_GAP = 2.9 * SMALL / 72, 0.12
"""Of a legend, in inches."""
GAP = 0.12
"""Inches between panels side by side."""


class Sheet:
    """A figure in the making.  y: inches from its top to where the next thing goes."""

    def __init__(self) -> None:
        self.figure = Figure()
        self.y = EDGE
        self._later: list[Callable[[float], object]] = []

    @property
    def half(self) -> float:
        """Width of one of two panels side by side that share their vertical axis."""
        return (WIDTH - LEFT - EDGE - GAP) / 2

    def title(self, text: str) -> None:
        """A heading over the whole width."""
        self.heading(text)
        self.y += LINE + 0.06

    def heading(self, text: str, left: float = EDGE, width: float = WIDTH - 2 * EDGE) -> None:
        """A line in bold, cut to so many inches, its top at the present place."""
        self.text(cut(text, width / BOLD, NORMAL), left, fontsize=NORMAL, fontweight="bold")

    def axes(self, left: float, width: float, height: float, down: float = 0.0) -> Axes:
        """Axes at `left` inches and `down` below the present place, which stays where it is."""
        made = self.figure.add_axes((0.1, 0.1, 0.1, 0.1))
        top = self.y + down

        def place(total: float) -> None:
            made.set_position((left / WIDTH, 1 - (top + height) / total, width / WIDTH, height / total))

        self._later.append(place)
        return made

    def text(self, line: str, left: float = EDGE, down: float = 0.0, **style: Any) -> None:
        """One line of plain text, its top at the present place."""
        top = self.y + down

        def place(total: float) -> None:
            options: dict[str, Any] = {"fontsize": SMALL, "va": "top", "ha": "left", **style}
            self.figure.text(left / WIDTH, 1 - top / total, line, **options)

        self._later.append(place)

    def legend(self, entries: Sequence[Entry], left: float = LEFT, width: float = 0.0, down: float = 0.0) -> float:
        """A legend whose top left corner is at the present place, in as many columns as fit; its height in inches.

        width: inches, by default all to the right edge.
        """
        if not entries:
            return 0.0
        top, room = self.y + down, width or WIDTH - EDGE - left
        widest = max(text_width(label) for _, label in entries)
        columns = max(1, int((room + COLUMN_GAP) / (HANDLE + widest + COLUMN_GAP)))
        rows = -(-len(entries) // columns)
        columns = -(-len(entries) // rows)

        def place(total: float) -> None:
            self.figure.legend(
                [artist for artist, _ in entries],
                [label for _, label in entries],
                loc="upper left",
                bbox_to_anchor=(left / WIDTH, 1 - top / total),
                ncols=columns,
                borderpad=0,
                borderaxespad=0,
                labelspacing=LINE * 72 / SMALL - 1,
                handlelength=2.4,
                handletextpad=0.5,
                columnspacing=COLUMN_GAP * 72 / SMALL,
            )

        self._later.append(place)
        return rows * LINE + 0.03

    def line(self, text: str) -> None:
        """Plain text over the whole width, in as many lines as it takes."""
        for part in wrapped(text, WIDTH - 2 * EDGE):
            self.text(part)
            self.y += LINE

    def finish(self, notes: Sequence[str] = ()) -> Figure:
        """The figure, as high as what it holds."""
        total = self.y + EDGE
        self.figure.set_size_inches(WIDTH, total)
        for place in self._later:
            place(total)
        high = [f"the figure is {total:.0f} in high, more than a page: -m and -d choose"] if total > PAGE else []
        self.figure.notes = (*high, *notes)
        return self.figure


def ticks(axes: Axes, values: Sequence[float], axis: str = "x") -> None:
    """Ticks at these values alone, as short numbers, on a linear or a logarithmic axis."""
    chosen = getattr(axes, f"{axis}axis")
    chosen.set_major_locator(FixedLocator(list(values)))
    chosen.set_minor_locator(NullLocator())
    chosen.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def log_axis(axes: Axes, axis: str = "x", most: int = 4) -> None:
    """A logarithmic axis with at most so many ticks, at powers of ten or, where these are fewer than two, between."""
    getattr(axes, f"set_{axis}scale")("log")
    low, high = getattr(axes, f"get_{axis}lim")()
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8, 9)):
        inside = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(inside) >= 2:
            break
    ticks(axes, inside[:: -(-len(inside) // most)], axis)
    getattr(axes, f"set_{axis}lim")(low, high)
