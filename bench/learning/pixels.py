"""Training images that stay on the device as uint8, and batches that are cut out of them there.

A batch is named by a few small arrays, its rows, corners, mirrors and colours, which are drawn on the CPU as a function
of the batch's number.  Only these travel to the device; no image is touched one by one.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bench.learning.compute import Compute

PART = ("pixels", 1)

Augmentation = Literal["mirror", "crop", "colour"]
"""``mirror``; ``crop``: also moved by up to `SHIFT` pixels; ``colour``: also in other colours (`draw_looks`)."""

SHIFT = 8
"""Pixels up or down, left or right: a 144x56 crop of a 160x72 image."""

RECOLOURED = 0.7  # share of the images
CAST, BRIGHTNESS, CONTRAST, SATURATION = (0.8, 1.2), (0.65, 1.35), (0.65, 1.35), (0.5, 1.5)
LUMA = (0.2989, 0.587, 0.114)  # torchvision's grey

Looks = dict[str, np.ndarray]


def draw_looks(rng: np.random.Generator, n: int, augmentation: Augmentation) -> Looks:
    """How n images are shown, drawn independently for each.

    Returns shift (n, 2), int64 pixels down and right; mirror (n,), bool; with ``colour`` also colour (n, 6), float32:
    factors of red, green and blue, of brightness, contrast and saturation, all 1 for the share of images that keep
    their colours.
    """
    looks = {"mirror": rng.integers(2, size=n).astype(bool), "shift": np.zeros((n, 2), np.int64)}
    if augmentation != "mirror":
        looks["shift"] = rng.integers(-SHIFT, SHIFT + 1, size=(n, 2))
    if augmentation == "colour":
        low, high = np.array([CAST, CAST, CAST, BRIGHTNESS, CONTRAST, SATURATION]).T
        factors = rng.uniform(low, high, size=(n, 6))
        factors[rng.uniform(size=n) >= RECOLOURED] = 1
        looks["colour"] = factors.astype(np.float32)
    return looks


def resident(images: Sequence[np.ndarray], compute: Compute) -> Tensor:
    """Arrays of uint8 RGB images (n_i, h, w, 3), one after the other, as one tensor on the device."""
    whole = images[0] if len(images) == 1 else np.concatenate(images)
    # torch takes no array that is read only, as a file's is.
    return torch.from_numpy(np.require(whole, requirements=["C", "W"])).to(compute.device)


def cut(images: Tensor, rows: Tensor, corner: Tensor, size: tuple[int, int], mirror: Tensor) -> Tensor:
    """Windows of some images, float (m, 3, height, width) in [0, 1], in memory channels last.

    images: uint8 (n, h, w, 3); rows (m,), which of them; corner (m, 2), int64, the window's first row and column; size:
    its height and width; mirror (m,), bool: left and right exchanged, after cutting.  Where a window goes over the edge
    the edge's pixels are repeated.
    """
    height, width = size
    down = torch.arange(height, device=images.device)
    across = torch.arange(width, device=images.device)
    columns = torch.where(mirror[:, None], across.flip(0), across) + corner[:, 1:]
    lines = (corner[:, :1] + down).clamp(0, images.shape[1] - 1)
    columns = columns.clamp(0, images.shape[2] - 1)
    windows = images[rows[:, None, None], lines[:, :, None], columns[:, None, :]]
    return windows.permute(0, 3, 1, 2) / 255


def recolour(rgb: Tensor, colour: Tensor | None) -> Tensor:
    """RGB, float (n, 3, h, w) in [0, 1], under other light, clamped to [0, 1]; None changes nothing.

    colour (n, 6) as from `draw_looks`, applied in its order.  Brightness, contrast (about the mean of the image's grey)
    and saturation are torchvision's ``adjust_brightness``, ``adjust_contrast`` and ``adjust_saturation``.
    """
    if colour is None:
        return rgb
    factors = colour[:, :, None, None].to(rgb.dtype)
    rgb = (rgb * factors[:, :3]).clamp(0, 1)
    brightness, contrast, saturation = (factors[:, k : k + 1] for k in (3, 4, 5))
    rgb = (rgb * brightness).clamp(0, 1)
    mean = grey(rgb).mean((2, 3), keepdim=True)
    rgb = (mean + contrast * (rgb - mean)).clamp(0, 1)
    shade = grey(rgb)
    return (shade + saturation * (rgb - shade)).clamp(0, 1)


def grey(rgb: Tensor) -> Tensor:
    """Luma of RGB, (n, 3, h, w) to (n, 1, h, w)."""
    return sum((weight * rgb[:, k : k + 1] for k, weight in enumerate(LUMA)), torch.zeros((), device=rgb.device))
