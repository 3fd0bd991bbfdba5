"""A data set as one method sees it on one split: every side behind its front-end, at the method's input size.

What is to be matched is handed over so that a method cannot know who is who: without identities, each distinct image
once, probe and gallery in two independent seeded orders.  Sources, which features are computed on, hold a side's images
in an order of their own as well, so that no row number tells anything.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from bench.engine.cache import Cache
from bench.engine.data import Data
from bench.engine.identity import part_version, uses
from bench.files import release
from bench.plugin.base import FrontEnd, Size, Upscaling
from bench.plugin.spec import MethodSpec
from bench.protocol.images import CHUNK, Images, NativeImages, Source, digest
from bench.protocol.resize import resize_all, shrink
from bench.protocol.splits import training_rows

Ratio = Fraction | None
"""An anchor, or None for the one model that serves all."""


@dataclass(frozen=True)
class Setup:
    """What a cell is computed with, beside its method and data.

    initial: SHA-256 of each weights file that training starts from.  memory: bytes that a cell's distances may take,
    None for all that they need; threads: that look through them where they take more.  Others: as in
    `bench.plugin.base.Train`; the workspace is the cell's.
    """

    profile: str = "paper"
    device: str = "cpu"
    weights: Path | None = None
    initial: tuple[str, ...] = ()
    workspace: Path | None = None
    compile: bool = False
    deterministic: bool = False
    memory: int | None = None
    threads: int = 1

    @property
    def training(self) -> dict[str, Any]:
        """What front-ends and methods alike are given for their training."""
        names = ("profile", "device", "weights", "compile", "deterministic")
        return {name: getattr(self, name) for name in names}


def model_ratios(spec: MethodSpec, low_resolution: bool) -> tuple[Ratio, ...]:
    """The anchor ratios that need a model of their own; (None,) where one model serves all."""
    method, frontend = spec.method.attributes, spec.frontend.attributes if spec.frontend else {}
    differ = method.get("ratio_dependent") or spec.options.synthetic_lr
    differ = differ or frontend.get("ratio_dependent") or frontend.get("learns")
    if not low_resolution or not method.get("anchored", True) or not differ:
        return (None,)
    return spec.anchors


def model_seed(seed: int, split: int, ratio: Ratio, fold: int = 0) -> int:
    """The seed of one model."""
    parts = [seed, split, ratio.denominator if ratio else 0, fold]
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


@dataclass(frozen=True)
class Matched:
    """Images to be matched, as a method is given them, and where each image of the side stands among them.

    images: distinct, without identities, in a seeded order.  position: (n,) int64 for the side's n images, in the data
    set's order.
    """

    images: Images
    position: np.ndarray


@dataclass(frozen=True)
class View:
    """A data set as one method sees it; made by `build_view`.

    rows: of ``gallery`` and ``probe`` the data set's rows, in the order in which sources hold them.
    trainable: (n,) bool, images that training may use.  twin: (n,) int64, of each image the first of its side with the
    same pixels and camera.  sources: of ``gallery``, ``probe`` (behind F_i) and ``shrunk`` (gallery images shrunk by
    m_i, behind F_i), for each ratio.
    """

    data: Data
    spec: MethodSpec
    setup: Setup
    seed: int
    split: int
    ratios: tuple[Ratio, ...]
    rows: Mapping[str, np.ndarray]
    trainable: np.ndarray
    twin: np.ndarray
    frontends: Mapping[Ratio, FrontEnd | None]
    sources: Mapping[tuple[str, Ratio], Source]

    def images(self, side: str, ratio: Ratio, people: np.ndarray, train: bool = False) -> Images:
        """Labelled images of some people, in the data set's order; for training, those that training may use."""
        kept = self.rows_of(side, people)
        return self._select(side, ratio, kept[self.trainable[kept]] if train else kept, labelled=True)

    def to_match(self, side: str, ratio: Ratio, people: np.ndarray, draw: int = 0) -> Matched:
        """Images of some people as `distances` is given them.  draw: another number gives another order."""
        rows = self.rows_of(side, people)
        twins, first, position = np.unique(self.twin[rows], return_index=True, return_inverse=True)
        order = order_of(len(twins), self.data.digest, self.seed, self.split, side, draw)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return Matched(self._select(side, ratio, rows[first[order]], labelled=False), place[position])

    def rows_of(self, side: str, people: np.ndarray) -> np.ndarray:
        """The data set's rows, ascending, of some people's images on a side."""
        rows = np.sort(self.rows[own_side(side)])
        return rows[np.isin(self.data.identity[rows], people)]

    def _select(self, side: str, ratio: Ratio, rows: np.ndarray, labelled: bool) -> Images:
        held = self.rows[own_side(side)]
        place = np.empty(len(self.data.images), np.int64)
        place[held] = np.arange(len(held))
        return Images(
            ((self.sources[side, ratio], place[rows]),),
            self.data.identity[rows] if labelled else None,
            self.data.camera[rows],
            self.data.images.areas[rows],
            native_images(self.data, rows, ratio if side == "shrunk" else None),
        )


def build_view(
    data: Data,
    spec: MethodSpec,
    cache: Cache,
    seed: int,
    split: int,
    train_people: np.ndarray,
    setup: Setup = Setup(),
    ratios: tuple[Ratio, ...] | None = None,
) -> View:
    """The view of a split, every front-end fitted on the training people.  ratios: by default those of the models."""
    ratios = model_ratios(spec, data.low_resolution) if ratios is None else ratios
    size = spec.build().input_size
    rows = {side: source_rows(data, side) for side in ("gallery", "probe")}
    limit = data.spec.options.images_per_view
    trainable = training_rows(data.identity, data.camera, data.probe, limit, seed)
    learners = rows["gallery"][np.isin(data.identity[rows["gallery"]], train_people) & trainable[rows["gallery"]]]
    frontends: dict[Ratio, FrontEnd | None] = {}
    sources: dict[tuple[str, Ratio], Source] = {}
    for ratio in ratios:
        frontend, key = fitted_frontend(data, spec, cache, size, np.sort(learners), (seed, split, ratio), setup)
        frontends[ratio] = frontend
        for side in ("gallery", "probe", *(["shrunk"] if ratio is not None else [])):
            shown, name = (None, "") if side == "gallery" else (frontend, key)
            shrunk = ratio if side == "shrunk" else None
            make = blocks(data, rows[own_side(side)], shrunk, shown, size)
            named = f"{data.digest}|{side}|{size}|{name}|resize {part_version('resize')}|{shrunk or ''}"
            sources[side, ratio] = Source(named, make, cache)
    twin = cache.array(f"twins|{data.digest}", lambda: twins(data))
    return View(data, spec, setup, seed, split, ratios, rows, trainable, twin, frontends, sources)


def fitted_frontend(
    data: Data,
    spec: MethodSpec,
    cache: Cache,
    size: Size,
    learners: np.ndarray,
    model: tuple[int, int, Ratio],
    setup: Setup,
) -> tuple[FrontEnd | None, str]:
    """F_i, and the name of all that it depends on; one that learns is fitted on some gallery images, without labels.

    learners: their rows.  model: seed, split and ratio.  What a front-end keeps in its workspace lies in the cache,
    by that name: methods of one input size share one fit.
    """
    frontend, ratio = spec.build_frontend(), model[2]
    if frontend is None or spec.frontend is None:
        return None, ""
    parts = [(part, part_version(part)) for part in uses(spec.frontend)]
    key = f"{frontend.name} {frontend.version} {sorted(frontend.get_params().items())} {parts}"
    if ratio is None or not (frontend.learns or frontend.ratio_dependent):
        return frontend, key
    given = Upscaling([], size, ratio, 0, **setup.training)
    if not frontend.learns:
        frontend.fit(given)
        return frontend, f"{key} {ratio} {digest(setup.profile, setup.device, setup.initial)}"
    seed = model_seed(*model)
    key += f" {ratio} {digest(learners, seed, setup.profile, setup.device, setup.initial)}"
    workspace = cache.folder / "fitted" / digest(data.digest, size, key)
    with cache.writing():
        workspace.mkdir(parents=True, exist_ok=True)
    with FileLock(workspace / "lock"):
        frontend.fit(replace(given, images=native_images(data, learners), seed=seed, workspace=workspace))
    return frontend, key


def blocks(
    data: Data, rows: np.ndarray, shrunk: Ratio, frontend: FrontEnd | None, size: Size
) -> Callable[[], Iterator[np.ndarray]]:
    """Makes a source's images, block by block, at the method's input size."""

    def make() -> Iterator[np.ndarray]:
        native = native_images(data, rows, shrunk)
        for start in range(0, len(rows), CHUNK):
            images = native[start : start + CHUNK]
            yield frontend.upscale(images, size) if frontend else resize_all(images, size)
        release(data.images.flat)

    return make


def native_images(data: Data, rows: np.ndarray, ratio: Ratio = None) -> NativeImages:
    """Copies of some rows of the data set, shrunk by a ratio where one is given."""

    def read(index: int) -> np.ndarray:
        image = np.array(data.images[rows[index]])
        return shrink(image, ratio) if ratio else image

    return NativeImages(len(rows), read)


def own_side(side: str) -> str:
    return "gallery" if side == "shrunk" else side


def source_rows(data: Data, side: str) -> np.ndarray:
    """A side's rows in the seeded order that its sources hold them in: in the data set people stand together."""
    rows = np.flatnonzero(data.probe == (side == "probe"))
    return rows[order_of(len(rows), data.digest, side)]


def order_of(n: int, *named: object) -> np.ndarray:
    """A permutation of n, seeded by names that no method is told (the data's digest among them)."""
    seed = hashlib.sha256("|".join(map(str, named)).encode()).digest()
    return np.random.default_rng(np.frombuffer(seed, np.uint32)).permutation(n)


def twins(data: Data) -> np.ndarray:
    """(n,) int64: of each image the first row of its side with the same pixels at native size and the same camera."""
    seen: dict[bytes, int] = {}
    found = np.empty(len(data.images), np.int64)
    for row, image in enumerate(data.images):
        sha = hashlib.sha256(repr((bool(data.probe[row]), str(data.camera[row]), image.shape)).encode())
        sha.update(image.tobytes())
        found[row] = seen.setdefault(sha.digest(), row)
    release(data.images.flat)
    return found
