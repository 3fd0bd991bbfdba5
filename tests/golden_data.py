"""Images of people made of coloured blocks, and selections of them as methods see them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Size = tuple[int, int]
PROJECTIONS = 8


def picture(person: int, shot: int, size: Size) -> np.ndarray:
    """uint8 RGB (height, width, 3): blocks of 8 pixels in the person's colours, in the shot's light and noise."""
    height, width = size
    rows, columns = -(-height // 8), -(-width // 8)
    colours = np.random.default_rng([person, 1]).integers(40, 216, (rows, columns, 3))
    blocks = np.kron(colours, np.ones((8, 8, 1), np.int64))[:height, :width]
    rng = np.random.default_rng([person, shot, 2])
    light, noise = rng.integers(-25, 26, 3), rng.integers(-20, 21, (height, width, 3))
    return np.clip(blocks + light + noise, 0, 255).astype(np.uint8)


def project(array: np.ndarray) -> list[float]:
    """An array's products with eight fixed vectors: what moves in it moves them."""
    flat = np.asarray(array, float).ravel()
    return [float(np.cos((k + 1.5) * np.arange(1, len(flat) + 1) + k) @ flat) for k in range(PROJECTIONS)]


@dataclass
class Pictures:
    """Labelled images, as `bench.protocol.images.Images` shows them to a method, without data set or cache."""

    pixels: np.ndarray
    identity: np.ndarray
    camera: np.ndarray
    area: np.ndarray
    native: Sequence[np.ndarray]

    def __len__(self) -> int:
        return len(self.identity)

    def __add__(self, other: "Pictures") -> "Pictures":
        joined = [
            np.concatenate([getattr(self, n), getattr(other, n)]) for n in ("pixels", "identity", "camera", "area")
        ]
        return Pictures(*joined, [*self.native, *other.native])

    def select(self, rows: np.ndarray) -> "Pictures":
        parts = self.pixels[rows], self.identity[rows], self.camera[rows], self.area[rows]
        return Pictures(*parts, [self.native[i] for i in np.arange(len(self))[rows]])

    def array(self) -> np.ndarray:
        return self.pixels.copy()

    def features(self, extractor: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return extractor(self.pixels)

    def gram(self, other: "Pictures", extractor: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        a, b = (images.features(extractor).astype(float) for images in (self, other))
        return a @ b.T


def side(people: Sequence[int], shots: Sequence[int], size: Size, camera: str, ratio: int = 1) -> Pictures:
    """Images of some people; with a ratio above 1 in blocks of ratio x ratio pixels, as of low resolution."""
    images, native, labels = [], [], []
    for person in people:
        for shot in shots:
            image = picture(person, shot, size)
            native.append(image[::ratio, ::ratio])
            images.append(np.repeat(np.repeat(native[-1], ratio, 0), ratio, 1)[: size[0], : size[1]])
            labels.append(person)
    area = np.array([float(image.shape[0] * image.shape[1]) for image in native])
    return Pictures(np.stack(images), np.array(labels), np.full(len(labels), camera), area, native)
