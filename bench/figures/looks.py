"""What tells rows apart: colour, and without it markers and dashes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import UsageError
from bench.plugin.grammar import split_text
from bench.plugin.registry import registry

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#000000", "#E69F00", "#CC79A7", "#56B4E9", "#7F7F7F")
"""Okabe and Ito's, for all kinds of sight; grey in the place of their yellow, which paper does not show."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "d", "p")
DASHES: tuple[Any, ...] = (
    "solid",
    (0, (4.0, 1.3)),
    (0, (1.2, 1.0)),
    (0, (5.0, 1.2, 1.2, 1.2)),
    (0, (8.0, 1.5)),
    (0, (3.0, 1.2, 1.0, 1.2, 1.0, 1.2)),
)


@dataclass(frozen=True)
class Look:
    """How a row is drawn.  whole: whether its marker is filled whole, or in its left half."""

    colour: str
    marker: str
    dashes: Any
    whole: bool = True

    @property
    def line(self) -> dict[str, Any]:
        return {
            "color": self.colour,
            "linestyle": self.dashes,
            "marker": self.marker,
            "markeredgewidth": 0.7,
            "fillstyle": "full" if self.whole else "left",
            "markerfacecoloralt": "white",
        }

    @property
    def points(self) -> dict[str, Any]:
        return {**self.line, "linestyle": "none"}

    @property
    def hollow(self) -> dict[str, Any]:
        """Of published numbers: the row's marker, empty, and large enough to be seen around a measured one."""
        return {
            "color": self.colour,
            "linestyle": "none",
            "marker": self.marker,
            "markerfacecolor": "none",
            "markeredgewidth": 0.7,
            "markersize": 5.5,
            "zorder": 3,
        }


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """A look for each method, by its place among them; dashes by the front-end.

    Of eight no colour is used twice, of twelve no marker, and of twenty-four no filled marker.
    """
    frontends = registry().names("frontend")
    found = {}
    for place, method in enumerate(dict.fromkeys(methods)):
        frontend, _ = parts(method)
        dashes = DASHES[frontends.index(frontend) % len(DASHES) if frontend in frontends else 0]
        whole = place // len(MARKERS) % 2 == 0
        found[method] = Look(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], dashes, whole)
    return found


def parts(method: str) -> tuple[str, str]:
    """Front-end, empty where there is none, and matching method of a row's name."""
    try:
        name = split_text(method)[0]
    except UsageError:
        name = method
    frontend, _, matcher = name.rpartition("+")
    return frontend, matcher
