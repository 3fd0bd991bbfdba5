"""One cell: a method on one split of a data set.

split -> view -> distances per anchor -> sigma -> fuse -> score -> outcome.
"""

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from bench.engine.cache import Cache
from bench.engine.data import Data
from bench.engine.identity import Cell
from bench.engine.matching import Model, fit_and_match
from bench.engine.record import Computed, Record, Scores, Sizes
from bench.engine.view import Setup, View, build_view
from bench.errors import BenchError
from bench.plugin.base import SigmaRule
from bench.plugin.spec import MethodSpec
from bench.protocol import fusion
from bench.protocol.scoring import Score, Trial
from bench.protocol.splits import Split, folds, gallery_draws

PROTOCOL = "single-shot, all probes, expected CMC under ties"
MULTI_SHOT = "{} gallery images a person, the nearest counts, all probes, expected CMC under ties"
SIGMA_RANGE = (1e-3, 1e3)

Subset = tuple[Fraction, ...]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """What a cell gives: the fields of `bench.engine.record.Record`, the distances and the enhancers.

    distances: anchor (or ``all``) -> (probes, gallery images) float64, both in the data set's order.  enhancers: of the
    anchors whose models have some, the arrays of `bench.plugin.base.Method.enhancer`.
    """

    protocol: str
    sizes: Sizes
    fusion: str
    cmc: tuple[float, ...]
    map: float
    probe_ranks: tuple[float, ...]
    probe_hits: tuple[float, ...]
    sigma: dict[str, float]
    subsets: dict[str, Scores]
    initialisation: dict[str, dict[str, str]]
    curves: dict[str, dict[str, Any]]
    cost: dict[str, float]
    distances: dict[str, np.ndarray]
    warnings: tuple[str, ...]
    nearest: tuple[tuple[int, ...], ...]
    enhancers: dict[str, dict[str, np.ndarray]]

    def record(self, computed: Computed, cost: Mapping[str, float], contract: bool) -> Record:
        """The record to store.  cost: total_seconds and what else only the caller can measure."""
        kept = {name: getattr(self, name) for name in Record.__struct_fields__ if hasattr(self, name)}
        return Record(**{**kept, "cost": {**self.cost, **cost}}, computed=computed, contract=contract)


@dataclass(frozen=True)
class Fused:
    """The distances that a cell is scored by.  kind: as `Record.fusion`; sigma, subsets: by anchor subset's name."""

    kind: str
    distances: np.ndarray
    sigma: dict[str, float]
    subsets: dict[str, Scores]
    seconds: float | None = None


def evaluate(cell: Cell, spec: MethodSpec, data: Data, cache: Cache, setup: Setup | None = None) -> Outcome:
    """Compute one cell.  setup: by default the cell's schedule on the CPU.  BenchError, or what a plug-in raises."""
    setup = setup or Setup(cell.profile, initial=cell.weights)
    split = data.split(cell.split, cell.seed)
    tested = np.concatenate([split.test, data.distractor_people])
    view, frontend_seconds = timed(lambda: build_view(data, spec, cache, cell.seed, cell.split, split.train, setup))
    models = {ratio: fit_and_match(view, ratio, split.train, tested) for ratio in view.ratios}
    trial = make_trial(view, tested)
    fused = fuse_models(view, models, trial, split, tested)
    score = trial.score(fused.distances)
    cost = {
        "frontend_seconds": frontend_seconds,
        "fit_seconds": sum(model.fit_seconds for model in models.values()),
        "match_seconds": sum(model.match_seconds for model in models.values()),
        **({} if fused.seconds is None else {"sigma_seconds": fused.seconds}),
    }
    parameters = sum(model.parameters for model in models.values())
    shots = data.spec.options.gallery_shots
    return Outcome(
        protocol=PROTOCOL if shots == 1 else MULTI_SHOT.format(shots),
        sizes=Sizes(len(split.train), len(split.test), len(trial.probe), len(trial.gallery), len(trial.draws)),
        fusion=fused.kind,
        cmc=tuple(score.cmc.tolist()),
        map=score.mean_ap,
        probe_ranks=tuple(score.probe_ranks.tolist()),
        probe_hits=tuple(score.probe_hits.tolist()),
        sigma=fused.sigma,
        subsets=fused.subsets,
        initialisation={anchor_name(m): model.initialisation for m, model in models.items() if model.initialisation},
        curves={anchor_name(m): model.curves for m, model in models.items() if model.curves},
        cost={name: round(seconds, 4) for name, seconds in cost.items()}
        | ({"parameters": parameters} if parameters else {}),
        distances={anchor_name(m): model.distances for m, model in models.items()},
        warnings=data.warnings,
        nearest=tuple(map(tuple, trial.nearest(fused.distances).tolist())),
        enhancers={anchor_name(m): model.enhancer for m, model in models.items() if model.enhancer},
    )


def timed(compute: Callable[[], Result]) -> tuple[Result, float]:
    """A result and the seconds it took."""
    start = time.perf_counter()
    result = compute()
    return result, time.perf_counter() - start


def make_trial(view: View, people: np.ndarray) -> Trial:
    """Labels and galleries of some people, in the data set's order."""
    identity, options = view.data.identity, view.data.spec.options
    probe, gallery = (identity[view.rows_of(side, people)] for side in ("probe", "gallery"))
    draws = gallery_draws(gallery, options.gallery_draws, view.seed, view.split, options.gallery_shots)
    return Trial(probe, gallery, draws)


def resolution_ratio(view: View, people: np.ndarray) -> np.ndarray:
    """r of Eq. 7 for each probe of some people."""
    areas = view.data.images.areas
    probe, gallery = (areas[view.rows_of(side, people)] for side in ("probe", "gallery"))
    return fusion.resolution_ratio(probe, gallery)


def fuse_models(
    view: View, models: Mapping[Fraction | None, Model], trial: Trial, split: Split, tested: np.ndarray
) -> Fused:
    """The distances of the only model, or those of all anchors fused, with the scores of every subset."""
    if view.ratios == (None,):
        anchored = view.data.low_resolution and view.spec.method.attributes.get("anchored", True)
        return Fused("identity" if anchored else "none", models[None].distances, {}, {})
    distances = {ratio: model.distances for ratio, model in models.items() if ratio is not None}
    subsets = [s for n in range(1, len(distances) + 1) for s in itertools.combinations(distances, n)]
    several = [subset for subset in subsets if len(subset) > 1]
    rule = sigma_rule(view)
    sigmas, seconds = dict.fromkeys(several, rule.fixed or 1.0), None
    if rule.fixed is None and several:
        sigmas, seconds = timed(lambda: cross_validated_sigmas(view, several, split, rule))
    r = resolution_ratio(view, tested)
    fused = {subset: fuse(view, distances, subset, r, sigmas.get(subset, 1.0)) for subset in subsets}
    return Fused(
        "weighted",
        fused[subsets[-1]],
        {subset_name(subset): sigma for subset, sigma in sigmas.items()},
        {subset_name(subset): scores(trial.score(fused[subset])) for subset in subsets},
        seconds,
    )


def sigma_rule(view: View) -> SigmaRule:
    """How sigma is chosen: as the options say, else as the method does.  BenchError for a value that makes no sense."""
    given = view.spec.options.sigma
    rule = view.spec.build().sigma_rule(view.setup.profile) if given == "auto" else SigmaRule(fixed=float(given))
    low, high = SIGMA_RANGE
    if rule.fixed is not None and not (math.isfinite(rule.fixed) and low <= rule.fixed <= high):
        raise BenchError(f"sigma is {rule.fixed}; it must lie between {low:g} and {high:g}")
    return rule


def cross_validated_sigmas(view: View, subsets: Sequence[Subset], split: Split, rule: SigmaRule) -> dict[Subset, float]:
    """The fusion's sigma for each anchor subset: folds over the training people, every fold's models refitted.

    Test people are never looked at.
    """
    found: dict[tuple[Subset, float], list[tuple[float, float]]] = {}
    parts = folds(split.train, min(rule.folds, len(split.train)), view.seed, view.split)
    for fold, (train, held_out) in enumerate(parts[: rule.held_out], 1):
        trial, r = make_trial(view, held_out), resolution_ratio(view, held_out)
        distances = {m: fit_and_match(view, m, train, held_out, fold).distances for m in view.spec.anchors}
        for subset, sigma in itertools.product(subsets, fusion.SIGMA_GRID):
            score = trial.score(fuse(view, distances, subset, r, sigma))
            found.setdefault((subset, sigma), []).append((float(score.cmc[0]), score.mean_ap))
    mean = {k: (float(np.mean([s[0] for s in v])), float(np.mean([s[1] for s in v]))) for k, v in found.items()}
    return {s: fusion.best_sigma({sigma: mean[s, sigma] for sigma in fusion.SIGMA_GRID}) for s in subsets}


def fuse(
    view: View, distances: Mapping[Fraction, np.ndarray], subset: Subset, r: np.ndarray, sigma: float
) -> np.ndarray:
    """The fused distances of a subset of the anchors; BenchError where they are not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        fused = fusion.fuse({m: distances[m] for m in subset}, r, sigma, view.spec.options.normalise)
    if not np.isfinite(fused).all():
        largest = max(float(np.abs(distances[m]).max()) for m in subset)
        raise BenchError(
            f"the fused distances of {view.spec.method.name} are not finite: its distances reach {largest:.3g}"
        )
    return fused


def scores(score: Score) -> Scores:
    return Scores(tuple(score.cmc.tolist()), score.mean_ap)


def anchor_name(ratio: Fraction | None) -> str:
    return str(ratio) if ratio is not None else "all"


def subset_name(subset: Subset) -> str:
    return "+".join(map(str, subset))
