"""A data set whose images lie in other rows under other names, for asking a method what it goes by."""

import hashlib
from dataclasses import replace

import numpy as np

from bench.engine.data import Data
from bench.protocol.images import Packed, pack, unpack


def rearranged(data: Data, people: np.ndarray) -> tuple[Data, np.ndarray]:
    """The same images, those of some people in other rows and, on the gallery side, under each other's names.

    Returns the data set and (n,) int64, the row that each image had before.
    """
    rng = np.random.default_rng(len(data.images))
    moved = np.flatnonzero(np.isin(data.identity, people))
    origin = np.arange(len(data.images))
    origin[moved] = rng.permutation(moved)
    identity, probe = data.identity[origin], data.probe[origin]
    named = np.flatnonzero(np.isin(identity, people) & ~probe)
    identity[named] = np.roll(identity[named], 1)
    other = replace(
        data,
        images=repacked(data.images, origin),
        identity=identity,
        probe=probe,
        camera=data.camera[origin],
        digest=hashlib.sha256(f"{data.digest} rearranged".encode()).hexdigest(),
    )
    return other, origin


def repacked(images: Packed, rows: np.ndarray) -> Packed:
    return unpack(np.concatenate(list(pack(images[int(row)] for row in rows))), len(rows))
