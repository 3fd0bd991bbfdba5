"""One cell: a method on one split of a data set, from images to CMC."""

import hashlib
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from bench import cmc, fusion
from bench.base import FrontEnd, Method, Train
from bench.cache import Cache
from bench.data import Data
from bench.errors import BenchError
from bench.images import Images, Packed, Source, digest
from bench.protocol import Split, folds, gallery_draws, make_split
from bench.provenance import code_hash
from bench.resize import resize_all, shrink
from bench.spec import MethodSpec

RANKS = 50
FOLDS = 5
PROTOCOL = "single-shot, all probes, expected CMC under ties"


@dataclass(frozen=True)
class Cell:
    """What identifies a result.  method, dataset: canonical specs, files named by their content's hash.

    profile: training schedule, ``paper`` for methods that have none.  data: SHA-256 of the data.  weights: SHA-256 of
    initial weights, empty where there are none.
    """

    method: str
    dataset: str
    split: int
    seed: int
    profile: str
    data: str
    weights: str = ""

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.method} {self.dataset} split {self.split}"


class View:
    """A data set as one method sees it: sources per anchor at the method's input size."""

    def __init__(self, data: Data, spec: MethodSpec, cache: Cache, seed: int, split: int) -> None:
        self.data, self.spec, self.cache, self.seed, self.split = data, spec, cache, seed, split
        self.size = spec.build().input_size
        self.rows = {side: np.flatnonzero(data.probe == (side == "probe")) for side in ("gallery", "probe")}
        self.frontends: dict[Fraction | None, tuple[FrontEnd | None, str]] = {}
        self.sources: dict[tuple[str, Fraction | None], Source] = {}

    def fit_frontend(self, ratio: Fraction | None, train_people: np.ndarray) -> None:
        """Build F_i; one that learns is fitted on the training people's gallery images, without labels."""
        frontend = self.spec.build_frontend()
        key = repr(frontend)
        if frontend and frontend.learns and ratio is not None:
            rows = self.rows["gallery"]
            rows = rows[np.isin(self.data.identity[rows], train_people)]
            seed = model_seed(self.seed, self.split, ratio)
            frontend.fit([self.data.images[i] for i in rows], self.size, ratio, seed)
            key += digest(rows, seed)
        elif frontend and frontend.ratio_dependent and ratio is not None:
            frontend.fit([], self.size, ratio, 0)
        if frontend and (frontend.ratio_dependent or frontend.learns):
            key += f" {ratio}"
        self.frontends[ratio] = frontend, key

    def source(self, side: str, ratio: Fraction | None) -> Source:
        """The gallery side, the probe side behind F_i, or ``shrunk``: F_i of gallery images shrunk by m_i."""
        if (side, ratio) in self.sources:
            return self.sources[side, ratio]
        frontend, key = (None, "") if side == "gallery" else self.frontends[ratio]
        rows = self.rows["gallery" if side == "shrunk" else side]

        def make() -> np.ndarray:
            images = Selection(self.data.images, rows, ratio if side == "shrunk" else None)
            return frontend.upscale(images, self.size) if frontend else resize_all(images, self.size)

        shrunk = str(ratio) if side == "shrunk" else ""
        code = code_hash((type(frontend).__module__ if frontend else "bench.resize",))
        source = Source(f"{self.data.sha256}|{side}|{self.size}|{key}|{code}|{shrunk}", make, self.cache)
        self.sources[side, ratio] = source
        return source

    def images(self, side: str, ratio: Fraction | None, people: np.ndarray) -> Images:
        """The images of some people on one side."""
        rows = self.rows["gallery" if side == "shrunk" else side]
        kept = np.flatnonzero(np.isin(self.data.identity[rows], people))
        chosen = rows[kept]
        native = Selection(self.data.images, chosen, ratio if side == "shrunk" else None)
        area = self.data.images.areas[chosen]
        parts = ((self.source(side, ratio), kept),)
        return Images(parts, self.data.identity[chosen], self.data.camera[chosen], area, native)


class Selection(Sequence[np.ndarray]):
    """Some images of a packed set, unpacked (and, given a ratio, shrunk by it) when asked for."""

    def __init__(self, images: Packed, rows: np.ndarray, ratio: Fraction | None = None) -> None:
        self.images, self.rows, self.ratio = images, rows, ratio

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int or slice, like any sequence
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        image = self.images[self.rows[index]]
        return shrink(image, self.ratio) if self.ratio else image


def model_seed(seed: int, split: int, ratio: Fraction | None, fold: int = 0) -> int:
    """The seed of one model."""
    parts = [seed, split, ratio.denominator if ratio else 0, fold]
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def models(spec: MethodSpec, low_resolution: bool) -> tuple[Fraction | None, ...]:
    """The anchor ratios that need a model of their own; (None,) where one model serves all."""
    method, frontend = spec.method.attributes, spec.frontend.attributes if spec.frontend else {}
    differ = method.get("ratio_dependent") or spec.options.synthetic_lr
    differ = differ or frontend.get("ratio_dependent") or frontend.get("learns")
    if not low_resolution or not method.get("anchored", True) or not differ:
        return (None,)
    return spec.anchors


def fit_and_match(
    view: View,
    ratio: Fraction | None,
    train_people: np.ndarray,
    test_people: np.ndarray,
    seed: int,
    profile: str,
    device: str,
    cost: dict[str, float],
) -> np.ndarray:
    """Fit one model on some people and return its checked distances, all probes x all gallery images of others."""
    synthetic = view.images("shrunk", ratio, train_people) if ratio is not None else None
    gallery = view.images("gallery", ratio, train_people)
    if view.spec.options.synthetic_lr and synthetic is not None:
        gallery = gallery + synthetic
    train = Train(gallery, view.images("probe", ratio, train_people), synthetic, ratio, seed, profile, device)
    start = time.perf_counter()
    fitted = view.spec.build().fit(train)
    middle = time.perf_counter()
    probe, shelf = view.images("probe", ratio, test_people), view.images("gallery", ratio, test_people)
    distances = checked(fitted, np.asarray(fitted.distances(probe, shelf)), (len(probe), len(shelf)))
    cost["fit_seconds"] = cost.get("fit_seconds", 0.0) + middle - start
    cost["match_seconds"] = cost.get("match_seconds", 0.0) + time.perf_counter() - middle
    return distances


def checked(method: Method, distances: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The distances as float64; BenchError when they are not a finite (probes, gallery) matrix of numbers."""
    if distances.shape != shape:
        raise BenchError(
            f"{method.name}.distances returned shape {distances.shape}; {shape} (probes, gallery) expected"
        )
    if distances.dtype.kind not in "fiu":
        raise BenchError(f"{method.name}.distances returned {distances.dtype}; real numbers expected")
    if not np.isfinite(distances).all():
        bad = int((~np.isfinite(distances)).sum())
        raise BenchError(f"{method.name}.distances returned {bad} values that are NaN or infinite; all must be finite")
    return distances.astype(np.float64)


@dataclass(frozen=True)
class Outcome:
    """What a cell gives.  record: for the result file (JSON values).  distances: anchor (or ``all``) -> matrix."""

    record: dict[str, Any]
    distances: dict[str, np.ndarray]


@dataclass(frozen=True)
class TestSide:
    """Test people's labels, resolutions and single-shot galleries: all that scoring needs beside distances."""

    probe: np.ndarray
    gallery: np.ndarray
    r: np.ndarray
    draws: list[np.ndarray]

    def score(self, distances: np.ndarray) -> dict[str, Any]:
        """Mean CMC and mAP over the gallery draws, and every probe's expected rank."""
        first, ties = zip(
            *(cmc.match_positions(distances[:, d], self.probe, self.gallery[d]) for d in self.draws), strict=True
        )
        ranks = min(RANKS, len(self.draws[0]))
        return {
            "cmc": np.mean([cmc.cmc(f, t, ranks) for f, t in zip(first, ties, strict=True)], axis=0).tolist(),
            "map": float(np.mean([cmc.average_precision(f, t).mean() for f, t in zip(first, ties, strict=True)])),
            "probe_ranks": np.mean(
                [cmc.expected_rank(f, t) for f, t in zip(first, ties, strict=True)], axis=0
            ).tolist(),
        }


def test_side(view: View, people: np.ndarray, draws: int | str) -> TestSide:
    probe, gallery = view.images("probe", view_anchor(view), people), view.images("gallery", None, people)
    r = fusion.resolution_ratio(probe.area, gallery.area)
    return TestSide(probe.identity, gallery.identity, r, gallery_draws(gallery.identity, draws, view.seed, view.split))


def view_anchor(view: View) -> Fraction | None:
    return next(iter(view.frontends))


def cross_validated_sigmas(
    view: View, subsets: list[tuple[Fraction, ...]], split: Split, profile: str, device: str, cost: dict[str, float]
) -> dict[tuple[Fraction, ...], float]:
    """The fusion's sigma for each anchor subset: five folds over the training people, every fold's models refitted.

    Test people are never looked at.  The seconds spent go to ``sigma_seconds``.
    """
    start = time.perf_counter()
    scores: dict[tuple[tuple[Fraction, ...], float], list[tuple[float, float]]] = {}
    spent: dict[str, float] = {}
    for fold, (train, held_out) in enumerate(
        folds(split.train, min(FOLDS, len(split.train)), view.seed, view.split), 1
    ):
        side = test_side(view, held_out, view.data.spec.options.gallery_draws)
        distances = {
            m: fit_and_match(
                view, m, train, held_out, model_seed(view.seed, view.split, m, fold), profile, device, spent
            )
            for m in view.spec.anchors
        }
        for subset, sigma in itertools.product(subsets, fusion.SIGMA_GRID):
            fused = fusion.fuse({m: distances[m] for m in subset}, side.r, sigma, view.spec.options.normalise)
            result = side.score(fused)
            scores.setdefault((subset, sigma), []).append((result["cmc"][0], result["map"]))
    cost["sigma_seconds"] = time.perf_counter() - start
    mean = {k: (float(np.mean([s[0] for s in v])), float(np.mean([s[1] for s in v]))) for k, v in scores.items()}
    return {s: fusion.best_sigma({sigma: mean[s, sigma] for sigma in fusion.SIGMA_GRID}) for s in subsets}


def subsets_of(anchors: tuple[Fraction, ...]) -> list[tuple[Fraction, ...]]:
    """Every non-empty subset, singles first."""
    return [s for n in range(1, len(anchors) + 1) for s in itertools.combinations(anchors, n)]


def name_of(subset: Sequence[Fraction]) -> str:
    return "+".join(map(str, subset))


def evaluate(cell: Cell, spec: MethodSpec, data: Data, cache: Cache, device: str) -> Outcome:
    """Run one cell: fit per anchor, match, fuse, score."""
    split = make_split(data.identities, cell.split, cell.seed, data.spec.options.split_file)
    ratios = models(spec, data.low_resolution)
    view = View(data, spec, cache, cell.seed, cell.split)
    cost: dict[str, float] = {}
    start = time.perf_counter()
    for m in ratios:
        view.fit_frontend(m, split.train)
    cost["frontend_seconds"] = time.perf_counter() - start
    distances = {
        m: fit_and_match(
            view, m, split.train, split.test, model_seed(cell.seed, cell.split, m), cell.profile, device, cost
        )
        for m in ratios
    }
    side = test_side(view, split.test, data.spec.options.gallery_draws)
    record: dict[str, Any] = {
        "protocol": PROTOCOL,
        "sizes": {
            "train_people": len(split.train),
            "test_people": len(split.test),
            "probes": len(side.probe),
            "gallery_images": len(side.gallery),
            "gallery_draws": len(side.draws),
        },
    }
    if ratios == (None,):
        fused = distances[None]
        anchored = data.low_resolution and spec.method.attributes.get("anchored", True)
        record["fusion"] = "identity" if anchored else "none"
    else:
        fused = fuse_subsets(record, view, {m: d for m, d in distances.items() if m}, side, split, cell, device, cost)
    record |= side.score(fused)
    record["cost"] = {k: round(v, 4) for k, v in cost.items()}
    return Outcome(record, {str(m) if m else "all": d for m, d in distances.items()})


def fuse_subsets(
    record: dict[str, Any],
    view: View,
    distances: Mapping[Fraction, np.ndarray],
    side: TestSide,
    split: Split,
    cell: Cell,
    device: str,
    cost: dict[str, float],
) -> np.ndarray:
    """Score every subset of the anchors into the record; returns the fused distances of all of them."""
    options = view.spec.options
    subsets = subsets_of(tuple(distances))
    several = [s for s in subsets if len(s) > 1]
    if options.sigma == "auto" and several:
        sigmas = cross_validated_sigmas(view, several, split, cell.profile, device, cost)
    else:
        sigmas = {s: 1.0 if options.sigma == "auto" else float(options.sigma) for s in several}
    record["fusion"] = "weighted"
    record["sigma"] = {name_of(s): sigma for s, sigma in sigmas.items()}
    record["subsets"] = {}
    for subset in subsets:
        fused = fusion.fuse({m: distances[m] for m in subset}, side.r, sigmas.get(subset, 1.0), options.normalise)
        result = side.score(fused)
        record["subsets"][name_of(subset)] = {"cmc": result["cmc"], "map": result["map"]}
    return fused
