"""Names as text in a figure: plain, no wider than their place, and told apart."""

from collections.abc import Iterable
from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from bench.errors import visible
from bench.figures.canvas import SMALL
from bench.report.names import Aliases

ELLIPSIS = "…"
POINTS = 72  # an inch
BOLD = 1.2
"""How much wider bold letters are, at most."""


@cache
def font() -> FT2Font:
    return font_manager.get_font(font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans")))


@cache
def letters() -> frozenset[int]:
    return frozenset(font().get_charmap())


def plain(text: str) -> str:
    """One line of text that stays as it is: what cannot be seen is an escape, what the font lacks a code point."""
    return "".join(c if ord(c) in letters() else f"(U+{ord(c):04X})" for c in visible(text))


@cache
def width(text: str, size: float = SMALL) -> float:
    """Of one line, in inches."""
    own = font()
    own.set_size(size, POINTS)
    own.set_text(text)
    return float(own.get_width_height()[0]) / 64 / POINTS


def cut(text: str, most: float, size: float = SMALL) -> str:
    """The text, without its middle where it is wider than `most` inches."""
    kept = len(text)
    short = text
    while width(short, size) > most and kept > 2:
        kept -= 1
        short = text[: kept - kept // 2] + ELLIPSIS + text[len(text) - kept // 2 :]
    return short


class Labels:
    """Short and distinct labels of names; what was cut is said in `notes`."""

    def __init__(self, names: Iterable[str], most: float, size: float = SMALL) -> None:
        """most: inches."""
        self.size = size
        names = list(dict.fromkeys(names))
        aliases = Aliases(names)
        self._labels: dict[str, str] = {}
        for name in names:
            whole = plain(aliases(name))
            label, number = cut(whole, most, size), 1
            while label in self._labels.values():
                number += 1
                label = cut(whole, most - width(f" {number}", size), size) + f" {number}"
            self._labels[name] = label
        self.notes = [f"{label}: {plain(name)}" for name, label in self._labels.items() if label != plain(name)]

    def __call__(self, name: str) -> str:
        return self._labels[name]

    @property
    def widest(self) -> float:
        """Of the widest label, in inches."""
        return max((width(label, self.size) for label in self._labels.values()), default=0.0)


def wrapped(text: str, most: float, size: float = SMALL) -> list[str]:
    """Lines no wider than `most` inches, broken after ``;`` where that is possible, else between words."""
    lines: list[str] = []
    for clause in text.replace("; ", ";\n").split("\n"):
        for piece in [clause] if width(clause, size) <= most else clause.split(" "):
            longer = f"{lines[-1]} {piece}" if lines else piece
            if lines and width(longer, size) <= most:
                lines[-1] = longer
            else:
                lines.append(cut(piece, most, size))
    return lines
