"""How close an enhanced image is to the image that it should be: PSNR and SSIM, on luma, as super-resolution has them.

Luma is that of Matlab's rgb2ycbcr, 16..235, not rounded; the peak is 255.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

PEAK = 255.0
LUMA = (65.481, 128.553, 24.966)
"""Of R, G and B in [0, 1], above 16."""
SIGMA, RADIUS = 1.5, 5  # the window of Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 2004: 11x11
STABLE = ((0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2)
"""Their C1 and C2."""


def luma(image: np.ndarray) -> np.ndarray:
    """Y, float64 (h, w), of a uint8 RGB image (h, w, 3)."""
    return 16 + image.astype(np.float64) @ np.array(LUMA) / PEAK


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 RGB images of one size; infinite for equal ones."""
    error = float(np.mean((luma(image) - luma(truth)) ** 2))
    return 10 * float(np.log10(PEAK**2 / error)) if error else float("inf")


def ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Mean structural similarity, at most 1, of two uint8 RGB images of one size, 11 pixels a side or more.

    Gaussian windows; only those that lie in the image count.
    """

    def smooth(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, SIGMA, radius=RADIUS)

    x, y = luma(image), luma(truth)
    mean_x, mean_y = smooth(x), smooth(y)
    variances = smooth(x * x) - mean_x**2 + smooth(y * y) - mean_y**2
    covariance = smooth(x * y) - mean_x * mean_y
    c1, c2 = STABLE
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variances + c2)
    return float(similarity[RADIUS:-RADIUS, RADIUS:-RADIUS].mean())
