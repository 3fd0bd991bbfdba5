"""Low-resolution images as front-ends and methods enhance them, beside the truth, with PSNR and SSIM (Figure 5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from bench.engine.cache import Cache, cache_folder
from bench.engine.enhancers import Arrays
from bench.engine.enhancing import enhanced
from bench.engine.isolation import isolated
from bench.engine.store import Result
from bench.engine.view import Setup, build_view
from bench.errors import UsageError
from bench.figures.canvas import WIDTH, Figure
from bench.figures.people import terms
from bench.figures.pictures import Pictures, check_data, load_pictures, named, only, show
from bench.figures.request import Request
from bench.figures.sheet import EDGE, LINE, Sheet
from bench.figures.text import Labels
from bench.plugin import weights_files
from bench.plugin.base import Method, Size
from bench.plugin.registry import registry
from bench.plugin.spec import MethodSpec, method_spec
from bench.protocol.fusion import ANCHORS
from bench.protocol.quality import psnr, ssim
from bench.protocol.resize import resize_all, shrink
from bench.report.one import find_cell, with_enhancers

MOST = 8
"""Columns that there is room for."""
GAP = 0.05


@dataclass(frozen=True)
class Case:
    """An image to enhance.  low: at low resolution; truth: as it was taken; ratio: that it was shrunk by."""

    name: str
    low: np.ndarray
    truth: np.ndarray
    ratio: Fraction


@dataclass(frozen=True)
class Column:
    """What something makes of every case, uint8 (n, height, width, 3)."""

    head: str
    images: np.ndarray

    def quality(self, truth: np.ndarray) -> list[tuple[float, float]]:
        """PSNR and SSIM of each image, as they are printed."""
        return [(round(psnr(a, b), 2), round(ssim(a, b), 3)) for a, b in zip(self.images, truth, strict=True)]


def draw(request: Request) -> Figure:
    dataset, frontends = only(request.datasets, "data set"), registry().names("frontend")
    methods = [name for name in request.methods if name not in frontends]
    if not methods:
        raise UsageError("say of which method with -m, beside which front-ends may be named: " + ", ".join(frontends))
    asked = [name for name in request.methods if name in frontends]
    found = [with_arrays(request, method, dataset) for method in methods]
    pictures = load_pictures(request, dataset)
    for result, _ in found:
        check_data(pictures, result, dataset)
    cases = chosen(request, pictures)
    with isolated():
        enhancing = [of_method(result, arrays, cases) for result, arrays in found]
        spec = method_spec(found[0][0].cell.method)
        interpolated, notes = of_frontends(asked or frontends, spec, found[0][0], pictures, cases, bool(asked))
    sizes = {column.images.shape for column in enhancing}
    if len(sizes) > 1:
        raise UsageError(f"{' and '.join(methods)} enhance images to different sizes; a figure shows one")
    columns = [*interpolated, *enhancing]
    if len(columns) + 2 > MOST:
        raise UsageError(f"{len(columns)} ways to enhance images have no room in one column: name at most {MOST - 2}")
    sheet, more = table(cases, columns, spec.build().input_size, enhancing[0].images.shape[1:3])
    rows = "; ".join(case.name for case in cases)
    cells = [named(result) for result, _ in found]
    return sheet.finish([*cells, f"rows: {rows}", *more, *notes, *terms([dataset])])


def with_arrays(request: Request, method: str, dataset: str) -> tuple[Result, dict[str, dict[str, np.ndarray]]]:
    """A cell and what its models enhance images with; UsageError where there is none, or the method does not."""
    result = find_cell(request.results, method, dataset, request.split, request.seed, request.profile)
    if type(method_spec(result.cell.method).build()).enhancer is Method.enhancer:
        raise UsageError(f"{method} does not enhance images itself; front-ends may be named beside a method that does")
    return result, with_enhancers(result, dataset, request.stores)


def chosen(request: Request, pictures: Pictures) -> list[Case]:
    """The images that are asked for, or one of each ratio from the middle of the test people's.

    Of a data set with simulated low resolution they are probes.  Of others nobody has the truth of a probe: they are
    gallery images, shrunk by each ratio in turn.
    """
    table, split = pictures.table, pictures.data.split(request.split, request.seed)
    simulated = any(photo.ratio for photo in table.images)
    rows = table.probes(split) if simulated else table.gallery(split)
    if request.probes:
        picked = pictures.chosen(request.probes, rows)
    elif simulated:
        ratios = np.array([table.images[row].ratio for row in rows])
        picked = [int(own[len(own) // 2]) for ratio in ANCHORS if len(own := rows[ratios == str(ratio)])]
    else:
        picked = [int(rows[len(rows) * (2 * i + 1) // (2 * len(ANCHORS))]) for i in range(len(ANCHORS))]
    cases = []
    for number, row in enumerate(picked):
        ratio = Fraction(table.images[row].ratio) if simulated else ANCHORS[number % len(ANCHORS)]
        truth = pictures.taken[row]
        low = pictures.data.images[row] if simulated else shrink(truth, ratio)
        cases.append(Case(pictures.name(row), low, truth, ratio))
    return cases


def of_method(result: Result, arrays: dict[str, dict[str, np.ndarray]], cases: Sequence[Case]) -> Column:
    """Each image behind the model of its own ratio, or the only one."""
    method = method_spec(result.cell.method).build()

    def model(ratio: Fraction) -> Arrays:
        return arrays.get(str(ratio)) or next(iter(arrays.values()))

    return Column(result.cell.method, np.concatenate([enhanced(method, [c.low], model(c.ratio)) for c in cases]))


def of_frontends(
    names: Sequence[str], spec: MethodSpec, result: Result, pictures: Pictures, cases: Sequence[Case], needed: bool
) -> tuple[list[Column], list[str]]:
    """The front-ends' columns at a method's input size, the learning ones last, and what is left out.

    One that learns is fitted as it would be for the method, or found in the cache.  needed: UsageError where one cannot
    be, else it is left out.
    """
    cell, weights, size = result.cell, weights_files.weights_folder(None), spec.build().input_size
    people = pictures.data.split(cell.split, cell.seed).train
    ratios = tuple(dict.fromkeys(case.ratio for case in cases))
    cache = Cache(cache_folder())
    columns, notes = [], []
    for name in names:
        plugin = registry().get("frontend", name)
        own = plugin.load()()
        if reason := weights_files.missing_weights(own, weights, cell.profile):
            if needed:
                raise UsageError(f"{name} cannot run here: {reason}")
            notes.append(f"without {name}: {reason}")
            continue
        initial = tuple(map(weights_files.sha256, weights_files.initial_weights(own, weights, cell.profile)))
        setup = Setup(cell.profile, "cpu", weights, initial)
        behind = replace(spec, frontend=plugin, frontend_parameters={})
        view = build_view(pictures.data, behind, cache, cell.seed, cell.split, people, setup, ratios)
        images = [fitted.upscale([c.low], size) for c in cases if (fitted := view.frontends[c.ratio])]
        columns.append((own.learns, Column(name, np.concatenate(images))))
    truth = resize_all([case.truth for case in cases], size)

    def order(pair: tuple[bool, Column]) -> tuple[bool, float]:
        return pair[0], float(np.mean([psnr(a, b) for a, b in zip(pair[1].images, truth, strict=True)]))

    return [column for _, column in sorted(columns, key=order)], notes


def centre(images: np.ndarray, size: Size) -> np.ndarray:
    """The centres of images (n, h, w, 3)."""
    top, left = ((a - b) // 2 for a, b in zip(images.shape[1:3], size, strict=True))
    return images[:, top : top + size[0], left : left + size[1]]


def table(cases: Sequence[Case], columns: Sequence[Column], size: Size, shown: Size) -> tuple[Sheet, list[str]]:
    """All images in rows, what is worth knowing of each below it, the best of a row in bold; and notes.

    size: that images are brought to; shown: of the centre that is compared.
    """
    truth = centre(resize_all([case.truth for case in cases], size), shown)
    enlarged = [np.asarray(Image.fromarray(case.low).resize(size[::-1], Image.Resampling.NEAREST)) for case in cases]
    columns = [Column(column.head, centre(column.images, shown)) for column in columns]
    quality = np.array([column.quality(truth) for column in columns])
    width = min(0.5, (WIDTH - 2 * EDGE + GAP) / (len(columns) + 2) - GAP)
    height = width * shown[0] / shown[1]
    step = (WIDTH - 2 * EDGE - width) / (len(columns) + 1)
    heads = Labels([column.head for column in columns], step - 0.02)
    sheet = Sheet()

    def words(place: int, text: str, down: float = 0.0, **style: Any) -> None:
        sheet.text(text, EDGE + place * step + width / 2, down, ha="center", **style)

    for place, head in enumerate(["LR", *(heads(column.head) for column in columns), "HR"]):
        words(place, head)
    sheet.y += LINE + 0.03
    every = [centre(np.stack(enlarged), shown), *(column.images for column in columns), truth]
    for row, case in enumerate(cases):
        for place, images in enumerate(every):
            show(sheet.axes(EDGE + place * step, width, height), images[row])
        lines = height + 0.03, height + 0.03 + LINE
        sides = (f"{case.low.shape[1]}×{case.low.shape[0]}", str(case.ratio)), ("PSNR, dB", "SSIM")
        for place, pair in ((0, sides[0]), (len(columns) + 1, sides[1])):
            for text, down in zip(pair, lines, strict=True):
                words(place, text, down)
        for kind, (down, digits) in enumerate(zip(lines, (2, 3), strict=True)):
            values = quality[:, row, kind]
            for place, value in enumerate(values, 1):
                words(place, f"{value:.{digits}f}", down, fontweight="bold" if value == values.max() else "normal")
        sheet.y += height + 2 * LINE + 0.09
    whole, part = ("x".join(map(str, some)) for some in (size, shown))
    return sheet, [
        *heads.notes,
        f"luma of {whole} pixels{f', of their centre {part},' if part != whole else ''} is compared",
    ]
