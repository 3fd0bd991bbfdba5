"""Cumulative match characteristic and mean average precision, person by person.

A gallery holds one image of each person, or several: then the nearest of them is the person's distance.

Smaller distances are nearer.  Ties are resolved in expectation: a block of t galleries at one distance that holds the
match and starts at rank b contributes (k - b + 1) / t at rank k for b <= k < b + t, as under a random order of the
block.  A constant distance therefore scores k / G at rank k, and not 100 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.errors import BenchError

PART = ("scoring", 1)
RANKS = 50
"""Length of the CMC that is kept, where the gallery has as many people."""
LISTED = 10
"""Length of the list of nearest gallery images that is kept of each probe, where the gallery has as many people."""


def match_positions(distances: np.ndarray, probe: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each probe's match lies: (first rank of its tie block, size of the block), both (P,) int64, ranks from 1.

    distances: (P, G) float, finite.  probe: (P,), gallery: (G,) identities; each probe has one match.
    BenchError when a probe has no match or several.
    """
    same = probe[:, None] == gallery[None, :]
    wrong = np.unique(probe[same.sum(axis=1) != 1])
    if len(wrong):
        raise BenchError(
            f"a single-shot gallery holds one image of each probe's person; not so for {wrong[:5].tolist()}"
        )
    match = distances[same][:, None]
    return 1 + (distances < match).sum(axis=1), (distances == match).sum(axis=1)


def cmc(first: np.ndarray, ties: np.ndarray, ranks: int) -> np.ndarray:
    """(ranks,) float64: share of probes whose match is among the k nearest, k = 1..ranks, in [0, 1]."""
    k = np.arange(1, ranks + 1)
    return np.clip((k - first[:, None] + 1) / ties[:, None], 0, 1).mean(axis=0)


def average_precision(first: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """(P,) float64: expected 1 / rank of the match, the average precision of a query with one match."""
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, (first + ties).max()))])
    return (harmonic[first + ties - 1] - harmonic[first - 1]) / ties


def expected_rank(first: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """(P,) float64: expected rank of the match."""
    return first + (ties - 1) / 2


def nearest_shots(distances: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each probe's distance to the nearest image of each person: (P, people), and the people, (people,) ascending.

    distances: (P, G).  gallery: (G,) identities, ascending.
    """
    people, starts = np.unique(gallery, return_index=True)
    if len(people) == len(gallery):
        return distances, gallery
    return np.minimum.reduceat(distances, starts, axis=1), people


def nearest_images(distances: np.ndarray, gallery: np.ndarray, count: int) -> np.ndarray:
    """Each probe's ranking down to some place: the nearest image of each of its `count` nearest people, all of fewer.

    distances: (P, G).  gallery: (G,) identities, ascending.  Returns columns of `distances`, (P, k) int64, nearest
    first; people at one distance, and images of one person at one distance, in the order of the gallery.
    """
    people, starts = np.unique(gallery, return_index=True)
    ends = np.append(starts[1:], len(gallery))
    count = min(count, len(people))
    found = np.empty((len(distances), count), np.int64)
    for row, listed in zip(distances, found, strict=True):
        best = np.minimum.reduceat(row, starts)
        near = np.flatnonzero(best <= np.partition(best, count - 1)[count - 1])
        chosen = near[np.argsort(best[near], kind="stable")][:count]
        listed[:] = [starts[person] + row[starts[person] : ends[person]].argmin() for person in chosen]
    return found


def people_in(identity: np.ndarray) -> int:
    """How many people a drawn gallery shows.  identity: of its images, those of a person together."""
    return 1 + int(np.count_nonzero(np.diff(identity)))


@dataclass(frozen=True)
class Score:
    """cmc: shares in [0, 1] at ranks 1, 2, ...; mean_ap: in [0, 1]; probe_ranks: (P,) expected rank of each match;
    probe_hits: (P,) how often, in [0, 1], each match comes first."""

    cmc: np.ndarray
    mean_ap: float
    probe_ranks: np.ndarray
    probe_hits: np.ndarray


@dataclass(frozen=True)
class Trial:
    """Who the probes and the gallery images show, and which galleries are drawn: what scoring needs beside distances.

    probe: (P,), gallery: (G,) identities.  draws: galleries as rows of the gallery images, people ascending.
    """

    probe: np.ndarray
    gallery: np.ndarray
    draws: Sequence[np.ndarray]

    def score(self, distances: np.ndarray) -> Score:
        """The mean over the galleries drawn.  distances: (P, G) float, finite."""
        positions = []
        for rows in self.draws:
            nearest, people = nearest_shots(distances[:, rows], self.gallery[rows])
            positions.append(match_positions(nearest, self.probe, people))
        return self.summary(positions)

    def summary(self, positions: Sequence[tuple[np.ndarray, np.ndarray]]) -> Score:
        """The mean over the galleries drawn, of what `match_positions` gives for each."""
        curves, precisions, ranks, hits = [], [], [], []
        for rows, (first, ties) in zip(self.draws, positions, strict=True):
            curves.append(cmc(first, ties, min(RANKS, people_in(self.gallery[rows]))))
            precisions.append(average_precision(first, ties).mean())
            ranks.append(expected_rank(first, ties))
            hits.append((first == 1) / ties)
        return Score(np.mean(curves, axis=0), float(np.mean(precisions)), np.mean(ranks, axis=0), np.mean(hits, axis=0))

    def nearest(self, distances: np.ndarray) -> np.ndarray:
        """(P, k) int64: `nearest_images` of the first gallery drawn, as columns of `distances`, (P, G)."""
        drawn = np.sort(self.draws[0])
        return drawn[nearest_images(distances[:, drawn], self.gallery[drawn], LISTED)]
