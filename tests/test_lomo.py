import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.errors import BenchError
from methods._lomo import LOMO, block_maxima, dimension, grey_levels, hsv_codes, msrcp, pool_hsv_codes, siltp_codes
from tests.benchmarks import literal_lomo

RETINEX = ["msrcp", "none"]
# float32 values of at most 1: two units in the last place.
ATOL = 2 * np.finfo(np.float32).eps


def noise(n: int, height: int = 128, width: int = 48, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def gradients(height: int = 128, width: int = 48) -> np.ndarray:
    """Two smooth images: brightness falling down the rows, hue turning along the columns."""
    down, right = np.linspace(255, 0, height)[:, None], np.linspace(0, 255, width)
    fading = np.stack([down + 0 * right, 0.5 * down + 0 * right, 0 * down + right], axis=2)
    turning = np.stack([0 * down + right, 0 * down + 255 - right, down + 0 * right], axis=2)
    return np.stack([fading, turning]).astype(np.uint8)


def pixels(*colours: tuple[int, int, int]) -> np.ndarray:
    """One image of a single row."""
    return np.array([[colours]], dtype=np.uint8)


# ---- the whole descriptor


def half_flat() -> np.ndarray:
    """Grey 254 above, noise below: most of the flat part has a Retinex of exactly 0, and 254 stretches to a tie."""
    image = noise(1, seed=3)
    image[:, :80] = 254
    return image


CASES = {
    "noise": noise(2),
    "gradients": gradients(),
    "constant": np.full((1, 128, 48, 3), (200, 30, 90), dtype=np.uint8),
    "black": np.zeros((1, 40, 30, 3), dtype=np.uint8),
    "half flat": half_flat(),
    "odd size": noise(1, 61, 47),
    "SILTP skips a scale": noise(1, 60, 40),
    "smallest": noise(1, 10, 10),
    "wide": noise(1, 13, 90),
}


@pytest.mark.parametrize("retinex", RETINEX)
@pytest.mark.parametrize("images", CASES.values(), ids=CASES.keys())
def test_equals_literal_implementation(images: np.ndarray, retinex: str) -> None:
    expected = np.stack([literal_lomo.lomo(image, retinex) for image in images])
    descriptors = LOMO(retinex)(images)
    assert descriptors.dtype == np.float32
    np.testing.assert_allclose(descriptors, expected, rtol=0, atol=ATOL)


@pytest.mark.data
@pytest.mark.parametrize("retinex", RETINEX)
def test_equals_literal_implementation_on_viper(data_root, retinex: str) -> None:
    files = sorted((data_root / "VIPeR").glob("cam_[ab]/*.bmp"))[::160]
    images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    expected = np.stack([literal_lomo.lomo(image, retinex) for image in images])
    np.testing.assert_allclose(LOMO(retinex)(images), expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize(
    ("height", "width", "length"),
    [
        (128, 48, 26_960),  # 24 + 11 + 5 bands of 512 + 2 * 81
        (160, 60, 35_722),  # 31 + 15 + 7
        (60, 40, 18 * 674 - 2 * 81),  # 11 + 5 + 2; the last scale is 10 wide, SILTP of R = 5 needs 11
        (10, 10, 512 + 81),  # one block
        (128, 19, 24 * 674),  # half of 19 is narrower than a block
    ],
)
def test_dimension(height: int, width: int, length: int) -> None:
    assert dimension(height, width) == length
    assert LOMO("none")(noise(1, height, width)).shape == (1, length)


@pytest.mark.parametrize("retinex", RETINEX)
def test_no_images(retinex: str) -> None:
    descriptors = LOMO(retinex)(noise(0))
    assert descriptors.shape == (0, 26_960)
    assert descriptors.dtype == np.float32


@pytest.mark.parametrize("retinex", RETINEX)
def test_three_unit_vectors(retinex: str) -> None:
    descriptors = LOMO(retinex)(np.concatenate([noise(2), gradients(), CASES["constant"]]))
    for part in np.split(descriptors.astype(np.float64), [40 * 512, 40 * (512 + 81)], axis=1):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1, atol=1e-6)


BATCH = np.concatenate([noise(15, 33, 26), gradients(33, 26), np.zeros((1, 33, 26, 3), np.uint8)])


@settings(max_examples=25, deadline=None)
@given(order=st.lists(st.integers(0, len(BATCH) - 1), max_size=40), retinex=st.sampled_from(RETINEX))
def test_row_does_not_depend_on_batch(order: list[int], retinex: str) -> None:
    alone = np.concatenate([LOMO(retinex)(BATCH[i : i + 1]) for i in range(len(BATCH))])
    np.testing.assert_array_equal(LOMO(retinex)(BATCH[order]), alone[order])


def test_row_does_not_depend_on_batch_at_full_size() -> None:
    images = np.concatenate([noise(38), gradients()])
    together = LOMO()(images)
    np.testing.assert_array_equal(together, np.concatenate([LOMO()(images[:7]), LOMO()(images[7:])]))
    np.testing.assert_array_equal(together, LOMO()(np.asfortranarray(images)))


def test_input_is_left_alone() -> None:
    images = noise(2)
    LOMO()(images)
    np.testing.assert_array_equal(images, noise(2))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (noise(1, 9, 48), "at least 10x10 pixels. Got 9 rows of 48 pixels"),
        (noise(1, 128, 9), "at least 10x10 pixels. Got 128 rows of 9 pixels"),
        (noise(1)[0], "Got uint8 (128, 48, 3) instead"),
        (noise(1)[..., :2], "Got uint8 (1, 128, 48, 2) instead"),
        (noise(1) / 255, "Got float64 (1, 128, 48, 3) instead"),
        ([noise(1)[0]], "Got list instead"),
    ],
)
def test_wrong_images(images: np.ndarray, message: str) -> None:
    with pytest.raises(BenchError, match=re.escape(message)):
        LOMO()(images)


def test_wrong_retinex() -> None:
    message = "The 'retinex' parameter of LOMO must be a str among {'msrcp', 'none'}. Got 'msr' instead."
    with pytest.raises(BenchError, match=re.escape(message)):
        LOMO("msr")(noise(1))  # type: ignore[arg-type]


# ---- Retinex


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (10, 200, 30)])
def test_msrcp_leaves_constant_images(colour: tuple[int, int, int]) -> None:
    images = np.full((1, 30, 20, 3), colour, dtype=np.uint8)
    np.testing.assert_array_equal(msrcp(images), images)


def test_msrcp_keeps_chromaticity_and_stretches() -> None:
    """Grey stays grey; the darkest tenth, against its surround, becomes black; the brightest a gain of 255 / I."""
    grey = np.full((1, 40, 40, 1), 100, dtype=np.uint8)
    grey[:, :, :10], grey[:, :, 30:] = 50, 150
    enhanced = msrcp(grey.repeat(3, axis=3))
    assert (enhanced == enhanced[..., :1]).all()
    assert (enhanced[0, :, 9] == 0).all()
    assert (enhanced[0, :, 30] == np.floor(255 / 151 * 150)).all()


# ---- HSV


def test_hsv_codes_by_hand() -> None:
    colours = {
        (0, 0, 0): 0,
        (255, 255, 255): 64 * 7,
        (128, 128, 128): 64 * 4,  # 8 * 128 / 255 = 4.02
        (127, 127, 127): 64 * 3,
        (255, 0, 0): 64 * 7 + 8 * 7 + 0,
        (0, 255, 0): 64 * 7 + 8 * 7 + 2,  # a third of a turn, 2.67
        (0, 0, 255): 64 * 7 + 8 * 7 + 5,  # 5.33
        (255, 0, 1): 64 * 7 + 8 * 7 + 7,  # just short of a full turn
        (200, 150, 0): 64 * 6 + 8 * 7 + 1,  # an eighth of a turn exactly; V 6.27
        (200, 149, 0): 64 * 6 + 8 * 7 + 0,
        (200, 100, 100): 64 * 6 + 8 * 4 + 0,  # S one half exactly
        (200, 101, 101): 64 * 6 + 8 * 3 + 0,
        (0, 200, 200): 64 * 6 + 8 * 7 + 4,  # half a turn exactly
    }
    assert hsv_codes(pixels(*colours)).tolist() == [[list(colours.values())]]


def test_hsv_codes_equal_literal() -> None:
    images = np.concatenate([noise(3), noise(1, seed=1) // 64 * 64, noise(1, seed=2) // 8])
    for image, codes in zip(images, hsv_codes(images), strict=True):
        hue, saturation, value = np.minimum(np.floor(8 * literal_lomo.rgb_to_hsv(image)), 7).transpose(2, 0, 1)
        np.testing.assert_array_equal(codes, 64 * value + 8 * saturation + hue)


def test_pool_hsv_codes_by_hand() -> None:
    """Means of V 7 7 7 6, S 1 0 0 0, H 2 3 3 4, floored; the odd last column is dropped."""
    codes = np.array([[[0o712, 0o703, 0o777], [0o703, 0o604, 0o777]]], dtype=np.uint16)
    assert pool_hsv_codes(codes).tolist() == [[[0o603]]]


# ---- SILTP


def test_grey_levels_by_hand() -> None:
    # .2989 * 255 = 76.2; .5870 * 255 = 149.7; .1140 * 255 = 29.1; .9999 * 255 = 254.97
    images = pixels((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
    assert grey_levels(images).tolist() == [[[76, 150, 29, 255]]]


@pytest.mark.parametrize("unit", [np.uint8(1), 1 / 255])
def test_siltp_codes_by_hand(unit: np.generic) -> None:
    """One row, radius 1: up and down are the pixel itself (0), right weighs 1, left 9; 7 < .7 * 11 and 14 > 1.3 * 7."""
    grey = np.array([[[11, 7, 14]]], dtype=np.uint8) * unit
    assert siltp_codes(grey, [1])[0].tolist() == [
        [
            [
                1,  # right 7 is darker; left is the pixel itself
                2 + 9 * 2,  # both neighbours are brighter than 9.1
                9 * 1,  # left 7 is darker than 9.8; right is the pixel itself
            ]
        ]
    ]
    column = grey.swapaxes(1, 2)  # up weighs 3, down 27
    assert siltp_codes(column, [1])[0].tolist() == [[[27 * 1], [3 * 2 + 27 * 2], [3 * 1]]]


def test_siltp_codes_equal_literal() -> None:
    levels = grey_levels(noise(2, 40, 30))
    for grey in (levels, levels / 255):
        for radius, codes in zip((3, 5), siltp_codes(grey, (3, 5)), strict=True):
            np.testing.assert_array_equal(codes, [literal_lomo.siltp(plane / 255, radius) for plane in levels])


# ---- pooling


def test_block_maxima_by_eye() -> None:
    """15 x 15: two bands of two blocks. A patch of 12 ones at the top right, of 6 twos at the bottom left."""
    codes = np.zeros((1, 15, 15), dtype=np.uint8)
    codes[0, 0:4, 12:15] = 1
    codes[0, 13:15, 2:5] = 2
    assert block_maxima(codes, 4).tolist() == [
        [
            [100, 12, 0, 0],  # rows 0-9: left block all 0, right block 88 and 12
            [100, 0, 6, 0],  # rows 5-14: left block 94 and 6, right block all 0
        ]
    ]


def test_block_maxima_ignores_what_no_block_covers() -> None:
    codes = np.zeros((1, 14, 12), dtype=np.uint8)
    codes[:, 10:], codes[:, :, 10:] = 1, 1
    assert block_maxima(codes, 2).tolist() == [[[100, 0]]]
