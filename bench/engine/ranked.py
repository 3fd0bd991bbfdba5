"""Ranked lists of a stored cell: from the numbers in its record back to the images of its data set."""

from dataclasses import dataclass

import numpy as np

from bench.engine.inventory import Inventory
from bench.engine.store import Result
from bench.errors import BenchError


@dataclass(frozen=True)
class Ranked:
    """Every probe of a cell with its nearest gallery images, as rows of the data set.

    probe: (P,) int64.  gallery: (P, k) int64, nearest first, one image of each person.  right: (P, k) bool, whether an
    image shows the probe's person.  rank: (P,) float64, expected rank of the probe's match.
    """

    probe: np.ndarray
    gallery: np.ndarray
    right: np.ndarray
    rank: np.ndarray


def ranked_lists(result: Result, images: Inventory) -> Ranked:
    """The lists of a cell that keeps them.  images: of its data; BenchError where they do not go together."""
    cell, record = result.cell, result.finished
    split = images.split(cell.split, cell.seed)
    probe, gallery = images.probes(split), images.gallery(split)
    lists, ranks = np.array(record.nearest, np.int64), np.array(record.probe_ranks)
    if not len(lists) == len(ranks) == len(probe) or lists.max() >= len(gallery):
        raise BenchError(f"{result.path} has lists of other probes or gallery images than there are; run it again")
    listed = gallery[lists]
    return Ranked(probe, listed, images.identity[listed] == images.identity[probe][:, None], ranks)
