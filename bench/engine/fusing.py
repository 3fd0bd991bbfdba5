"""From the distances of every anchor's model to what a cell is scored by: sigma, fusion, scores of all subsets."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

import numpy as np

from bench.engine.matching import Model, fit_and_match
from bench.engine.pairs import Pairs, check_room
from bench.engine.record import Scores
from bench.engine.view import Ratio, View
from bench.errors import BenchError
from bench.plugin.sigma import SigmaRule
from bench.protocol import fusion
from bench.protocol.blocks import Part
from bench.protocol.scoring import Score, Trial
from bench.protocol.splits import Split, folds, gallery_draws
from bench.protocol.streaming import score_stream

SIGMA_RANGE = (1e-3, 1e3)

Subset = tuple[Fraction, ...]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Fusion:
    """How the anchors' distances are fused.  kind: as `Record.fusion`.  sigma: of each subset of several anchors.

    weights: (P, anchors) of Eq. 8, of each subset of the anchors, the largest last; none for a single model.  seconds:
    that choosing sigma took.
    """

    kind: str
    weights: Mapping[Subset, np.ndarray] = field(default_factory=dict)
    sigma: Mapping[Subset, float] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Judged:
    """What a cell is scored by.  nearest: as `Trial.nearest`; sigma, subsets: by anchor subset's name."""

    kind: str
    score: Score
    nearest: np.ndarray
    sigma: dict[str, float]
    subsets: dict[str, Scores]
    seconds: float | None


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


def choose_fusion(view: View, ratios: Sequence[Ratio], split: Split, tested: np.ndarray) -> Fusion:
    """How the models of some anchors are fused, sigma chosen on training people."""
    if view.ratios == (None,):
        anchored = view.data.low_resolution and view.spec.method.attributes.get("anchored", True)
        return Fusion("identity" if anchored else "none")
    anchors = [ratio for ratio in ratios if ratio is not None]
    subsets = [s for n in range(1, len(anchors) + 1) for s in itertools.combinations(anchors, n)]
    several = [subset for subset in subsets if len(subset) > 1]
    rule = sigma_rule(view)
    sigmas, seconds = dict.fromkeys(several, rule.fixed or 1.0), None
    if rule.fixed is None and several:
        sigmas, seconds = timed(lambda: cross_validated_sigmas(view, several, split, rule))
    r = resolution_ratio(view, tested)
    return Fusion("weighted", {s: fusion.weights(r, s, sigmas.get(s, 1.0)) for s in subsets}, sigmas, seconds)


def judge(view: View, models: Mapping[Ratio, Model], trial: Trial, chosen: Fusion) -> Judged:
    """The scores of the only model, or of all anchors fused and of every subset of them."""
    pairs = {ratio: model.distances for ratio, model in models.items() if isinstance(model.distances, Pairs)}
    if pairs:
        return judge_blocks(view, pairs, trial, chosen)
    matrices = {ratio: model.matrix for ratio, model in models.items()}
    if not chosen.weights:
        return judged(chosen, trial.score(matrices[None]), trial.nearest(matrices[None]), {})
    scores = {}
    for subset, w in chosen.weights.items():
        fused = fuse(view, {m: matrices[m] for m in subset}, w)
        scores[subset] = trial.score(fused)
    return judged(chosen, scores[subset], trial.nearest(fused), scores)


def judge_blocks(view: View, pairs: Mapping[Ratio, Pairs], trial: Trial, chosen: Fusion) -> Judged:
    """As `judge`, of distances that are computed block by block and not kept."""
    first = next(iter(pairs.values()))
    probe, gallery = first.probe.side, first.gallery.side
    # Images that are one distinct image are of one size, and so of one weight.
    shown = np.unique(probe.position, return_index=True)[1]

    def compute(some: Part, others: Part) -> Iterator[tuple[Subset, np.ndarray]]:
        blocks = {ratio: of.block(some, others) for ratio, of in pairs.items()}
        if not chosen.weights:
            yield (), blocks[None]
        for subset, w in chosen.weights.items():
            yield subset, fuse(view, {m: blocks[m] for m in subset}, w[shown[some.asked]])

    listed = list(chosen.weights)[-1] if chosen.weights else ()
    found = score_stream(trial, probe, gallery, compute, listed, view.setup.threads)
    score, nearest = found[listed]
    return judged(chosen, score, nearest, {subset: found[subset][0] for subset in chosen.weights})


def judged(chosen: Fusion, score: Score, nearest: np.ndarray, subsets: Mapping[Subset, Score]) -> Judged:
    sigma = {subset_name(subset): value for subset, value in chosen.sigma.items()}
    kept = {subset_name(s): Scores(tuple(one.cmc.tolist()), one.mean_ap) for s, one in subsets.items()}
    return Judged(chosen.kind, score, nearest, sigma, kept, chosen.seconds)


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
        check_room(view, trial)
        models = {m: fit_and_match(view, m, train, held_out, fold).matrix for m in view.spec.anchors}
        for subset, sigma in itertools.product(subsets, fusion.SIGMA_GRID):
            score = trial.score(fuse(view, {m: models[m] for m in subset}, fusion.weights(r, subset, sigma)))
            found.setdefault((subset, sigma), []).append((float(score.cmc[0]), score.mean_ap))
    mean = {k: (float(np.mean([s[0] for s in v])), float(np.mean([s[1] for s in v]))) for k, v in found.items()}
    return {s: fusion.best_sigma({sigma: mean[s, sigma] for sigma in fusion.SIGMA_GRID}) for s in subsets}


def fuse(view: View, distances: Mapping[Fraction, np.ndarray], w: np.ndarray) -> np.ndarray:
    """The fused distances of some anchors by weights (P, anchors); BenchError where they are not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        fused = fusion.weighted_sum(distances, w, view.spec.options.normalise)
    if not np.isfinite(fused).all():
        largest = max(float(np.abs(matrix).max()) for matrix in distances.values())
        raise BenchError(
            f"the fused distances of {view.spec.method.name} are not finite: its distances reach {largest:.3g}"
        )
    return fused


def subset_name(subset: Subset) -> str:
    return "+".join(map(str, subset))
