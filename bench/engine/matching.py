"""One model: fitted on some people, asked for the distances of others, its answer checked."""

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.enhancing import enhancer_of
from bench.engine.pairs import PAIRS, Pairs, embed, embeds, finite, numbers, one_block
from bench.engine.view import Ratio, View, model_seed
from bench.errors import BenchError
from bench.plugin.base import Method, Train, Trained

PART = ("matching", 1)
SIDES = ("probe", "gallery")


@dataclass(frozen=True)
class Model:
    """What a fitted model gave.

    distances: float64 (probes, gallery images), in the data set's order, or what gives them block by block.
    initialisation, curves: what the front-end and the method say of their training, by name.  enhancer: what the method
    keeps of how it enhances images.  parameters: of the networks of both, 0 where there are none.
    """

    distances: np.ndarray | Pairs
    initialisation: dict[str, str]
    curves: dict[str, Any]
    fit_seconds: float
    match_seconds: float
    enhancer: dict[str, np.ndarray]
    parameters: int = 0

    @property
    def matrix(self) -> np.ndarray:
        """The distances, all of them at once."""
        return self.distances.whole() if isinstance(self.distances, Pairs) else self.distances


def fit_and_match(
    view: View,
    ratio: Ratio,
    train_people: np.ndarray,
    test_people: np.ndarray,
    fold: int = 0,
    folder: Path | None = None,
) -> Model:
    """Fit one model on some people and match all probes of others with all their gallery images.

    fold: 0 for the model that is measured, above for those that sigma is chosen by.  folder: where images' rows are
    kept, for distances block by block.
    """
    train = training(view, ratio, train_people, fold)
    start = time.perf_counter()
    fitted = view.spec.build().fit(train)
    if not isinstance(fitted, Method):
        raise BenchError(f"{view.spec.method.name}.fit must return self, not {type(fitted).__name__}")
    fitted_at = time.perf_counter()
    distances: np.ndarray | Pairs = (
        match(view, fitted, ratio, test_people)
        if folder is None
        else embedded_pairs(view, fitted, ratio, test_people, folder / str(ratio.denominator if ratio else 0))
    )
    matched_at = time.perf_counter()
    plugins = [plugin for plugin in (view.frontends[ratio], fitted) if plugin is not None]
    said = initialisation_of(plugins), curves_of(plugins)
    return Model(
        distances, *said, fitted_at - start, matched_at - fitted_at, enhancer_of(fitted), parameters_of(plugins)
    )


def training(view: View, ratio: Ratio, people: np.ndarray, fold: int = 0) -> Train:
    """What one model is fitted on."""
    gallery = view.images("gallery", ratio, people, train=True)
    synthetic = view.images("shrunk", ratio, people, train=True) if ratio is not None else None
    if view.spec.options.synthetic_lr and synthetic is not None:
        gallery = gallery + synthetic
    setup = view.setup
    workspace = setup.workspace and setup.workspace / f"{ratio.denominator if ratio else 0}-{fold}"
    return Train(
        gallery=gallery,
        probe=view.images("probe", ratio, people, train=True),
        synthetic=synthetic,
        ratio=ratio,
        seed=model_seed(view.seed, view.split, ratio, fold),
        workspace=workspace,
        **setup.training,
    )


def match(view: View, fitted: Method, ratio: Ratio, people: np.ndarray, draw: int = 0) -> np.ndarray:
    """Checked distances of some people's probes to their gallery images, float64, in the data set's order.

    The method is asked about each distinct image once, so that equal images have equal distances, whatever a sum in
    another order or a network does with an image's place.  draw: as in `View.to_match`.
    """
    probe, gallery = (view.to_match(side, ratio, people, draw) for side in SIDES)
    if embeds(type(fitted)) and not one_block(probe, gallery):
        return embedded_pairs(view, fitted, ratio, people, draw=draw).whole()
    name = f"{fitted.name}.distances"
    given = fitted.distances(probe.images, gallery.images)
    distances = finite(name, numbers(name, given, (len(probe.images), len(gallery.images)), PAIRS)).astype(np.float64)
    return distances[np.ix_(probe.position, gallery.position)]


def embedded_pairs(
    view: View, fitted: Method, ratio: Ratio, people: np.ndarray, folder: Path | None = None, draw: int = 0
) -> Pairs:
    """The same distances block by block.  folder: where images' rows are kept, None for memory."""
    probe, gallery = (
        embed(
            fitted,
            side,
            view.to_match(side, ratio, people, draw),
            view.data.identity[view.rows_of(side, people)],
            folder,
        )
        for side in SIDES
    )
    return Pairs(fitted, probe, gallery)


def initialisation_of(plugins: list[Trained]) -> dict[str, str]:
    """What fitted plug-ins say of where their training started, by name; BenchError where it is not text."""
    found = {plugin.name: getattr(plugin, "initialisation_", None) for plugin in plugins}
    for name, text in found.items():
        if text is not None and not isinstance(text, str):
            raise BenchError(f"{name}: initialisation_ must be text, not {type(text).__name__}")
    return {name: text for name, text in found.items() if text}


def parameters_of(plugins: list[Trained]) -> int:
    """How many parameters the PyTorch modules have that fitted plug-ins hold."""
    torch: Any = sys.modules.get("torch")
    held = [value for plugin in plugins for value in vars(plugin).values()] if torch else []
    return sum(p.numel() for value in held if isinstance(value, torch.nn.Module) for p in value.parameters())


def curves_of(plugins: list[Trained]) -> dict[str, Any]:
    """What fitted plug-ins say of the course of their training, by name, as JSON values."""
    found = {plugin.name: getattr(plugin, "curves_", None) for plugin in plugins}
    curves = {name: plain(value, f"{name}: curves_") for name, value in found.items() if value is not None}
    return {name: curve for name, curve in curves.items() if curve}


def plain(value: Any, where: str) -> Any:
    """A value as lists, dictionaries, text and finite numbers; BenchError, saying where, for any other."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(inner, f"{where}[{str(key)!r}]") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, where) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise BenchError(f"{where} has a value that is NaN or infinite; all must be finite")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise BenchError(f"{where} has a value of type {type(value).__name__}; numbers, text, lists, dictionaries expected")
