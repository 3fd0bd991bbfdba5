"""PSNR and SSIM against scikit-image's, and by hand."""

import numpy as np
import pytest

from bench.protocol.quality import luma, psnr, ssim

metrics = pytest.importorskip("skimage.metrics")


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 256, (40, 19, 3), dtype=np.uint8)
    noise = rng.normal(0, 10 ** rng.uniform(0, 2), truth.shape)
    return (truth + noise).clip(0, 255).astype(np.uint8), truth


@pytest.mark.parametrize("seed", range(5))
def test_as_scikit_image(seed) -> None:
    image, truth = pair(seed)
    y = [luma(one) for one in (image, truth)]
    assert psnr(image, truth) == pytest.approx(metrics.peak_signal_noise_ratio(*y, data_range=255))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    assert ssim(image, truth) == pytest.approx(metrics.structural_similarity(*y, **options))


def test_by_hand() -> None:
    black, white = (np.full((20, 20, 3), value, np.uint8) for value in (0, 255))
    assert (luma(black)[0, 0], luma(white)[0, 0]) == (16, pytest.approx(235))
    assert psnr(white, black) == pytest.approx(20 * np.log10(255 / 219))
    assert psnr(black, black) == np.inf
    assert ssim(black, black) == pytest.approx(1)
    image, truth = pair(0)
    assert ssim(image, truth) == ssim(truth, image) < 1
