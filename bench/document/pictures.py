"""Figures for the report, as images that are part of the page."""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.document.boards import Board
from bench.engine.store import Result, Store
from bench.errors import BenchError
from bench.figures.kinds import KINDS, Kind
from bench.figures.request import Request

if TYPE_CHECKING:
    from bench.figures.canvas import Figure


@dataclass(frozen=True)
class Picture:
    """of: what it is of, in words; dataset: whose images it shows; both empty for several rows.

    source: a data URI, empty where nothing could be drawn, for which `why` has the reason.  notes: what a reader must
    know beside it.
    """

    kind: str
    title: str
    of: str = ""
    dataset: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()
    why: str = ""


def figures(request: Request) -> list[Picture]:
    """Every kind of figure that shows no image, of the rows that it shows by itself."""
    return [picture(kind, request, as_svg) for kind in KINDS.values() if not kind.people]


def images(request: Request, boards: Sequence[Board]) -> list[Picture]:
    """Pairs of images of each data set, and ranked lists and enhanced images of its best method that keeps them."""
    return [picture for board in boards for picture in images_of(request, board)]


def images_of(request: Request, board: Board) -> Iterator[Picture]:
    own = replace(request, datasets=[board.dataset], methods=())
    yield picture(KINDS["samples"], own, as_png, board.label)
    cells = [(line, group.results[request.split]) for line, group in board.measured if request.split in group.results]
    wanted: tuple[tuple[str, Callable[[Result], bool]], ...] = (
        ("ranks", lambda result: bool(result.finished.nearest)),
        ("qualitative", lambda result: any(Store(f).enhancers_path(result.cell).is_file() for f in request.stores)),
    )
    for kind, keeps in wanted:
        line = next((line for line, result in cells if keeps(result)), None)
        if line:
            yield picture(KINDS[kind], replace(own, methods=[line.method]), as_png, f"{line.label} on {board.label}")


def picture(kind: Kind, request: Request, encode: "Callable[[Figure], str]", of: str = "") -> Picture:
    """A figure, or why there is none."""
    shown = request.datasets[0] if kind.people else ""
    try:
        drawn = kind.draw(request)
    except BenchError as error:
        return Picture(kind.name, kind.title, of, shown, why=str(error))
    return Picture(kind.name, kind.title, of, shown, encode(drawn), drawn.notes)


def as_svg(drawn: "Figure") -> str:
    from bench.figures.canvas import outlined

    return data_uri("image/svg+xml", outlined(drawn))


def as_png(drawn: "Figure") -> str:
    from bench.figures.canvas import encoded

    return data_uri("image/png", encoded(drawn, "png"))


def data_uri(form: str, content: bytes) -> str:
    return f"data:{form};base64,{base64.b64encode(content).decode()}"
