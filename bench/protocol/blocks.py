"""Distance matrices in blocks of one size, whatever memory there is: so their last bits depend on it no more.

A matrix of at most `PROBES` x `GALLERY` images is one block.  What a sum in another order makes of a distance can only
show in larger ones.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

PROBES, GALLERY = 1024, 4096
"""Distinct images a block, a few more where people's images would be parted."""


@dataclass(frozen=True)
class Part:
    """Images of one side that distances are computed of together.

    asked: (a,) rows among the side's distinct images, ascending.  shown: (s,) images of the side that they stand for,
    ascending.  place: (s,) where among `asked` each of these is.
    """

    asked: np.ndarray
    shown: np.ndarray
    place: np.ndarray

    @property
    def plain(self) -> bool:
        """Whether the images shown are those asked, in their order."""
        return len(self.place) == len(self.asked) and bool((self.place == np.arange(len(self.asked))).all())


def part_of(position: np.ndarray, shown: np.ndarray) -> Part:
    """Some images of a side.  position: (n,) of each of the side's images the row of its distinct one."""
    asked, place = np.unique(position[shown], return_inverse=True)
    return Part(asked, shown, place)


def cut(position: np.ndarray, most: int, people: np.ndarray | None = None) -> list[Part]:
    """All images of a side in parts of about `most` distinct ones.

    position: (n,) of each image the row of its distinct one.  people: (n,) identities, where all images of a person
    are to be in one part.
    """
    group = position if people is None else together(position, people)[position]
    distinct, owner = np.unique(position, return_index=True)
    _, first, of = np.unique(group[owner], return_index=True, return_inverse=True)
    # Groups in the order of their first distinct image: that order says nothing of who is who.
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    sizes = np.bincount(rank[of])
    number = ((np.cumsum(sizes) - sizes) // most)[rank[of]]
    home = np.empty(distinct[-1] + 1, np.int64)
    home[distinct] = number
    order = np.argsort(home[position], kind="stable")
    ends = np.cumsum(np.bincount(home[position]))
    return [part_of(position, shown) for shown in np.split(order, ends[:-1]) if len(shown)]


def together(position: np.ndarray, people: np.ndarray) -> np.ndarray:
    """(distinct images,): a number for each that those share whose people have an image in common, or are one."""
    distinct = int(position.max()) + 1
    people = np.unique(people, return_inverse=True)[1]
    size = distinct + int(people.max()) + 1
    edges = coo_array((np.ones(len(position), bool), (position, distinct + people)), shape=(size, size))
    return np.asarray(connected_components(edges, directed=False)[1][:distinct])
