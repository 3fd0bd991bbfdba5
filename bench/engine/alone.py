"""Whether front-ends and feature extractors treat each image by itself, whatever others come with it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from bench.plugin.base import FrontEnd, Size
from bench.protocol.extractors import Extractor, extractor_key
from bench.protocol.images import Source

MOST_IMAGES = 12
Key = TypeVar("Key")


@dataclass(frozen=True)
class Watched(Source):
    """A source that remembers which extractors it was asked for."""

    extractors: list[Extractor] = field(default_factory=list)

    def features(self, extractor: Extractor, jobs: int = 1) -> np.ndarray:
        self.extractors.append(extractor)
        return super().features(extractor, jobs)


def watched(sources: Mapping[Key, Source]) -> dict[Key, Watched]:
    return {name: Watched(source.key, source.make, source.cache) for name, source in sources.items()}


def extractors_of(sources: Sequence[Watched]) -> list[tuple[Extractor, np.ndarray]]:
    """Each extractor that sources were asked for, once, with some of their images."""
    found = {extractor_key(e): (e, source.array[:MOST_IMAGES]) for source in sources for e in source.extractors}
    return list(found.values())


def batches(n: int) -> Iterator[np.ndarray]:
    """Rows of n images as they may come: all in reverse, every other one, and single ones."""
    yield np.arange(n)[::-1]
    yield np.arange(0, n, 2)
    yield np.array([0])
    yield np.array([n - 1])


def upscales_alone(frontend: FrontEnd, images: Sequence[np.ndarray], size: Size) -> bool:
    """Whether images come out as they do among others.  A network's last bits may turn a grey level into the next."""
    images = images[:MOST_IMAGES]
    whole = frontend.upscale(images, size).astype(np.int64)
    return all(
        np.abs(frontend.upscale([images[i] for i in rows], size).astype(np.int64) - whole[rows]).max() <= 1
        for rows in batches(len(images))
    )


def extracts_alone(extractor: Extractor, images: np.ndarray, alike: Callable[[np.ndarray, np.ndarray], bool]) -> bool:
    """Whether features are as they are among others."""
    whole = np.asarray(extractor(images))
    return len(whole) == len(images) and all(
        alike(np.asarray(extractor(images[rows])), whole[rows]) for rows in batches(len(images))
    )
