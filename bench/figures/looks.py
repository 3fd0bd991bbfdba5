"""What tells rows apart: colour, and without it marker, dashes and hatches."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from bench.errors import UsageError
from bench.plugin.grammar import split_text
from bench.plugin.registry import registry

# Okabe and Ito's colours for all kinds of sight; grey in the place of their yellow, which paper does not show.
COLOURS = ("#0072B2", "#E69F00", "#000000", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES: tuple[Any, ...] = (
    "solid",
    (0, (4.0, 1.3)),
    (0, (1.2, 1.0)),
    (0, (5.0, 1.2, 1.2, 1.2)),
    (0, (8.0, 1.5)),
    (0, (3.0, 1.2, 1.0, 1.2, 1.0, 1.2)),
)
SHIFT = 3
"""Colours from one front-end to the next."""
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++++", "oooo")


@dataclass(frozen=True)
class Look:
    """How a row is drawn.  No two rows of a figure have marker and dashes in common."""

    colour: str
    marker: str
    dashes: Any

    @property
    def line(self) -> dict[str, Any]:
        return {"color": self.colour, "linestyle": self.dashes, "marker": self.marker, "markeredgewidth": 0.7}

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
    """A look for each method: dashes by the front-end, colour and marker by what matches, shifted for each front-end.

    Where they are free a method has the same in every figure: those of its place among the plug-ins.
    """
    matchers = place([parts(m)[1] for m in methods], registry().names("method"), len(COLOURS))
    frontends = registry().names("frontend")
    found: dict[str, Look] = {}
    taken: set[tuple[int, int]] = set()
    for method in dict.fromkeys(methods):
        frontend, matcher = parts(method)
        dashes = frontends.index(frontend) if frontend in frontends else 0
        colour = (matchers[matcher] + SHIFT * dashes) % len(COLOURS)
        # Dashes stay, colours move on: what differs in options alone differs in colour.
        free = ((m, d) for d, m in product(after(dashes % len(DASHES), len(DASHES)), after(colour, len(MARKERS))))
        marker, dashes = next((pair for pair in free if pair not in taken), (colour, dashes % len(DASHES)))
        taken.add((marker, dashes))
        found[method] = Look(COLOURS[marker % len(COLOURS)], MARKERS[marker], DASHES[dashes])
    return found


def parts(method: str) -> tuple[str, str]:
    """Front-end, empty where there is none, and matching method of a row's name."""
    try:
        name = split_text(method)[0]
    except UsageError:
        name = method
    frontend, _, matcher = name.rpartition("+")
    return frontend, matcher


def place(names: Sequence[str], known: Sequence[str], size: int) -> dict[str, int]:
    """A number for each name: its place among the known ones, or the first that is free."""
    found: dict[str, int] = {}
    for name in sorted(dict.fromkeys(names), key=lambda name: name not in known):
        wanted = known.index(name) % size if name in known else 0
        found[name] = next((i for i in after(wanted, size) if i not in found.values()), wanted)
    return found


def after(first: int, size: int) -> list[int]:
    return [(first + step) % size for step in range(size)]
