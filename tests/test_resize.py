"""The one resize: the size rule, and pixels against a naive anti-aliased bicubic."""

from fractions import Fraction

import numpy as np
import pytest

from bench.protocol.fusion import ANCHORS
from bench.protocol.resize import canary, resize, resize_all, scaled_length, shrink


def cubic(x: float) -> float:
    """The cubic convolution kernel with a = -1/2."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def triangle(x: float) -> float:
    return max(0.0, 1 - abs(x))


def resample_matrix(n: int, m: int, kernel, support: float) -> np.ndarray:
    """(m, n): the kernel, widened by the shrink factor, around each output pixel's centre; each row sums to 1."""
    width = max(1.0, n / m)
    rows = np.zeros((m, n))
    for i in range(m):
        centre = (i + 0.5) * n / m
        for j in range(n):
            if abs(j + 0.5 - centre) < support * width:
                rows[i, j] = kernel((j + 0.5 - centre) / width)
        rows[i] /= rows[i].sum()
    return rows


def naive_resize(image: np.ndarray, size: tuple[int, int], kernel=cubic, support: float = 2) -> np.ndarray:
    """Columns, then rows, clamped to 0..255 after each and rounded in the end."""
    height, width = size
    across = np.einsum("wj,hjc->hwc", resample_matrix(image.shape[1], width, kernel, support), image.astype(float))
    across = across.clip(0, 255)
    both = np.einsum("hi,iwc->hwc", resample_matrix(image.shape[0], height, kernel, support), across)
    return np.floor(both.clip(0, 255) + 0.5).astype(int)


def gradient(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * y // height, 255 * x // width, 255 * (x + y) // (height + width)], axis=2).astype(np.uint8)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("ratio", ANCHORS, ids=str)
def test_scaled_length_rounds_halves_up(ratio: Fraction) -> None:
    for length in range(1, 201):
        quotient, rest = divmod(length, ratio.denominator)
        assert scaled_length(length, ratio) == max(1, quotient + (2 * rest >= ratio.denominator)), length


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [
        ((128, 48), "1/2", (64, 24)),
        ((128, 48), "1/3", (43, 16)),
        ((128, 48), "1/4", (32, 12)),
        ((101, 39), "1/2", (51, 20)),
        ((1, 1), "1/4", (1, 1)),
        ((2, 7), "1/4", (1, 2)),
    ],
)
def test_shrunk_sizes(size, ratio, expected) -> None:
    assert shrink(noise(*size), Fraction(ratio)).shape == (*expected, 3)


@pytest.mark.parametrize("make", [gradient, noise])
@pytest.mark.parametrize("size", [(32, 12), (43, 16), (64, 24), (17, 48), (200, 75), (1, 1)], ids=str)
def test_bicubic_equals_the_naive_one_within_rounding(make, size) -> None:
    image = make(128, 48)
    actual = resize(image, size)
    assert actual.dtype == np.uint8
    # Fixed-point weights and a rounding between the two directions: one grey level.
    assert np.abs(actual - naive_resize(image, size)).max() <= 1


def test_bilinear_equals_the_naive_one_within_rounding() -> None:
    for size in ((43, 16), (160, 72)):
        expected = naive_resize(noise(64, 24), size, triangle, 1)
        assert np.abs(resize(noise(64, 24), size, "bilinear") - expected).max() <= 1


def test_the_columns_are_resized_first() -> None:
    """Rounding between the directions: the order shows, and must not be the library's to choose."""
    image, size = noise(128, 48), (64, 24)
    expected = resize(resize(image, (128, 24)), size)
    assert np.array_equal(resize(image, size), expected)
    assert not np.array_equal(resize(resize(image, (64, 48)), size), expected)


def test_shrinking_removes_what_the_small_image_cannot_hold() -> None:
    """Stripes of one pixel become grey; without the low-pass they would stay black or white."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    middle = shrink(stripes, Fraction(1, 4))[2:-2, 2:-2].astype(int)
    assert np.abs(middle - 127.5).max() <= 1


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    image = noise(9, 5)
    assert np.array_equal(resize(image, (9, 5)), image)


@pytest.mark.parametrize("value", [0, 1, 127, 255])
def test_a_constant_image_stays_constant(value: int) -> None:
    image = np.full((31, 13, 3), value, np.uint8)
    for size in ((8, 3), (31, 5), (64, 64)):
        assert (resize(image, size) == value).all()


def test_resize_all_is_resize_one_by_one() -> None:
    images = [noise(12, 5), gradient(30, 30), noise(8, 4)]
    together = resize_all(images, (8, 4))
    assert together.shape == (3, 8, 4, 3)
    for image, row in zip(images, together, strict=True):
        assert np.array_equal(row, resize(image, (8, 4)))
    assert resize_all([], (8, 4)).shape == (0, 8, 4, 3)


def test_canary() -> None:
    """Pinned: where it moves, resizing has changed, and with it every number; raise the version of `resize` then."""
    assert canary() == "76688e511bb2fec26749b6d1b386d0047ba4e70b38753dc9b58c0e5561d3a324"
