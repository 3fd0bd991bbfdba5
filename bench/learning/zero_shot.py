"""How well weights match people as they are: ``python -m bench pretrain NAME --check FILE``.

Splits, galleries and scores are those of a cell; nothing is trained, and the training people are not looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial.distance import cdist

from bench.engine.cache import Cache
from bench.engine.data import Data, load
from bench.engine.fusing import make_trial
from bench.engine.matching import match
from bench.engine.plan import default_splits
from bench.engine.view import build_view
from bench.errors import DataError, MissingData, NotApplicable, UsageError
from bench.learning.pretrain import make_recipe
from bench.plugin.base import Method
from bench.plugin.pretraining import ZeroShot
from bench.plugin.registry import registry
from bench.plugin.spec import DatasetSpec, check_applicable, dataset_spec, method_spec
from bench.protocol.extractors import Extractor
from bench.protocol.images import Images

RANKS = (1, 5, 10, 20)
METRICS: dict[str, Literal["euclidean", "cosine"]] = {"L2": "euclidean", "cosine": "cosine"}


@dataclass(frozen=True)
class Figures:
    """Zero-shot figures of one data set by one distance.

    percent: at `RANKS`, the mean over the splits; None at a rank beyond the number of test people.
    skipped: why there are none.
    """

    dataset: str
    distance: str = ""
    percent: tuple[float | None, ...] = ()
    splits: int = 0
    skipped: str = ""


class AsTheyAre(Method):
    """Images matched by given features, in one of scipy's metrics."""

    name = "zero-shot"

    def __init__(self, extractor: Extractor, metric: Literal["euclidean", "cosine"]) -> None:
        self.extractor, self.metric = extractor, metric

    def distances(self, probe: Images, gallery: Images) -> np.ndarray:
        return cdist(probe.features(self.extractor), gallery.features(self.extractor), self.metric)


def measure(
    name: str, weights: Path, dataset: str | None, root: Path | None, seed: int, device: str, cache: Cache
) -> Iterator[Figures]:
    """Figures on the data set of that name, else on each one that needs files and whose files are there.

    UsageError for a method that has no such figures, or where no data set is there; DataError for weights or a named
    data set that cannot be used.
    """
    recipe = make_recipe(name)
    shown = recipe.zero_shot(weights, device)
    found = False
    for figures in figures_of(recipe.name, shown, dataset, root, seed, cache):
        found = True
        yield figures
    if not found:
        raise UsageError("no data set is there to check weights on: name their folder with --data, or one with -d")


def figures_of(
    method: str, shown: ZeroShot, dataset: str | None, root: Path | None, seed: int, cache: Cache
) -> Iterator[Figures]:
    plugins = registry()
    names = [n for n in plugins.names("dataset") if plugins.get("dataset", n).attributes.get("folder")]
    for text in [dataset] if dataset else names:
        try:
            spec = dataset_spec(text)
            data = load(spec, root, seed, cache)
            yield from figures_on(data, spec, method, shown, seed, cache)
        except (DataError, NotApplicable) as error:
            if dataset:
                raise
            if not isinstance(error, MissingData):
                yield Figures(text, skipped=str(error))


def figures_on(
    data: Data, spec: DatasetSpec, method: str, shown: ZeroShot, seed: int, cache: Cache
) -> Iterator[Figures]:
    behind = method_spec(f"{shown.frontend}+{method}" if data.low_resolution else method)
    check_applicable(behind, spec)
    name = f"{spec.text} behind {shown.frontend}" if data.low_resolution else spec.text
    curves: dict[str, list[np.ndarray]] = {metric: [] for metric in METRICS}
    splits = default_splits(data)
    for index in splits:
        split = data.split(index, seed)
        tested = np.concatenate([split.test, data.distractor_people])
        view = build_view(data, behind, cache, seed, index, split.train, ratios=(None,))
        trial = make_trial(view, tested)
        for metric, scipys in METRICS.items():
            distances = match(view, AsTheyAre(shown.extractor, scipys), None, tested)
            curves[metric].append(trial.score(distances).cmc)
    for metric, found in curves.items():
        cmc = 100 * np.mean(found, axis=0)
        percent = tuple(float(cmc[rank - 1]) if rank <= len(cmc) else None for rank in RANKS)
        yield Figures(name, metric, percent, len(splits))


def as_lines(found: Iterator[Figures]) -> Iterator[str]:
    """A heading, then a line for each, as it comes."""
    yield f"{'data set':<28} distance  {'  '.join(f'rank {rank:<2}' for rank in RANKS)}  splits"
    for figures in found:
        if figures.skipped:
            yield f"skipped: {figures.skipped}"
            continue
        percent = "  ".join("      -" if value is None else f"{value:7.1f}" for value in figures.percent)
        yield f"{figures.dataset:<28} {figures.distance:<8}  {percent}  {figures.splits:6}"
