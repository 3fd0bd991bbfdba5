"""Reading and resizing images against a plain loop of Pillow's, and against torchvision."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks.speed.case import Case, Sides
from tests.benchmarks.speed.descriptors import drawn_images

SHAPE = (128, 48)


def decode(size: int, folder: Path) -> Sides:
    from bench.engine.decode import decode_all
    from bench.plugin.base import Photo

    files = [folder / f"{i:04d}.{('jpg', 'png')[i % 2]}" for i in range(size)]
    for image, file in zip(drawn_images(size), files, strict=True):
        Image.fromarray(image).save(file)
    photos = [Photo(file, file.stem, "a") for file in files]

    def plain() -> list[np.ndarray]:
        return [np.asarray(Image.open(file).convert("RGB")) for file in files]

    return Sides(lambda: list(decode_all(photos, "drawn")), plain)


def small_images(n: int) -> list[np.ndarray]:
    """Of the sizes that people have at a third of their resolution, give or take a few pixels."""
    return [image[: 40 + i % 7, : 16 + i % 3] for i, image in enumerate(drawn_images(n))]


def resize(size: int, _folder: Path) -> Sides:
    from bench.protocol.resize import resize_all

    images = small_images(size)

    def plain() -> np.ndarray:
        resized = (Image.fromarray(image).resize(SHAPE[::-1], Image.Resampling.BICUBIC) for image in images)
        return np.stack([np.asarray(image) for image in resized])

    return Sides(lambda: resize_all(images, SHAPE), plain)


def resize_torchvision(size: int, _folder: Path) -> Sides:
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2.functional import resize as torchvision_resize

    from bench.protocol.resize import resize_all

    images = small_images(size)

    def torchvision() -> np.ndarray:
        out = np.empty((len(images), *SHAPE, 3), np.uint8)
        for image, kept in zip(images, out, strict=True):
            planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
            resized = torchvision_resize(planes, list(SHAPE), InterpolationMode.BICUBIC, antialias=True)
            kept[:] = resized.permute(1, 2, 0).numpy()
        return out

    return Sides(lambda: resize_all(images, SHAPE), torchvision)


GREY = 1 / 255
CASES = (
    Case("decode", "Pillow's open and convert in a loop", decode, 200, "JPEG and PNG files", 4),
    Case("resize", "Pillow's resize in a loop", resize, 200, "images to 128x48", 4, tolerance=GREY),
    Case(
        "resize-torchvision", "torchvision.transforms.v2, bicubic and anti-aliased", resize_torchvision, 200,
        "images to 128x48", 4, tolerance=2 * GREY,
    ),
)  # fmt: skip
