"""XQDA on Gram matrices against the release's results, the literal implementation and cases worked by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from methods import _xqda_many, xqda
from methods.xqda import _left_singular_vectors, fit_xqda, mahalanobis
from tests.benchmarks import literal_metrics

SOLVERS = ("svd", "eigh")


def distances(gallery, probe, gallery_labels, probe_labels, probe_test, gallery_test, **parameters):
    """Fit and match from feature rows, through Gram matrices only."""
    rows = np.vstack([gallery, probe])
    coef, metric = fit_xqda(rows @ rows.T, gallery_labels, probe_labels, **parameters)
    return mahalanobis(probe_test @ rows.T @ coef, gallery_test @ rows.T @ coef, metric)


def literal_distances(gallery, probe, gallery_labels, probe_labels, probe_test, gallery_test, **parameters):
    projection, metric = literal_metrics.xqda(gallery, probe, gallery_labels, probe_labels, **parameters)
    return literal_metrics.xqda_distances(probe_test, gallery_test, projection, metric)


def close(actual, expected, relative=1e-9):
    return np.abs(actual - expected).max() <= relative * np.abs(expected).max()


def cmc(distances):
    """Share of rows whose diagonal entry is among the k least, for every k, by sorting."""
    rank = [list(np.argsort(row, kind="stable")).index(i) for i, row in enumerate(distances)]
    return np.cumsum(np.bincount(rank, minlength=len(distances))) / len(distances)


def problem(seed, dimension, gallery_counts, probe_counts):
    """Random rows of people seen gallery_counts[k] and probe_counts[k] times, and five test rows per view."""
    random = np.random.default_rng(seed)
    people = random.normal(size=(len(gallery_counts), dimension))
    gallery_labels, probe_labels = (np.repeat(np.arange(len(c)), c) for c in (gallery_counts, probe_counts))
    gallery, probe = (
        people[labels] + random.normal(size=dimension) + 0.5 * random.normal(size=(len(labels), dimension))
        for labels in (gallery_labels, probe_labels)
    )
    probe_test, gallery_test = random.normal(size=(2, 5, dimension))
    return gallery, probe, gallery_labels, probe_labels, probe_test, gallery_test


COUNTS = {
    "one image per view": ([1] * 8, [1] * 8),
    "several, unequal": ([1, 3, 2, 4, 1], [2, 2, 1, 3, 5]),
    "people seen by one view only": ([2, 0, 1, 3, 2], [1, 2, 2, 0, 2]),
}


@pytest.mark.data
@pytest.mark.parametrize("oracle", ["std300", "multi100"])
def test_equals_the_release(oracle_root: Path, oracle: str) -> None:
    with np.load(oracle_root / f"xqda_{oracle}.npz") as z:
        train = z["gal_train"], z["prob_train"], z["gal_labels"], z["prob_labels"]
        ours = distances(*train, z["prob_test"], z["gal_test"])
        assert close(ours, z["xqda_dist"].T)
        np.testing.assert_allclose(cmc(ours), z["xqda_cms"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(cmc(ours.T), z["xqda_cms_rev"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("dimension", [5, 12, 60])
def test_equals_the_literal_steps(dimension, counts) -> None:
    arguments = problem(dimension, dimension, *counts)
    assert close(distances(*arguments), literal_distances(*arguments))


@pytest.mark.parametrize("dimension", [4, 60])
def test_repeated_images_equal_the_literal_steps(dimension) -> None:
    gallery, probe, gallery_labels, probe_labels, *test = problem(3, dimension, [2, 2, 2], [2, 2, 2])
    gallery[1] = gallery[0]
    probe[4:] = gallery[4]
    arguments = gallery, probe, gallery_labels, probe_labels, *test
    assert close(distances(*arguments), literal_distances(*arguments))


@pytest.mark.parametrize("ridge", [1e-4, 0.1, 30])
def test_ridge(ridge) -> None:
    """The largest leaves no singular value above 1: the first direction is kept all the same."""
    arguments = problem(1, 40, [1, 2, 2, 1], [1, 1, 2, 3])
    assert close(distances(*arguments, ridge=ridge), literal_distances(*arguments, ridge=ridge))


@pytest.mark.parametrize("solver", SOLVERS)
def test_worked_by_hand(solver) -> None:
    """In one dimension: intra = (1 + 1) / 2 + ridge, extra = (11^2 + 9^2) / 2, M = 1 / intra - 1 / extra."""
    column = np.array([[0.0, 10.0, 1.0, 11.0]]).T
    coef, metric = fit_xqda(column @ column.T, np.array([7, 3]), np.array([7, 3]), ridge=1, solver=solver)
    probe, gallery = np.array([[3.0]]), np.array([[5.0], [3.0], [-1.0]])
    actual = mahalanobis(probe @ column.T @ coef, gallery @ column.T @ coef, metric)
    np.testing.assert_allclose(actual, (1 / 2 - 1 / 101) * np.array([[4.0, 0.0, 16.0]]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_ignores_what_varies_within_people(solver) -> None:
    """Two features tell people apart, a third one is loud and random: Euclidean distance fails where XQDA does not."""
    random = np.random.default_rng(0)
    place = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])
    people = np.tile(np.arange(4), 10)
    seen = [np.column_stack([place[people], 20 * random.normal(size=40)]) for _ in range(2)]
    test = [np.column_stack([place + 0.1, 20 * random.normal(size=4)]) for _ in range(2)]
    ranked = distances(*seen, people, people, *test, solver=solver).argmin(axis=1)
    euclidean = np.linalg.norm(test[0][:, None] - test[1], axis=2).argmin(axis=1)
    assert ranked.tolist() == [0, 1, 2, 3]
    assert euclidean.tolist() != [0, 1, 2, 3]


def test_eigh_solves_the_generalised_eigenproblem() -> None:
    """Directions of extra v = lambda intra v, found the other way: as eigenvectors of intra^-1 extra."""
    gallery, probe, gallery_labels, probe_labels, probe_test, gallery_test = problem(5, 9, [2, 1, 2, 3], [1, 2, 2, 1])
    differences = gallery[:, None] - probe
    same = gallery_labels[:, None] == probe_labels
    intra = np.cov(differences[same].T, bias=True) + np.outer(*[differences[same].mean(axis=0)] * 2) + 1e-3 * np.eye(9)
    extra = sum(np.outer(d, d) for d in differences[~same]) / (~same).sum()
    values, vectors = np.linalg.eig(np.linalg.solve(intra, extra))
    v = vectors[:, values > 1].real
    metric = v @ (np.linalg.inv(v.T @ intra @ v) - np.linalg.inv(v.T @ extra @ v)) @ v.T
    expected = [[(p - g) @ metric @ (p - g) for g in gallery_test] for p in probe_test]
    actual = distances(gallery, probe, gallery_labels, probe_labels, probe_test, gallery_test, solver="eigh")
    assert close(actual, np.array(expected))


def test_singular_values_that_nearly_tie_at_one() -> None:
    """Too near for eigenvalues of the squared matrix to tell them apart."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    extra = rotation * [1e5, 2, 1 + 1e-7, 1 - 1e-7, 0.1] @ rotation.T
    kept = _left_singular_vectors(np.eye(5), extra)
    np.testing.assert_allclose(kept @ kept.T, rotation[:, :3] @ rotation[:, :3].T, atol=1e-2)


def test_mahalanobis_is_the_quadratic_form() -> None:
    probe, gallery, metric = (
        np.array([[1.0, 2.0]]),
        np.array([[1.0, 2.0], [0.0, 2.0], [1.0, 0.0]]),
        np.diag([3.0, -1.0]),
    )
    np.testing.assert_array_equal(mahalanobis(probe, gallery, metric), [[0.0, 3.0, -4.0]])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimension=st.sampled_from([6, 30]),
    counts=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=2, max_size=6),
    solver=st.sampled_from(SOLVERS),
)
def test_invariances(seed, dimension, counts, solver) -> None:
    """Neither order nor names of people, neither rotation nor shift matters; swapping the views transposes."""
    gallery, probe, gallery_labels, probe_labels, probe_test, gallery_test = problem(
        seed, dimension, *zip(*counts, strict=True)
    )
    expected = distances(gallery, probe, gallery_labels, probe_labels, probe_test, gallery_test, solver=solver)
    random = np.random.default_rng(seed)

    i, j = random.permutation(len(gallery)), random.permutation(len(probe))
    name = random.permutation(100)
    reordered = distances(
        gallery[i], probe[j], name[gallery_labels[i]], name[probe_labels[j]], probe_test, gallery_test, solver=solver
    )
    assert close(reordered, expected, 1e-7)

    rotation, shift = np.linalg.qr(random.normal(size=(dimension, dimension)))[0], random.normal(size=dimension)
    moved = [x @ rotation + shift for x in (gallery, probe, probe_test, gallery_test)]
    assert close(distances(*moved[:2], gallery_labels, probe_labels, *moved[2:], solver=solver), expected, 1e-7)

    swapped = distances(probe, gallery, probe_labels, gallery_labels, gallery_test, probe_test, solver=solver)
    assert close(swapped.T, expected, 1e-7)


@pytest.mark.parametrize(
    ("gram", "gallery_labels", "probe_labels", "message"),
    [
        (np.eye(4), [0, 1], [2, 3], "share no identity"),
        (np.eye(4), [5, 5], [5, 5], "one identity"),
        (np.eye(3), [0, 1], [0, 1], "4 x 4"),
        (np.ones((4, 3)), [0, 1], [0, 1], "4 x 4"),
        (np.diag([1, np.nan, 1, 1]), [0, 1], [0, 1], "not finite"),
        (np.diag([1, np.inf, 1, 1]), [0, 1], [0, 1], "not finite"),
        (np.ones((4, 4)), [0, 1], [0, 1], "equal features"),
        (np.zeros((4, 4)), [0, 1], [0, 1], "equal features"),
    ],
)
def test_what_cannot_be_fitted(gram, gallery_labels, probe_labels, message) -> None:
    with pytest.raises(BenchError, match=message):
        fit_xqda(gram, gallery_labels, probe_labels)


def test_unknown_solver() -> None:
    with pytest.raises(BenchError, match="svd, eigh"):
        fit_xqda(np.eye(4), [0, 1], [0, 1], solver="qr")  # type: ignore[arg-type]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimension=st.sampled_from([3, 30, 90]),
    counts=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12),
    solver=st.sampled_from(SOLVERS),
    ridge=st.sampled_from([1e-3, 30]),
    block=st.sampled_from([1, 7, 512]),
    repeated=st.booleans(),
)
def test_the_way_for_many_rows_equals_the_other(seed, dimension, counts, solver, ridge, block, repeated) -> None:
    gallery, probe, *labels, probe_test, gallery_test = problem(
        seed, dimension, *zip((1, 1), (2, 1), *counts, strict=True)
    )
    if repeated:
        gallery[-1], probe[:2] = gallery[0], gallery[1]
    arguments = gallery, probe, *labels, probe_test, gallery_test
    expected = distances(*arguments, solver=solver, ridge=ridge)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xqda, "MANY", 0)
        patch.setattr(_xqda_many, "BLOCK", block)
        assert close(distances(*arguments, solver=solver, ridge=ridge), expected, 1e-7)


@pytest.mark.parametrize("solver", SOLVERS)
def test_some_hundred_rows_the_way_for_many(solver, monkeypatch) -> None:
    arguments = problem(2, 500, [3] * 60, [2] * 60)
    expected = distances(*arguments, solver=solver)
    monkeypatch.setattr(xqda, "MANY", 0)
    monkeypatch.setattr(_xqda_many, "BLOCK", 64)
    assert close(distances(*arguments, solver=solver), expected, 1e-9)
