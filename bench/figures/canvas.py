"""The figure as an object: one column wide, in one style, the same bytes whenever it is written."""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib import figure
from matplotlib.backends.backend_agg import FigureCanvasAgg

WIDTH = 3.3  # inches: a column of the usual two-column styles
SMALL, NORMAL = 7, 8  # points
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: a figure looks the same everywhere
    "font.size": SMALL,
    "axes.labelsize": SMALL,
    "axes.titlesize": NORMAL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.color": "0.88",
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "hatch.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "text.parse_math": False,  # a name may hold dollars
    "text.usetex": False,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "bench",
    "savefig.dpi": 300,
    "figure.dpi": 150,
}
UNDATED: dict[str, dict[str, Any]] = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def styled() -> AbstractContextManager[None]:
    """Matplotlib with nothing but this style, whatever the user's own settings are."""
    return matplotlib.style.context(STYLE, after_reset=True)


class Figure(figure.Figure):
    """A figure that keeps its style when it is written.  notes: what a reader must know beside it, a line each."""

    def __init__(self) -> None:
        super().__init__(figsize=(WIDTH, 1.0))
        FigureCanvasAgg(self)
        self.notes: tuple[str, ...] = ()

    def savefig(self, fname: Any, **options: Any) -> None:
        """As matplotlib's, with fonts embedded (PDF) and without a date."""
        with self._ready(options, Path(fname).suffix if isinstance(fname, str | Path) else ".png"):
            super().savefig(fname, **options)

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        return encoded(self, "png")

    @contextmanager
    def _ready(self, options: dict[str, Any], suffix: str) -> Iterator[None]:
        form = options.get("format") or suffix[1:].lower()
        if form in UNDATED:
            options["metadata"] = {**UNDATED[form], **(options.get("metadata") or {})}
        with styled():
            yield


def outlined(drawn: Figure) -> bytes:
    """A figure as SVG whose letters are shapes: it looks the same where its font is not there."""
    stream = io.BytesIO()
    with styled(), matplotlib.rc_context({"svg.fonttype": "path"}):
        figure.Figure.savefig(drawn, stream, format="svg", metadata=UNDATED["svg"])
    return stream.getvalue()


def encoded(drawn: Figure, form: str) -> bytes:
    """A figure as the bytes of a file; form: png, pdf or svg."""
    stream = io.BytesIO()
    drawn.savefig(stream, format=form)
    return stream.getvalue()
