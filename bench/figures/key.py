"""What stands for each row in a figure: its look, its label, and the signs of what a reader must know."""

from collections.abc import Iterable, Sequence

from matplotlib.lines import Line2D

from bench.figures.canvas import NORMAL, WIDTH
from bench.figures.looks import Look, looks
from bench.figures.rows import Marks, Row
from bench.figures.sheet import EDGE, LEFT, Entry
from bench.figures.text import BOLD, Labels


class Key:
    """Of some rows.  titles: labels of their data sets; line: what the signs mean, to be added to another line."""

    def __init__(self, rows: Iterable[Row]) -> None:
        rows = list(rows)
        self._looks = looks([row.method for row in rows])
        self._marks = Marks(row.group for row in rows)
        self._labels = Labels([row.method for row in rows], WIDTH - LEFT - 0.6)
        self.titles = Labels([row.dataset for row in rows], (WIDTH - 2 * EDGE) / BOLD, NORMAL)
        self.line = self._marks.line

    def look(self, row: Row) -> Look:
        return self._looks[row.method]

    def label(self, row: Row) -> str:
        return self._labels(row.method) + self._marks(row.group)

    def entries(self, rows: Iterable[Row], **style: object) -> list[Entry]:
        """For a legend, each label once; style: of the lines, in place of the rows' own."""
        shown = {self.label(row): row for row in rows}
        return [(Line2D([], [], **{**self.look(row).line, **style}), label) for label, row in shown.items()]

    @property
    def widest(self) -> float:
        return self._labels.widest

    @property
    def notes(self) -> Sequence[str]:
        """What labels and titles were cut from."""
        return [*self._labels.notes, *self.titles.notes]
