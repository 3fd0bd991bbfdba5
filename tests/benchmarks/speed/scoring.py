"""CMC, mAP and fusion: against a chunked numpy evaluation, torchreid's compiled one, and a loop over probes."""

import importlib.util
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from typing import Any

import numpy as np

from bench.protocol import fusion
from bench.protocol.scoring import RANKS, Trial
from bench.protocol.splits import gallery_draws
from tests.benchmarks.speed.case import Case, Sides

CHUNK = 256
COMPILED = ("torchreid", "pyppbox_torchreid")
"""Packages that may have it: only the second has it built among what registries offer."""


def drawn_distances(probes: int, gallery: int) -> np.ndarray:
    return np.random.default_rng(0).random((probes, gallery))


def by_sorting(distances: np.ndarray, probe: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, float]:
    """CMC and mAP of a gallery of one image a person: every probe's gallery sorted, so many probes at a time."""
    hits, precision = np.zeros(len(gallery)), 0.0
    for start in range(0, len(probe), CHUNK):
        order = np.argsort(distances[start : start + CHUNK], axis=1)
        match = gallery[order] == probe[start : start + CHUNK, None]
        place = match.argmax(axis=1)
        hits += np.bincount(place, minlength=len(gallery))
        precision += (1 / (1 + place)).sum()
    return np.cumsum(hits)[:RANKS] / len(probe), precision / len(probe)


def scored(trial: Trial, distances: np.ndarray) -> Callable[[], tuple[np.ndarray, float]]:
    def ours() -> tuple[np.ndarray, float]:
        score = trial.score(distances)
        return score.cmc, score.mean_ap

    return ours


def cmc(size: int, _folder: Path) -> Sides:
    people, distances = np.arange(size), drawn_distances(size, size)
    trial = Trial(people, people, [people])
    return Sides(scored(trial, distances), lambda: by_sorting(distances, people, people))


def cmc_draws(size: int, _folder: Path) -> Sides:
    """Three images of each person, of which ten galleries draw one."""
    people = np.arange(size)
    images = np.repeat(people, 3)
    distances, draws = drawn_distances(size, 3 * size), gallery_draws(images, 10, 0, 0)

    def sorted_by_draw() -> tuple[np.ndarray, float]:
        found = [by_sorting(distances[:, rows], people, images[rows]) for rows in draws]
        return np.mean([curve for curve, _ in found], axis=0), float(np.mean([value for _, value in found]))

    return Sides(scored(Trial(people, images, draws), distances), sorted_by_draw)


@cache
def compiled() -> Any:
    """torchreid's compiled evaluation, without the rest of the package that holds it; None where there is none."""
    for name in COMPILED:
        spec = importlib.util.find_spec(name)
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in extensions(Path(folder)):
                loader = ExtensionFileLoader("rank_cy", str(path))
                found = importlib.util.spec_from_loader("rank_cy", loader)
                if found:
                    module = importlib.util.module_from_spec(found)
                    loader.exec_module(module)
                    return module
    return None


def extensions(folder: Path) -> Iterator[Path]:
    for suffix in EXTENSION_SUFFIXES:
        yield from sorted(folder.glob(f"**/rank_cylib/rank_cy{suffix}"))


def no_torchreid() -> str:
    return "" if compiled() else f"its compiled evaluation is not installed; there is one in {COMPILED[1]}"


def cmc_torchreid(size: int, _folder: Path) -> Sides:
    people, distances = np.arange(size), drawn_distances(size, size).astype(np.float32)
    cameras = np.zeros(size, np.int64), np.ones(size, np.int64)
    ranks = min(RANKS, size)

    def theirs() -> tuple[np.ndarray, float]:
        curve, mean_ap = compiled().evaluate_cy(distances, people, people, *cameras, ranks)
        return np.asarray(curve), float(mean_ap)

    return Sides(scored(Trial(people, people, [people]), distances), theirs)


def fuse(size: int, _folder: Path) -> Sides:
    distances = {m: drawn_distances(size, size) + float(m) for m in fusion.ANCHORS}
    r, sigma = np.random.default_rng(1).uniform(0.2, 0.6, size), 0.25

    def by_probe() -> np.ndarray:
        """Eq. 6-8 a probe at a time, each probe's weights divided by their largest."""
        out = np.empty((size, size))
        for p in range(size):
            w = np.array([np.exp(-((r[p] - float(Fraction(m))) ** 2) / sigma**2) for m in distances])
            out[p] = sum(share * d[p] for share, d in zip(w / w.max(), distances.values(), strict=True))
        return out

    return Sides(lambda: fusion.fuse(distances, r, sigma), by_probe)


SORTED = "numpy's argsort of 256 probes at a time"
CASES = (
    Case("cmc", SORTED, cmc, 1_000, "probes and gallery images", 60, tolerance=1e-12),
    Case("cmc-draws", SORTED, cmc_draws, 300, "probes, ten galleries", 60, tolerance=1e-12),
    Case(
        "cmc-torchreid", "torchreid's compiled evaluation", cmc_torchreid, 1_000, "probes and gallery images", 60,
        tolerance=1e-5, missing=no_torchreid,
    ),
    Case("fusion", "a loop over the probes", fuse, 1_000, "probes and gallery images", 20, tolerance=1e-12),
)  # fmt: skip
