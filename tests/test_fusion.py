"""The fusion of anchor models: Eq. 6-8 with numbers worked by hand, and against their literal form."""

from fractions import Fraction
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.protocol import fusion
from bench.protocol.fusion import ANCHORS

HALF, THIRD, QUARTER = ANCHORS


def ranking(distances: np.ndarray) -> np.ndarray:
    return np.argsort(distances, axis=1, kind="stable")


def literal(distances, areas, gallery_areas, sigma) -> np.ndarray:
    """Eq. 6-8 probe by probe, without the rescaling of the weights."""
    out = np.zeros_like(distances[HALF])
    for p, area in enumerate(areas):
        r = (area / (sum(gallery_areas) / len(gallery_areas))) ** 0.5
        for m, d in distances.items():
            out[p] += exp(-((r - float(m)) ** 2) / sigma**2) * d[p]
    return out


def test_resolution_ratio_by_hand() -> None:
    """Eq. 7: galleries of 128x48 and 64x48 have a mean area of 4,608; a probe of 32x36 has a quarter of it."""
    r = fusion.resolution_ratio(np.array([32 * 36.0, 4608.0]), np.array([128 * 48.0, 64 * 48.0]))
    assert r.tolist() == [0.5, 1.0]


def test_weights_by_hand() -> None:
    """Eq. 8 for r = 1/2, sigma = 1: exp(0), exp(-1/36), exp(-1/16)."""
    w = fusion.weights(np.array([0.5]), ANCHORS, 1.0)
    np.testing.assert_allclose(w, [[1, exp(-1 / 36), exp(-1 / 16)]])


def test_weights_are_relative_to_the_nearest_anchor() -> None:
    """r = 1/4, sigma = 1/4: exp(-1), exp(-1/9), 1; and far from every anchor, r = 1: 1 for the nearest, 1/2."""
    w = fusion.weights(np.array([0.25, 1.0]), ANCHORS, 0.25)
    np.testing.assert_allclose(w[0], [exp(-1), exp(-1 / 9), 1])
    np.testing.assert_allclose(w[1], [1, exp(-16 * (4 / 9 - 1 / 4)), exp(-16 * (9 / 16 - 1 / 4))])


def test_fuse_by_hand() -> None:
    """Eq. 6 for one probe of r = 1/2 and sigma = 1/4: 1 * D_1/2 + exp(-1) * D_1/4."""
    distances = {HALF: np.array([[4.0, 1.0]]), QUARTER: np.array([[0.0, 2.0]])}
    np.testing.assert_allclose(fusion.fuse(distances, np.array([0.5]), 0.25), [[4, 1 + 2 * exp(-1)]])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.sampled_from([s for s in fusion.SIGMA_GRID if s >= 0.1]))
def test_same_ranking_as_the_literal_equations(seed, sigma) -> None:
    rng = np.random.default_rng(seed)
    distances = {m: rng.uniform(1, 2, (6, 5)) for m in ANCHORS}
    areas, gallery_areas = rng.uniform(300, 6000, 6), rng.uniform(4000, 7000, 5)
    fused = fusion.fuse(distances, fusion.resolution_ratio(areas, gallery_areas), sigma)
    expected = literal(distances, areas, gallery_areas, sigma)
    assert np.array_equal(ranking(fused), ranking(expected))
    factor = fused / expected
    np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :1], factor.shape), rtol=1e-9)


@pytest.mark.parametrize("sigma", [1e-3, 1e-9])
def test_a_tiny_sigma_picks_the_nearest_anchor(sigma: float) -> None:
    distances = {m: np.full((4, 3), float(m)) + np.arange(3) for m in ANCHORS}
    fused = fusion.fuse(distances, np.array([0.9, 0.45, 0.3, 0.01]), sigma)
    expected = [distances[m][0] for m in (HALF, HALF, THIRD, QUARTER)]
    np.testing.assert_allclose(fused, expected, atol=1e-12)


def test_a_large_sigma_adds_all_anchors_alike() -> None:
    distances = {m: np.array([[float(m), 1.0]]) for m in ANCHORS}
    np.testing.assert_allclose(fusion.fuse(distances, np.array([0.3]), 1e6), [[13 / 12, 3]])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(fusion.SIGMA_GRID))
def test_the_fusion_is_the_identity_for_one_anchor_and_for_equal_anchors(seed, sigma) -> None:
    rng = np.random.default_rng(seed)
    d, r = rng.normal(size=(4, 6)), rng.uniform(0.1, 1.3, 4)
    np.testing.assert_allclose(fusion.fuse({THIRD: d}, r, sigma), d)
    assert np.array_equal(ranking(fusion.fuse(dict.fromkeys(ANCHORS, d), r, sigma)), ranking(d))


def test_normalise_divides_each_anchor_by_its_mean_size() -> None:
    distances = {HALF: np.array([[-2.0, 4.0]]), QUARTER: np.array([[10.0, 30.0]])}  # mean sizes 3 and 20
    fused = fusion.fuse(distances, np.array([0.375]), 1.0, normalise=True)  # half-way: equal weights
    np.testing.assert_allclose(fused, [[-2 / 3 + 10 / 20, 4 / 3 + 30 / 20]])


def test_normalise_leaves_an_all_zero_anchor_alone() -> None:
    distances = {HALF: np.zeros((1, 2)), QUARTER: np.array([[1.0, 3.0]])}
    np.testing.assert_allclose(fusion.fuse(distances, np.array([0.375]), 1.0, normalise=True), [[0.5, 1.5]])


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ({0.1: (0.5, 0.9), 0.2: (0.6, 0.1), 0.3: (0.4, 1.0)}, 0.2),
        ({0.1: (0.5, 0.9), 0.2: (0.5, 0.1), 0.3: (0.4, 1.0)}, 0.1),
        ({0.3: (0.5, 0.2), 0.1: (0.5, 0.2), 0.2: (0.5, 0.2)}, 0.3),
    ],
    ids=["rank-1", "then mAP", "then the larger sigma"],
)
def test_best_sigma(scores, best) -> None:
    assert fusion.best_sigma(scores) == best


def test_the_grid_is_the_documented_range() -> None:
    assert (min(fusion.SIGMA_GRID), max(fusion.SIGMA_GRID)) == (0.05, 2)
    assert list(fusion.SIGMA_GRID) == sorted(set(fusion.SIGMA_GRID))
    assert all(isinstance(m, Fraction) for m in ANCHORS)
