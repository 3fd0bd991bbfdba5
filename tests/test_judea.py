"""JUDEA on Gram matrices against the eigenproblem written out in the features' own space, and cases worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from methods._gram import principal_coordinates
from methods.judea import JUDEA, fit_judea, project
from tests.benchmarks.literal_rederived import judea_squared_distances


def problem(seed, counts=(3, 2, 4, 2), dimensions=(6, 4)):
    """Rows of the same images at two scales and their labels."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(len(counts)), counts))
    people = random.normal(size=(len(counts), max(dimensions)))
    scales = [people[labels][:, :d] + 0.4 * random.normal(size=(len(labels), d)) for d in dimensions]
    return scales, labels


def squared_distances(scales, labels, hcmd, ridge, kept=1.0):
    """Of the training rows among themselves."""
    grams = [rows @ rows.T for rows in scales]
    z = project(grams, fit_judea(grams, labels, hcmd, ridge), kept)
    return np.square(z[:, None] - z).sum(axis=2)


@pytest.mark.parametrize("hcmd", [0.0, 0.5, 20.0])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_eigenproblem_in_feature_space(seed, hcmd) -> None:
    scales, labels = problem(seed)
    expected = judea_squared_distances(scales, labels, hcmd, 0.1)
    np.testing.assert_allclose(squared_distances(scales, labels, hcmd, 0.1), expected, rtol=1e-7, atol=1e-7)


def test_the_discrepancy_shrinks_as_its_weight_grows() -> None:
    """The ratio of |W_h' mean_h - W_l' mean_l| to the projections' own size."""
    scales, labels = problem(4)

    def discrepancy(hcmd):
        grams = [rows @ rows.T for rows in scales]
        high, low = (g @ c for g, c in zip(grams, fit_judea(grams, labels, hcmd, 0.1), strict=True))
        high, low = high - high.mean(axis=0), low - low.mean(axis=0)
        means = [[z[labels == person].mean(axis=0) for person in np.unique(labels)] for z in (high, low)]
        high, low = (np.array(m)[:, :3] for m in means)
        return np.square(high - low).sum() / (np.square(high).sum() + np.square(low).sum())

    assert discrepancy(0.0) > discrepancy(1.0) > discrepancy(100.0)


def test_a_direction_that_tells_people_apart_beats_one_that_does_not() -> None:
    """Worked by hand: people differ along the first axis by 10, images of one person along the second by 2."""
    rows = np.array([[0.0, 1.0], [0.0, -1.0], [10.0, 1.0], [10.0, -1.0]])
    distance = squared_distances([rows], np.array([0, 0, 1, 1]), 0.0, 0.01)
    assert np.allclose(distance[0, 1], 0, atol=1e-9)
    # w = 1 / sqrt(ridge * total variance / n) = 1 / sqrt(0.01 * (25 + 1) / 4) along the first axis.
    assert distance[0, 2] == pytest.approx(100 / (0.01 * 26 / 4))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_neither_the_order_of_images_nor_the_names_of_people_matter(seed) -> None:
    scales, labels = problem(seed)
    random = np.random.default_rng(seed)
    order, names = random.permutation(len(labels)), random.permutation(100)[: labels.max() + 1]
    plain = squared_distances(scales, labels, 1.0, 0.1)
    other = squared_distances([rows[order] for rows in scales], names[labels][order], 1.0, 0.1)
    np.testing.assert_allclose(other, plain[np.ix_(order, order)], rtol=1e-6, atol=1e-8)


def test_kept_takes_the_leading_components() -> None:
    grams = [rows @ rows.T for rows in problem(0)[0]]
    coefs = fit_judea(grams, problem(0)[1], 1.0, 0.1)
    half = project(grams, coefs, 0.5)
    assert half.shape == (len(grams[0]), 2 * round(coefs[0].shape[1] / 2))
    np.testing.assert_allclose(half[:, : half.shape[1] // 2], (grams[0] @ coefs[0])[:, : half.shape[1] // 2])


def test_principal_coordinates_give_back_the_rows_and_place_new_ones() -> None:
    random = np.random.default_rng(0)
    train, new = random.normal(size=(9, 4)) + 3, random.normal(size=(5, 4))
    rows, coef, offset = principal_coordinates(train @ train.T)
    assert rows.shape == (9, 4)
    np.testing.assert_allclose(train @ train.T @ coef - offset, rows, atol=1e-10)
    expected = ((new[:, None] - train) ** 2).sum(axis=2)
    np.testing.assert_allclose((((new @ train.T @ coef - offset)[:, None] - rows) ** 2).sum(axis=2), expected)
    assert np.all(np.diff(np.square(rows).sum(axis=0)) <= 0)


@pytest.mark.parametrize(
    ("grams", "labels", "message"),
    [
        ([np.eye(3)], [0, 0, 0], "one identity"),
        ([np.eye(3)], [0, 1], "2 x 2"),
        ([np.ones((3, 3))], [0, 1, 1], "all the same"),
        ([np.full((2, 2), np.nan)], [0, 1], "not finite"),
        ([np.outer([1.0, -1, 1, -1], [1.0, -1, 1, -1])], [0, 0, 1, 1], "class means"),
    ],
)
def test_bad_input_is_named(grams, labels, message) -> None:
    with pytest.raises(BenchError, match=message):
        fit_judea(grams, np.array(labels), 0.0, 0.1)


def test_small_scale_is_a_second_extractor() -> None:
    normal, small = JUDEA().extractors()
    assert JUDEA(small_scale=False).extractors()[0](np.zeros((1, 128, 48, 3), np.uint8)).shape == (1, 26_960)
    images = np.random.default_rng(0).integers(0, 256, (2, 128, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(small(images)[1:], small(images[1:]))
    assert small(images).shape[1] < normal(images).shape[1]
