"""Pairs of images of one person, at low and at high resolution, of each data set (Figure 4)."""

from collections.abc import Sequence

import numpy as np

from bench.errors import UsageError
from bench.figures.canvas import WIDTH, Figure
from bench.figures.people import terms
from bench.figures.pictures import Pictures, fitted, load_pictures, show
from bench.figures.request import Request
from bench.figures.sheet import EDGE, LINE, Sheet
from bench.figures.text import plain

PAIRS = 6
NEAR, APART = 0.03, 0.12
"""Inches between the images of a pair, and between pairs."""
BOX = (WIDTH - 2 * EDGE - PAIRS * NEAR - (PAIRS - 1) * APART) / (2 * PAIRS)
HEIGHT = 2.75 * BOX


def draw(request: Request) -> Figure:
    if not request.datasets:
        raise UsageError("say of which data sets: -d, which may be given more than once")
    sheet = Sheet()
    for dataset in request.datasets:
        pictures = load_pictures(request, dataset)
        if not pictures.data.low_resolution:
            raise UsageError(f"{dataset} is at full resolution: there are no pairs of low and high resolution")
        sheet.title(plain(pictures.data.spec.text))
        block(sheet, pictures, rows_of(request, pictures))
    sheet.line("Pairs of one person. Left: low resolution, its pixels enlarged, with its size. Right: high resolution.")
    return sheet.finish(terms(request.datasets))


def rows_of(request: Request, pictures: Pictures) -> list[int]:
    """The probes that are asked for, or some spread over the data set, as many of each ratio."""
    probes = np.flatnonzero(pictures.data.probe)
    if request.probes:
        return pictures.chosen(request.probes, probes)
    ratios = np.array([pictures.table.images[row].ratio for row in probes])
    kinds = sorted(set(ratios.tolist()))
    chosen: list[int] = []
    for number, kind in enumerate(kinds):
        own = probes[ratios == kind]
        count = PAIRS // len(kinds) + (number < PAIRS % len(kinds))
        places = np.linspace(0, len(own) - 1, min(count, len(own)) * len(kinds) + 1)[number :: len(kinds)]
        chosen += own[places.round().astype(int)][:count].tolist()
    return chosen


def block(sheet: Sheet, pictures: Pictures, rows: Sequence[int]) -> None:
    """Lines of pairs."""
    for first in range(0, len(rows), PAIRS):
        for place, row in enumerate(rows[first : first + PAIRS]):
            left = EDGE + place * (2 * BOX + NEAR + APART)
            pair(sheet, pictures, row, left)
        lines = 2 if any(pictures.table.images[row].ratio for row in rows) else 1
        sheet.y += HEIGHT + lines * LINE + 0.06


def pair(sheet: Sheet, pictures: Pictures, row: int, left: float) -> None:
    data = pictures.data
    other = int(np.flatnonzero((data.identity == data.identity[row]) & ~data.probe)[0])
    for side, shown in enumerate((row, other)):
        pixels = data.images[shown]
        width, height = fitted(pixels, BOX, HEIGHT)
        own = left + side * (BOX + NEAR) + (BOX - width) / 2
        show(sheet.axes(own, width, height, HEIGHT - height), pixels)
    size, _, ratio = pictures.size(row).partition(", ")
    middle = left + BOX + NEAR / 2
    sheet.text(size, middle, HEIGHT + 0.02, ha="center")
    if ratio:
        sheet.text(ratio, middle, HEIGHT + 0.02 + LINE, ha="center")
