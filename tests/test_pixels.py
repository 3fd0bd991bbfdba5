"""Batches cut on the device: against slices of arrays, and torchvision's colours."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional

from bench.learning.compute import PLAIN
from bench.learning.pixels import BRIGHTNESS, CAST, SHIFT, cut, draw_looks, recolour, resident


def numbered(n: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(n, height, width, 3), dtype=np.uint8)


def test_windows_are_slices_mirrored_after_cutting() -> None:
    images = numbered(3, 6, 5)
    windows = cut(
        resident([images[:1], images[1:]], PLAIN),
        torch.tensor([2, 0]),
        torch.tensor([[1, 2], [0, 0]]),
        (4, 3),
        torch.tensor([False, True]),
    )
    assert windows.shape == (2, 3, 4, 3)
    assert windows.is_contiguous(memory_format=torch.channels_last)
    expected = np.stack([images[2, 1:5, 2:5], images[0, 0:4, 0:3][:, ::-1]])
    np.testing.assert_array_equal((windows * 255).round().permute(0, 2, 3, 1).numpy(), expected)


@given(top=st.integers(-8, 8), left=st.integers(-8, 8), mirror=st.booleans())
def test_over_the_edge_the_edge_is_repeated(top: int, left: int, mirror: bool) -> None:
    image = numbered(1, 6, 5)
    window = cut(
        resident([image], PLAIN), torch.tensor([0]), torch.tensor([[top, left]]), (6, 5), torch.tensor([mirror])
    )
    padded = np.pad(image[0], ((8, 8), (8, 8), (0, 0)), mode="edge")[top + 8 : top + 14, left + 8 : left + 13]
    expected = padded[:, ::-1] if mirror else padded
    np.testing.assert_array_equal((window[0] * 255).round().permute(1, 2, 0).numpy(), expected)


def test_colours_are_torchvisions() -> None:
    rgb = torch.from_numpy(numbered(2, 4, 3)).permute(0, 3, 1, 2) / 255
    colour = torch.tensor([[1.2, 0.8, 1.0, 1.3, 0.7, 1.5], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    cast = (rgb[0] * torch.tensor([1.2, 0.8, 1.0])[:, None, None]).clamp(0, 1)
    expected = functional.adjust_brightness(cast, 1.3)
    expected = functional.adjust_saturation(functional.adjust_contrast(expected, 0.7), 1.5)
    torch.testing.assert_close(recolour(rgb, colour), torch.stack([expected, rgb[1]]))
    assert recolour(rgb, None) is rgb


@pytest.mark.parametrize("augmentation", ["mirror", "crop", "colour"])
def test_looks_are_in_range_and_repeat(augmentation) -> None:
    looks, again = (draw_looks(np.random.default_rng(3), 2000, augmentation) for _ in range(2))
    assert all(np.array_equal(looks[name], again[name]) for name in looks)
    assert 0.45 < looks["mirror"].mean() < 0.55
    moved = SHIFT if augmentation != "mirror" else 0
    assert (looks["shift"].min(), looks["shift"].max()) == (-moved, moved)
    assert ("colour" in looks) == (augmentation == "colour")
    if "colour" in looks:
        kept = (looks["colour"] == 1).all(axis=1)
        assert 0.25 < kept.mean() < 0.35, "seven in ten are recoloured"
        for column, (low, high) in ((0, CAST), (3, BRIGHTNESS)):
            values = looks["colour"][~kept, column]
            assert low <= values.min() < low + 0.01
            assert high - 0.01 < values.max() <= high
