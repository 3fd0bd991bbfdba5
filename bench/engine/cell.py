"""One cell: a method on one split of a data set, from images to CMC."""

import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from bench.engine.cache import Cache, let_go
from bench.engine.data import Data
from bench.engine.provenance import code_hash
from bench.errors import BenchError
from bench.plugin.base import FrontEnd, Method, SigmaRule, Train, Trained, Upscaling
from bench.plugin.spec import MethodSpec
from bench.protocol import fusion, scoring
from bench.protocol.fusion import ANCHORS
from bench.protocol.images import CHUNK, Images, Packed, Source, digest
from bench.protocol.resize import resize_all, shrink
from bench.protocol.splits import Split, folds, gallery_draws, training_rows

PART = ("matching", 1)
RANKS = 50
PROTOCOL = "single-shot, all probes, expected CMC under ties"


@dataclass(frozen=True)
class Cell:
    """What identifies a result.  method, dataset: canonical specs, files named by their content's hash.

    profile: training schedule, ``paper`` where neither method nor front-end has one.  data: SHA-256 of the data.
    weights: SHA-256 of initial weights, empty where there are none.
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


@dataclass(frozen=True)
class Means:
    """What a cell is computed with, beside its method and data.

    initial: hash of the initial weights, as in `Cell`.  Others: as in `Train`; the workspace is the cell's.
    """

    profile: str = "paper"
    device: str = "cpu"
    weights: Path | None = None
    initial: str = ""
    workspace: Path | None = None
    compile: bool = False
    deterministic: bool = False

    @property
    def common(self) -> dict[str, Any]:
        """What every kind of training is told."""
        names = ("profile", "device", "weights", "compile", "deterministic")
        return {name: getattr(self, name) for name in names}


class View:
    """A data set as one method sees it: sources per anchor at the method's input size."""

    def __init__(
        self, data: Data, spec: MethodSpec, cache: Cache, seed: int, split: int, means: Means = Means()
    ) -> None:
        self.data, self.spec, self.cache, self.seed, self.split = data, spec, cache, seed, split
        self.means = means
        self.size = spec.build().input_size
        self.rows = {side: np.flatnonzero(data.probe == (side == "probe")) for side in ("gallery", "probe")}
        limit = data.spec.options.images_per_view
        self.trains = training_rows(data.identity, data.camera, data.probe, limit, seed)
        self.frontends: dict[Fraction | None, tuple[FrontEnd | None, str]] = {}
        self.sources: dict[tuple[str, Fraction | None], Source] = {}

    def fit_frontend(self, ratio: Fraction | None, train_people: np.ndarray) -> None:
        """Build F_i; one that learns is fitted on the training people's gallery images, without labels.

        What it keeps in its workspace lies in the cache, named by all that it depends on: methods of one input size
        share one fit.
        """
        frontend, means = self.spec.build_frontend(), self.means
        key = repr(frontend)
        train = Upscaling([], self.size, ratio or ANCHORS[0], 0, **means.common)
        if frontend and frontend.learns and ratio is not None:
            rows = self.rows["gallery"]
            rows = rows[np.isin(self.data.identity[rows], train_people) & self.trains[rows]]
            seed = model_seed(self.seed, self.split, ratio)
            key += f" {ratio} {digest(rows, seed, means.profile, means.device, means.initial)}"
            code = code_hash((type(frontend).__module__,))
            workspace = self.cache.folder / "fitted" / digest(self.data.digest, self.size, key, code)
            images = [self.data.images[i] for i in rows]
            with self.cache.writing():
                workspace.mkdir(parents=True, exist_ok=True)
            with FileLock(workspace / "lock"):
                frontend.fit(replace(train, images=images, seed=seed, workspace=workspace))
        elif frontend and frontend.ratio_dependent and ratio is not None:
            frontend.fit(train)
            key += f" {ratio} {digest(means.profile, means.device, means.initial)}"
        self.frontends[ratio] = frontend, key

    def source(self, side: str, ratio: Fraction | None) -> Source:
        """The gallery side, the probe side behind F_i, or ``shrunk``: F_i of gallery images shrunk by m_i."""
        if (side, ratio) in self.sources:
            return self.sources[side, ratio]
        frontend, key = (None, "") if side == "gallery" else self.frontends[ratio]
        rows = self.rows["gallery" if side == "shrunk" else side]

        def make() -> Iterator[np.ndarray]:
            for start in range(0, len(rows), CHUNK):
                chosen = rows[start : start + CHUNK]
                images = Selection(self.data.images, chosen, ratio if side == "shrunk" else None)
                yield frontend.upscale(images, self.size) if frontend else resize_all(images, self.size)
            let_go(self.data.images.flat)

        shrunk = str(ratio) if side == "shrunk" else ""
        code = code_hash(("bench.engine.data", type(frontend).__module__ if frontend else "bench.protocol.resize"))
        source = Source(f"{self.data.digest}|{side}|{self.size}|{key}|{code}|{shrunk}", make, self.cache)
        self.sources[side, ratio] = source
        return source

    def images(self, side: str, ratio: Fraction | None, people: np.ndarray, train: bool = False) -> Images:
        """The images of some people on one side; for training, those that training may use."""
        rows = self.rows["gallery" if side == "shrunk" else side]
        kept = np.flatnonzero(np.isin(self.data.identity[rows], people) & (self.trains[rows] if train else True))
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
    fold: int,
    cost: dict[str, float],
) -> tuple[np.ndarray, Method]:
    """Fit one model on some people; its checked distances, all probes x all gallery images of others, and the model.

    fold: 0 for the model that is measured, above for those that sigma is chosen by.
    """
    synthetic = view.images("shrunk", ratio, train_people, train=True) if ratio is not None else None
    gallery = view.images("gallery", ratio, train_people, train=True)
    if view.spec.options.synthetic_lr and synthetic is not None:
        gallery = gallery + synthetic
    means, seed = view.means, model_seed(view.seed, view.split, ratio, fold)
    workspace = means.workspace and means.workspace / f"{ratio.denominator if ratio else 0}-{fold}"
    train = Train(
        gallery=gallery,
        probe=view.images("probe", ratio, train_people, train=True),
        synthetic=synthetic,
        ratio=ratio,
        seed=seed,
        workspace=workspace,
        **means.common,
    )
    start = time.perf_counter()
    fitted = view.spec.build().fit(train)
    middle = time.perf_counter()
    probe, shelf = view.images("probe", ratio, test_people), view.images("gallery", ratio, test_people)
    distances = checked(fitted, np.asarray(fitted.distances(probe, shelf)), (len(probe), len(shelf)))
    cost["fit_seconds"] = cost.get("fit_seconds", 0.0) + middle - start
    cost["match_seconds"] = cost.get("match_seconds", 0.0) + time.perf_counter() - middle
    return distances, fitted


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
            *(scoring.match_positions(distances[:, d], self.probe, self.gallery[d]) for d in self.draws), strict=True
        )
        ranks = min(RANKS, len(self.draws[0]))
        return {
            "cmc": np.mean([scoring.cmc(f, t, ranks) for f, t in zip(first, ties, strict=True)], axis=0).tolist(),
            "map": float(np.mean([scoring.average_precision(f, t).mean() for f, t in zip(first, ties, strict=True)])),
            "probe_ranks": np.mean(
                [scoring.expected_rank(f, t) for f, t in zip(first, ties, strict=True)], axis=0
            ).tolist(),
        }


def test_side(view: View, people: np.ndarray, draws: int | str) -> TestSide:
    probe, gallery = view.images("probe", view_anchor(view), people), view.images("gallery", None, people)
    r = fusion.resolution_ratio(probe.area, gallery.area)
    return TestSide(probe.identity, gallery.identity, r, gallery_draws(gallery.identity, draws, view.seed, view.split))


def view_anchor(view: View) -> Fraction | None:
    return next(iter(view.frontends))


def cross_validated_sigmas(
    view: View, subsets: list[tuple[Fraction, ...]], split: Split, rule: SigmaRule, cost: dict[str, float]
) -> dict[tuple[Fraction, ...], float]:
    """The fusion's sigma for each anchor subset: folds over the training people, every fold's models refitted.

    Test people are never looked at.  The seconds spent go to ``sigma_seconds``.
    """
    start = time.perf_counter()
    scores: dict[tuple[tuple[Fraction, ...], float], list[tuple[float, float]]] = {}
    spent: dict[str, float] = {}
    parts = folds(split.train, min(rule.folds, len(split.train)), view.seed, view.split)
    for fold, (train, held_out) in enumerate(parts[: rule.held_out], 1):
        side = test_side(view, held_out, view.data.spec.options.gallery_draws)
        distances = {m: fit_and_match(view, m, train, held_out, fold, spent)[0] for m in view.spec.anchors}
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


def evaluate(cell: Cell, spec: MethodSpec, data: Data, cache: Cache, means: Means | None = None) -> Outcome:
    """Run one cell: fit per anchor, match, fuse, score.  means: by default the cell's schedule on the CPU."""
    split = data.split(cell.split, cell.seed)
    tested = np.concatenate([split.test, data.distractor_people])
    ratios = models(spec, data.low_resolution)
    means = means or Means(cell.profile, initial=cell.weights)
    view = View(data, spec, cache, cell.seed, cell.split, means)
    cost: dict[str, float] = {}
    start = time.perf_counter()
    for m in ratios:
        view.fit_frontend(m, split.train)
    cost["frontend_seconds"] = time.perf_counter() - start
    distances, trained = {}, {}
    for m in ratios:
        distances[m], method = fit_and_match(view, m, split.train, tested, 0, cost)
        trained[m] = training_of(view.frontends[m][0], method)
    side = test_side(view, tested, data.spec.options.gallery_draws)
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
        fused = fuse_subsets(record, view, {m: d for m, d in distances.items() if m}, side, split, cost)
    record |= side.score(fused)
    for name in ("initialisation", "curves"):
        if found := {str(m) if m else "all": t[name] for m, t in trained.items() if t[name]}:
            record[name] = found
    record["cost"] = {k: round(v, 4) for k, v in cost.items()}
    return Outcome(record, {str(m) if m else "all": d for m, d in distances.items()})


def training_of(*parts: Trained | None) -> dict[str, dict[str, Any]]:
    """What fitted plug-ins say of their training, by name: ``initialisation`` and ``curves``, those that have any."""
    return {
        name: {part.name: found for part in parts if part and (found := getattr(part, f"{name}_", None))}
        for name in ("initialisation", "curves")
    }


def fuse_subsets(
    record: dict[str, Any],
    view: View,
    distances: Mapping[Fraction, np.ndarray],
    side: TestSide,
    split: Split,
    cost: dict[str, float],
) -> np.ndarray:
    """Score every subset of the anchors into the record; returns the fused distances of all of them."""
    options = view.spec.options
    subsets = subsets_of(tuple(distances))
    several = [s for s in subsets if len(s) > 1]
    rule = view.spec.build().sigma_rule(view.means.profile)
    if options.sigma != "auto":
        rule = SigmaRule(fixed=float(options.sigma))
    if rule.fixed is None and several:
        sigmas = cross_validated_sigmas(view, several, split, rule, cost)
    else:
        sigmas = dict.fromkeys(several, rule.fixed or 1.0)
    record["fusion"] = "weighted"
    record["sigma"] = {name_of(s): sigma for s, sigma in sigmas.items()}
    record["subsets"] = {}
    for subset in subsets:
        fused = fusion.fuse({m: distances[m] for m in subset}, side.r, sigmas.get(subset, 1.0), options.normalise)
        result = side.score(fused)
        record["subsets"][name_of(subset)] = {"cmc": result["cmc"], "map": result["map"]}
    return fused
