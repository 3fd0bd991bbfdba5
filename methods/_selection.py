"""Choosing parameters on training people: what methods with a grid share."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from bench.protocol.scoring import average_precision, match_positions
from bench.protocol.splits import folds, gallery_draws

PART = ("selection", 1)

FOLDS = 3
DRAWS = 10

Entry = TypeVar("Entry")


def best_of(
    grid: Sequence[Entry],
    probe: np.ndarray,
    gallery: np.ndarray,
    seed: int,
    distances: Callable[[np.ndarray, np.ndarray], Iterable[np.ndarray]],
    folds_held_out: int = FOLDS,
) -> Entry:
    """The entry of a grid with the highest mean average precision on held-out training people.

    probe (P,), gallery (G,): identities of the training images.  distances: called for each of three folds (the first
    `folds_held_out` of them) with the people fitted on and those held out; yields for every entry, in order, the
    distances of the held-out people's probe images to their gallery images.  Of equally good entries the first; a grid
    of one entry, or fewer than four people seen by both sides: the first untried.
    """
    people = np.intersect1d(probe, gallery)
    if len(grid) == 1 or len(people) < 4:
        return grid[0]
    parts = folds(people, min(FOLDS, len(people) // 2), seed, 0)[:folds_held_out]
    scores = [
        [
            single_shot(d, probe[np.isin(probe, held)], gallery[np.isin(gallery, held)], seed)
            for d in distances(fit, held)
        ]
        for fit, held in parts
    ]
    return grid[int(np.argmax(np.mean(scores, axis=0)))]


def single_shot(distances: np.ndarray, probe: np.ndarray, gallery: np.ndarray, seed: int) -> float:
    """Mean average precision in [0, 1], averaged over ten draws of one gallery image a person."""
    single = len(np.unique(gallery)) == len(gallery)
    draws = gallery_draws(gallery, 1 if single else DRAWS, seed, 0)
    return float(np.mean([average_precision(*match_positions(distances[:, d], probe, gallery[d])) for d in draws]))
