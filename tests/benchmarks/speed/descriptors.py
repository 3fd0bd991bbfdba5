"""LOMO against its literal implementation."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from tests.benchmarks.speed.case import Case, Sides


def drawn_images(n: int, height: int = 128, width: int = 48) -> np.ndarray:
    """Noisy colour gradients with a few rectangles of other colours, uint8 (n, height, width, 3)."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 255, (4, n, 1, 1, 3))
    down, right = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
    images = (corners[0] * (1 - down) + corners[1] * down + corners[2] * (1 - right) + corners[3] * right) / 2
    for image in images:
        for _ in range(6):
            top, left = rng.integers(0, height), rng.integers(0, width)
            image[top : top + height // 4, left : left + width // 3] = rng.uniform(0, 255, 3)
    return np.clip(images + rng.normal(0, 6, images.shape), 0, 255).astype(np.uint8)


def viper_files() -> list[Path]:
    folder = os.environ.get("BENCH_DATA")
    return sorted((Path(folder) / "VIPeR").glob("cam_[ab]/*.bmp")) if folder else []


def viper_images(n: int) -> np.ndarray:
    """Every so many-th image of both cameras, uint8 (n, 128, 48, 3)."""
    files = viper_files()
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, n).round().astype(int)]
    return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in chosen])


def no_viper() -> str:
    return "" if viper_files() else "BENCH_DATA names no folder with VIPeR in it"


def lomo(images: Callable[[int], np.ndarray], retinex: Literal["msrcp", "none"], size: int, _folder: Path) -> Sides:
    from methods._lomo import LOMO
    from tests.benchmarks import literal_lomo

    given, ours = images(size), LOMO(retinex)

    def literal() -> np.ndarray:
        return np.stack([literal_lomo.lomo(image, retinex) for image in given])

    return Sides(lambda: ours(given), literal, {"images a second": lambda seconds: size / seconds})


LITERAL = "LOMO read off its definition, an image at a time"

CASES = (
    Case("lomo", LITERAL, partial(lomo, drawn_images, "msrcp"), 64, "drawn images", 2),
    Case("lomo-no-retinex", LITERAL, partial(lomo, drawn_images, "none"), 64, "drawn images", 2),
    Case("lomo-viper", LITERAL, partial(lomo, viper_images, "msrcp"), 64, "images of VIPeR", 2, missing=no_viper),
)
