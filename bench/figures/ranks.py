"""The ten nearest gallery images of chosen probes of a cell: by default of its best and its worst cases."""

from collections.abc import Iterator, Sequence

import numpy as np

from bench.engine.ranked import Ranked, ranked_lists
from bench.figures.canvas import WIDTH, Figure
from bench.figures.people import terms
from bench.figures.pictures import (
    RIGHT,
    WRONG,
    Frame,
    Pictures,
    check_data,
    enclose,
    fitted,
    load_pictures,
    named,
    only,
    show,
)
from bench.figures.request import Request
from bench.figures.sheet import EDGE, LINE, Sheet
from bench.figures.text import cut, plain
from bench.protocol.scoring import LISTED
from bench.protocol.splits import gallery_draws
from bench.report.one import find_cell, with_lists

CASES = 3
"""Of each kind that are shown where none are chosen."""
GAP = 0.055
"""Inches between images; before and after the list twice as many."""
BOX = (WIDTH - 2 * EDGE - (LISTED + 3) * GAP) / (LISTED + 2)
"""Width of an image in inches."""
HEIGHT = 2.75 * BOX
PROBE = Frame("black", 0.6)


def draw(request: Request) -> Figure:
    dataset, method = only(request.datasets, "data set"), only(request.methods, "method")
    found = find_cell(request.results, method, dataset, request.split, request.seed, request.profile)
    result = with_lists(found, dataset, request.stores)
    pictures = load_pictures(request, dataset)
    check_data(pictures, result, dataset)
    ranked = ranked_lists(result, pictures.table)
    sheet = Sheet()
    sheet.title(plain(f"{result.cell.method}, {result.cell.dataset}"))
    for heading, places in cases(request, pictures, ranked):
        if heading:
            sheet.text(heading, fontweight="bold")
            sheet.y += LINE + 0.02
        heads(sheet)
        for place in places:
            case(sheet, pictures, ranked, place, match_of(pictures, ranked, place, request))
    sheet.line("Solid frame: the probe's person, dashed: others. Last: the match, where it is further down.")
    if (draws := result.finished.sizes.gallery_draws) > 1:
        sheet.line(f"The first of {draws:,} galleries is shown, ranks are means of all.")
    return sheet.finish([named(result), *terms([dataset])])


def cases(request: Request, pictures: Pictures, ranked: Ranked) -> Iterator[tuple[str, Sequence[int]]]:
    """Headings with places among the probes: those asked for, or the best and the worst."""
    if request.probes:
        rows = pictures.chosen(request.probes, ranked.probe)
        yield "", [int(np.flatnonzero(ranked.probe == row)[0]) for row in rows]
        return
    area = pictures.table.area[ranked.probe]
    places = np.where(ranked.right.any(axis=1), ranked.right.argmax(axis=1), ranked.right.shape[1])
    # Of probes that do equally well the smallest are the more telling, of those that do equally badly the largest.
    best = np.lexsort((area, ranked.rank, places))
    worst = np.lexsort((-area, -ranked.rank, -places))
    few = min(CASES, len(best) // 2)
    yield "best; of equal ones, the smallest probes", best[:few].tolist()
    yield "worst; of equal ones, the largest probes", worst[:few].tolist()


def match_of(pictures: Pictures, ranked: Ranked, place: int, request: Request) -> int | None:
    """The row of the match in the first gallery drawn, where it is not in the list."""
    if ranked.right[place].any():
        return None
    data = pictures.data
    gallery = pictures.table.gallery(data.split(request.split, request.seed))
    options = data.spec.options
    identity = data.identity[gallery]
    drawn = gallery_draws(identity, options.gallery_draws, request.seed, request.split, options.gallery_shots)[0]
    own = gallery[np.sort(drawn)]
    return int(own[data.identity[own] == data.identity[ranked.probe[place]]][0])


def heads(sheet: Sheet) -> None:
    """The line above all images."""
    for column in range(LISTED + 2):
        if 0 < column <= LISTED:
            sheet.text(str(column), left_of(column) + BOX / 2, ha="center")
    sheet.text("probe")
    sheet.text("match", WIDTH - EDGE, ha="right")
    sheet.y += LINE + 0.02


def left_of(column: int) -> float:
    """Inches: 0 is the probe's, the last one the match's."""
    return EDGE + column * (BOX + GAP) + GAP * ((column > 0) + (column > LISTED))


def case(sheet: Sheet, pictures: Pictures, ranked: Ranked, place: int, match: int | None) -> None:
    """A probe's line and images."""
    row, rank = int(ranked.probe[place]), ranked.rank[place]
    words = f"{pictures.name(row)}, {pictures.size(row)}; match at rank {rank:,.4g}"
    sheet.text(cut(words, WIDTH - 2 * EDGE))
    sheet.y += LINE
    image(sheet, 0, pictures.data.images[row], PROBE)
    for column, (listed, right) in enumerate(zip(ranked.gallery[place], ranked.right[place], strict=True), 1):
        image(sheet, column, pictures.data.images[int(listed)], RIGHT if right else WRONG)
    if match is not None:
        image(sheet, LISTED + 1, pictures.data.images[match], RIGHT)
    sheet.y += HEIGHT + 0.07


def image(sheet: Sheet, column: int, pixels: np.ndarray, frame: Frame) -> None:
    """An image in the middle of its place."""
    width, height = fitted(pixels, BOX, HEIGHT)
    left = left_of(column) + (BOX - width) / 2
    axes = sheet.axes(left, width, height, (HEIGHT - height) / 2)
    show(axes, pixels)
    enclose(axes, frame, width, height)
