"""NFST on kernels against the release's results, the literal implementation and cases worked by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from methods import nfst
from methods.nfst import NFST, bandwidth, euclidean, first_of_equal, fit_nfst, rbf
from tests.benchmarks import literal_metrics


def squares(rows):
    return (rows**2).sum(axis=1)


def distances(train, labels, probe_test, gallery_test):
    """Fit and match from feature rows, through inner products only."""
    gram = train @ train.T
    mu = bandwidth(gram)
    coef = fit_nfst(rbf(gram, squares(train), squares(train), mu), labels)
    probe, gallery = (
        rbf(test @ train.T, squares(test), squares(train), mu) @ coef for test in (probe_test, gallery_test)
    )
    return euclidean(probe, gallery)


def cmc(distances):
    """Share of rows whose diagonal entry is among the k least, for every k, by sorting."""
    rank = [list(np.argsort(row, kind="stable")).index(i) for i, row in enumerate(distances)]
    return np.cumsum(np.bincount(rank, minlength=len(distances))) / len(distances)


def problem(seed, dimension, counts):
    """Random rows of people seen counts[k] times, and five test rows per view."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(len(counts)), counts))
    train = random.normal(size=(len(counts), dimension))[labels] + 0.5 * random.normal(size=(len(labels), dimension))
    return train, labels, *random.normal(size=(2, 5, dimension))


@pytest.mark.data
@pytest.mark.parametrize("oracle", ["std300", "multi100"])
def test_equals_the_release(oracle_root: Path, oracle: str) -> None:
    """multi100 repeats images, so that its kernel is not of full rank."""
    with np.load(oracle_root / f"nfst_{oracle}.npz") as z:
        train = np.concatenate([z["prob_train"], z["gal_train"]])
        labels = np.concatenate([z["prob_labels"], z["gal_labels"]])
        gram, sqnorm = train @ train.T, squares(train)
        mu = bandwidth(gram)
        assert mu == pytest.approx(float(z["mu"]), rel=1e-12)
        np.testing.assert_allclose(rbf(gram, sqnorm, sqnorm, mu), z["K"], rtol=1e-12)
        ours = distances(train, labels, z["prob_test"], z["gal_test"])
        np.testing.assert_allclose(ours, z["nfst_dist"].T, rtol=1e-9)
        np.testing.assert_allclose(cmc(ours), z["nfst_cms"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(cmc(ours.T), z["nfst_cms_rev"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("counts", [[2] * 8, [1, 4, 2, 6, 3], [1, 1, 1, 2]], ids=str)
@pytest.mark.parametrize("dimension", [2, 60])
def test_equals_the_literal_steps(dimension, counts) -> None:
    arguments = problem(dimension, dimension, counts)
    np.testing.assert_allclose(distances(*arguments), literal_metrics.nfst_distances(*arguments), rtol=1e-7)


@pytest.mark.parametrize("dimension", [4, 60])
def test_repeated_images_equal_the_literal_steps(dimension) -> None:
    train, labels, *test = problem(1, dimension, [3, 3, 2, 4])
    for person in range(4):
        first, second = np.flatnonzero(labels == person)[:2]
        train[second] = train[first]
    expected = literal_metrics.nfst_distances(train, labels, *test)
    np.testing.assert_allclose(distances(train, labels, *test), expected, rtol=1e-9)


def test_an_image_that_goes_by_two_names_equals_the_literal_steps() -> None:
    train, labels, *test = problem(2, 30, [3, 3, 3])
    train[np.flatnonzero(labels == 0)[0]] = train[np.flatnonzero(labels == 1)[0]]
    expected = literal_metrics.nfst_distances(train, labels, *test)
    np.testing.assert_allclose(distances(train, labels, *test), expected, rtol=1e-7)


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([[0, 0, 1], [0, 2, 1], [3, 1, 1]], ["a", "a", "b"]),
        ([[0, 0, 0], [0, 1, 0], [3, 0, 0], [3, 1, 0]], ["a", "a", "b", "b"]),
    ],
    ids=["kernel of full rank", "kernel of rank 2"],
)
def test_worked_by_hand(rows, labels) -> None:
    """People differ along x, images of one person along y: with a linear kernel only x is left."""
    rows = np.array(rows, float)
    coef = fit_nfst(rows @ rows.T, labels)
    probe, gallery = np.array([[1.0, 5.0, 0.0]]), np.array([[2.5, -3.0, 4.0], [1.0, 0.0, 0.0]])
    actual = euclidean(probe @ rows.T @ coef, gallery @ rows.T @ coef)
    np.testing.assert_allclose(actual, [[1.5, 0.0]], atol=1e-7)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimension=st.sampled_from([5, 30]),
    counts=st.lists(st.integers(1, 4), min_size=2, max_size=6).filter(lambda counts: max(counts) > 1),
    repeat=st.booleans(),
)
def test_properties_of_the_null_space(seed, dimension, counts, repeat) -> None:
    """The images of one person coincide, people do not; directions are orthonormal and blind to a common shift."""
    train, labels, *_ = problem(seed, dimension, counts)
    if repeat:
        twice = np.flatnonzero(labels == np.argmax(counts))
        train[twice[0]] = train[twice[1]]
    gram = train @ train.T
    kernel = rbf(gram, squares(train), squares(train), bandwidth(gram))
    coef = fit_nfst(kernel, labels)
    assert coef.shape == (len(train), len(counts) - 1)
    np.testing.assert_allclose(coef.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(coef.T @ kernel @ coef, np.eye(len(counts) - 1), atol=1e-7)
    place = kernel @ coef
    same = labels[:, None] == labels
    apart = np.linalg.norm(place[:, None] - place, axis=2)
    assert apart[same].max() < 1e-7 < 1e-3 < apart[~same].min()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimension=st.sampled_from([5, 30]),
    counts=st.lists(st.integers(1, 3), min_size=2, max_size=6),
    scale=st.floats(0.01, 100),
)
def test_invariances(seed, dimension, counts, scale) -> None:
    """Neither order nor names of people, neither rotation, shift nor scale of all features matters."""
    train, labels, probe_test, gallery_test = problem(seed, dimension, counts)
    expected = distances(train, labels, probe_test, gallery_test)
    random = np.random.default_rng(seed)

    order, name = random.permutation(len(train)), random.permutation(100)
    reordered = distances(train[order], name[labels[order]], probe_test, gallery_test)
    np.testing.assert_allclose(reordered, expected, rtol=1e-6)

    rotation, shift = np.linalg.qr(random.normal(size=(dimension, dimension)))[0], random.normal(size=dimension)
    moved = [scale * (x @ rotation + shift) for x in (train, probe_test, gallery_test)]
    np.testing.assert_allclose(distances(moved[0], labels, *moved[1:]), expected, rtol=1e-6)


def test_bandwidth_and_rbf_by_loops() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 4, 3))
    mu = bandwidth(a @ a.T)
    assert mu**2 == pytest.approx(np.mean([[np.sum((x - y) ** 2) for y in a] for x in a]) / 2)
    expected = [[np.exp(-np.sum((x - y) ** 2) / (2 * mu**2)) for y in b] for x in a]
    np.testing.assert_allclose(rbf(a @ b.T, squares(a), squares(b), mu), expected, rtol=1e-12)


def test_cancellation_gives_no_negative_squares() -> None:
    rows = 1e8 + np.random.default_rng(0).random(size=(20, 3))
    assert np.isfinite(euclidean(rows, rows)).all()
    assert rbf(rows @ rows.T, squares(rows) - 10, squares(rows), 1.0).max() <= 1


@pytest.mark.parametrize(
    ("kernel", "labels", "message"),
    [
        (np.eye(4), [5, 5, 5, 5], "one identity"),
        (np.eye(3), [0, 0, 1, 1], "4 x 4"),
        (np.ones((4, 3)), [0, 0, 1, 1], "4 x 4"),
        (np.diag([1, np.nan, 1, 1]), [0, 0, 1, 1], "not finite"),
        (np.ones((4, 4)), [0, 0, 1, 1], "all the same"),
    ],
)
def test_what_cannot_be_fitted(kernel, labels, message) -> None:
    with pytest.raises(BenchError, match=message):
        fit_nfst(kernel, labels)


@pytest.mark.parametrize("gram", [np.ones((3, 3)), np.zeros((3, 3)), np.full((3, 3), np.nan)])
def test_no_bandwidth(gram) -> None:
    with pytest.raises(BenchError, match="above 0 and finite"):
        bandwidth(gram)


def test_views_must_share_people() -> None:
    gallery, probe = (SimpleNamespace(identity=np.array(people)) for people in ([0, 1], [2, 3]))
    with pytest.raises(BenchError, match="share no identity"):
        NFST().fit(SimpleNamespace(gallery=gallery, probe=probe))


def by_both_ways(train, labels, probe_test, gallery_test, first):
    gram = train @ train.T
    mu = bandwidth(gram)
    kernel = rbf(gram, squares(train), squares(train), mu)
    tests = [rbf(test @ train.T, squares(test), squares(train), mu) for test in (probe_test, gallery_test)]
    return [
        euclidean(*(test @ coef for test in tests))
        for coef in (fit_nfst(kernel, labels), fit_nfst(kernel.copy(), labels, first))
    ]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimension=st.sampled_from([4, 40]),
    counts=st.lists(st.integers(1, 5), min_size=2, max_size=8),
    repeats=st.integers(0, 6),
    across=st.booleans(),
)
def test_in_place_equals_the_other_way(seed, dimension, counts, repeats, across) -> None:
    """Of rows that repeat, within one person or in two; in four dimensions the rest is not of full rank either."""
    train, labels, *tests = problem(seed, dimension, [*counts, 3])
    random = np.random.default_rng(seed)
    rows = np.concatenate([np.arange(len(train)), random.integers(len(train), size=repeats)])
    people = labels[rows]
    if across and repeats:
        people[-1] = (people[-1] + 1) % len(set(labels))
    order = random.permutation(len(rows))
    rows, people = rows[order], people[order]
    first = np.array([list(rows).index(row) for row in rows])
    expected, actual = by_both_ways(train[rows], people, *tests, first)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6 * expected.max())


def test_some_hundred_rows_in_place() -> None:
    train, labels, *tests = problem(0, 400, [4] * 75)
    expected, actual = by_both_ways(train, labels, *tests, np.arange(len(train)))
    np.testing.assert_allclose(actual, expected, rtol=1e-10)
    rows = np.concatenate([np.arange(len(train)), np.arange(0, len(train), 5)])
    first = np.concatenate([np.arange(len(train)), np.arange(0, len(train), 5)])
    expected, actual = by_both_ways(train[rows], labels[rows], *tests, first)
    np.testing.assert_allclose(actual, expected, rtol=1e-8)


class Rows(list):
    """Images that are their features."""

    def select(self, part):
        return SimpleNamespace(features=lambda extractor: np.array(self[part], np.float32))


def test_equal_rows_are_found(monkeypatch) -> None:
    monkeypatch.setattr(nfst, "BLOCK", 2)
    assert first_of_equal(Rows([[1, 2], [3, 4], [1, 2], [3, 5], [3, 4]]), None).tolist() == [0, 1, 0, 3, 1]
