"""SDF's curves, polynomials and surface against plain loops and cases worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.sdf import (
    RATIOS,
    coefficients,
    fit_surface,
    part_by_part,
    relative_curves,
    signed_distances,
    squared_norms,
    whitened_offsets,
)


def test_parts_are_lomo_s_three_unit_vectors() -> None:
    random = np.random.default_rng(0)
    rows = random.random((2, 40 * (512 + 81 + 81))).astype(np.float32)
    parts = part_by_part(rows)
    assert [part.shape[1] for part in parts] == [40 * 512, 40 * 81, 40 * 81]
    np.testing.assert_array_equal(np.hstack(parts), rows)
    np.testing.assert_allclose(sum(map(squared_norms, parts)), np.square(rows).sum(axis=1), rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_curves_are_standardised_squared_distances(seed) -> None:
    random = np.random.default_rng(seed)
    train, probe = random.normal(size=(4, 7)), random.normal(size=(3, 7))
    rendered = random.normal(size=(5, 2, 7))  # gallery image, scale

    def offsets(rows):
        return (squared_norms(rows)[:, None, None] - 2 * np.einsum("pd,gsd->pgs", rows, rendered))[:, :, None]

    curves = relative_curves(offsets(probe), offsets(train))
    for p in range(3):
        for g in range(5):
            for s in range(2):
                known = [np.square(row - rendered[g, s]).sum() for row in train]
                expected = (np.square(probe[p] - rendered[g, s]).sum() - np.mean(known)) / np.std(known)
                assert curves[p, g, 0, s] == pytest.approx(expected)


def test_whitened_offsets_are_squared_distances_of_unit_rows_less_a_constant() -> None:
    random = np.random.default_rng(5)
    probe, *renderings = (rows / np.linalg.norm(rows, axis=1)[:, None] for rows in random.normal(size=(3, 4, 6)))
    offsets = whitened_offsets(probe, renderings)
    assert offsets.shape == (4, 4, 1, 2)
    for s, rendering in enumerate(renderings):
        np.testing.assert_allclose(offsets[:, :, 0, s] + 2, ((probe[:, None] - rendering) ** 2).sum(axis=2))


def test_probes_all_alike_leave_the_distance_unscaled() -> None:
    assert relative_curves(np.full((1, 1, 1, 1), 3.0), np.full((4, 1, 1, 1), 2.0)).item() == 1


def test_a_polynomial_s_own_coefficients_are_found() -> None:
    scales = np.array([float(ratio) for ratio in RATIOS])
    curve = np.stack([2 - 3 * scales, 5 * scales], axis=0)[None, None]  # one pair, two parts
    np.testing.assert_allclose(coefficients(curve, 1)[0, 0], [2, -3, 0, 5], atol=1e-12)
    np.testing.assert_allclose(coefficients(curve, 2)[0, 0], [2, -3, 0, 0, 5, 0], atol=1e-12)
    np.testing.assert_allclose(coefficients(curve, 0)[0, 0], [curve[0, 0, 0].mean(), curve[0, 0, 1].mean()])


def test_coefficients_are_numpy_s_least_squares() -> None:
    curves = np.random.default_rng(1).normal(size=(3, 2, 1, 4))
    scales = [float(ratio) for ratio in RATIOS]
    for p in range(3):
        for g in range(2):
            expected = np.polynomial.polynomial.polyfit(scales, curves[p, g, 0], 2)
            np.testing.assert_allclose(coefficients(curves, 2)[p, g], expected, atol=1e-9)


def test_one_scale_leaves_the_distance_itself() -> None:
    curves = np.random.default_rng(2).normal(size=(2, 3, 3, 1))
    np.testing.assert_allclose(coefficients(curves, 0), curves[..., 0])


def separable():
    """Same-person curves fall with the scale, the others' rise: equal means, so that only the shape tells."""
    random = np.random.default_rng(3)
    same = np.eye(6, dtype=bool)
    scales = np.array([float(ratio) for ratio in RATIOS])
    slope = np.where(same, -1.0, 1.0)[..., None] * (scales - scales.mean())
    return (slope + 0.05 * random.normal(size=(6, 6, 4)))[:, :, None, :], same


def test_the_surface_tells_by_the_curve_s_shape_what_one_scale_cannot() -> None:
    curves, same = separable()
    c = coefficients(curves, 1)
    distance = signed_distances(fit_surface(c, same, 1.0), c)
    assert distance[same].max() < distance[~same].min()
    flat = coefficients(curves, 0)
    distance = signed_distances(fit_surface(flat, same, 1.0), flat)
    assert distance[same].max() > distance[~same].min()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_neither_the_order_of_images_nor_of_people_matters(seed) -> None:
    curves, same = separable()
    random = np.random.default_rng(seed)
    rows, columns = random.permutation(6), random.permutation(6)
    c = coefficients(curves, 1)
    plain = signed_distances(fit_surface(c, same, 0.1), c)
    moved = c[rows][:, columns]
    other = signed_distances(fit_surface(moved, same[rows][:, columns], 0.1), moved)
    np.testing.assert_allclose(other, plain[rows][:, columns], rtol=1e-3, atol=1e-3)
