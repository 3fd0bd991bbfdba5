"""One cell: a method on one split of a data set.

split -> view -> distances per anchor -> sigma -> fuse -> score -> outcome.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from bench.engine.cache import Cache
from bench.engine.data import Data
from bench.engine.fusing import choose_fusion, judge, make_trial, timed
from bench.engine.identity import Cell
from bench.engine.matching import fit_and_match
from bench.engine.pairs import blocks_folder
from bench.engine.record import Computed, Record, Scores, Sizes
from bench.engine.view import Setup, build_view
from bench.plugin.spec import MethodSpec

PROTOCOL = "single-shot, all probes, expected CMC under ties"
MULTI_SHOT = "{} gallery images a person, the nearest counts, all probes, expected CMC under ties"


@dataclass(frozen=True)
class Outcome:
    """What a cell gives: the fields of `bench.engine.record.Record`, the distances and the enhancers.

    distances: anchor (or ``all``) -> (probes, gallery images) float64, both in the data set's order; none where they
    did not fit in memory.  enhancers: of the
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


def evaluate(cell: Cell, spec: MethodSpec, data: Data, cache: Cache, setup: Setup | None = None) -> Outcome:
    """Compute one cell.  setup: by default the cell's schedule on the CPU.  BenchError, or what a plug-in raises."""
    setup = setup or Setup(cell.profile, initial=cell.weights)
    split = data.split(cell.split, cell.seed)
    tested = np.concatenate([split.test, data.distractor_people])
    view, frontend_seconds = timed(lambda: build_view(data, spec, cache, cell.seed, cell.split, split.train, setup))
    trial = make_trial(view, tested)
    with blocks_folder(view, trial, cache) as folder:
        models = {ratio: fit_and_match(view, ratio, split.train, tested, folder=folder) for ratio in view.ratios}
        found = judge(view, models, trial, choose_fusion(view, list(models), split, tested))
    cost = {
        "frontend_seconds": frontend_seconds,
        "fit_seconds": sum(model.fit_seconds for model in models.values()),
        "match_seconds": sum(model.match_seconds for model in models.values()),
        **({} if found.seconds is None else {"sigma_seconds": found.seconds}),
    }
    parameters = sum(model.parameters for model in models.values())
    shots = data.spec.options.gallery_shots
    return Outcome(
        protocol=PROTOCOL if shots == 1 else MULTI_SHOT.format(shots),
        sizes=Sizes(len(split.train), len(split.test), len(trial.probe), len(trial.gallery), len(trial.draws)),
        fusion=found.kind,
        cmc=tuple(found.score.cmc.tolist()),
        map=found.score.mean_ap,
        probe_ranks=tuple(found.score.probe_ranks.tolist()),
        probe_hits=tuple(found.score.probe_hits.tolist()),
        sigma=found.sigma,
        subsets=found.subsets,
        initialisation={anchor_name(m): model.initialisation for m, model in models.items() if model.initialisation},
        curves={anchor_name(m): model.curves for m, model in models.items() if model.curves},
        cost={name: round(seconds, 4) for name, seconds in cost.items()}
        | ({"parameters": parameters} if parameters else {}),
        distances={anchor_name(m): model.matrix for m, model in models.items() if folder is None},
        warnings=data.warnings,
        nearest=tuple(map(tuple, found.nearest.tolist())),
        enhancers={anchor_name(m): model.enhancer for m, model in models.items() if model.enhancer},
    )


def anchor_name(ratio: Fraction | None) -> str:
    return str(ratio) if ratio is not None else "all"
