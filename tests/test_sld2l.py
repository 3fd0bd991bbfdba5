"""SLD2L: an objective that never increases, its blocks against general solvers, cases worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.preprocessing import normalize

from methods import _dictionaries
from methods._dictionaries import (
    BATCH,
    Dictionaries,
    Problem,
    Terms,
    code,
    fit_clusters,
    fit_dictionaries,
    improve_dictionary,
    nuclear_norm,
    restore,
    shrink_singular_values,
)
from methods._gram import Whitening, principal_coordinates
from methods.sld2l import spread
from tests.golden_data import side

SMALL = Terms(atoms=5)


@pytest.fixture(autouse=True)
def twelve_iterations(monkeypatch) -> None:
    monkeypatch.setattr(_dictionaries, "ITERATIONS", 12)
    monkeypatch.setattr(_dictionaries, "TOLERANCE", 0)


def problem(seed, people=5, images=2, dimension=8):
    """High-resolution rows, their copies and genuine low-resolution rows of the same people: x, y, pair, labels."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, dimension))
    labels = np.repeat(np.arange(people), images)
    x = normalize(centres[labels] + 0.4 * random.normal(size=(len(labels), dimension)))
    copies = normalize(x + 0.2 * random.normal(size=x.shape))
    genuine = normalize(centres[labels] + 0.6 * random.normal(size=x.shape))
    pair = np.concatenate([np.arange(len(x)), np.full(len(x), -1)])
    return x, np.concatenate([copies, genuine]), pair, labels, np.concatenate([labels, labels])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from(
        [
            {},
            {"low_rank": 0.0},
            {"low_rank": 3.0},
            {"mapping": False},
            {"separation": 0.99, "discriminant": 5.0},
            {"separation": 0.0},
            {"sparsity": 0.5},
            {"coupling": 10.0},
            {"ridge": 1e-3},
            {"atoms": 20},
        ]
    ),
)
def test_the_objective_never_increases_and_stays_above_0(seed, changes) -> None:
    objective = fit_dictionaries(*problem(seed), replace(SMALL, **changes)).objective
    assert np.all(np.diff(objective) <= 1e-9 * objective[0])
    assert objective[-1] >= 0


@pytest.mark.parametrize("seed", range(3))
def test_no_block_increases_the_objective(seed) -> None:
    """Each variable's update is put back alone into the state before the step's end."""
    p = Problem(*problem(seed), SMALL)
    for _ in range(4):
        names = ("x_codes", "y_codes", "mapping", "high", "low", "centres")
        before = {name: getattr(p, name).copy() for name in names}
        value = p.objective()
        p.step()
        after = {name: getattr(p, name) for name in names}
        for name in names:
            setattr(p, name, before[name])
        for name in names:
            setattr(p, name, after[name])
            now = p.objective()
            assert now <= value + 1e-10, name
            value = now


def test_it_converges(monkeypatch) -> None:
    monkeypatch.setattr(_dictionaries, "ITERATIONS", 3000)
    monkeypatch.setattr(_dictionaries, "TOLERANCE", 1e-7)
    objective = fit_dictionaries(*problem(1), SMALL).objective
    assert len(objective) < 3000
    assert objective[-2] - objective[-1] < 1e-7 * objective[-2]


def test_objective_by_loops() -> None:
    x, y, pair, x_labels, y_labels = problem(2)
    w = SMALL
    p = Problem(x, y, pair, x_labels, y_labels, w)
    p.step()
    a, b, d_x, d_y, big_w, m = p.x_codes, p.y_codes, p.high, p.low, p.mapping, p.centres
    copies, genuine = (pair >= 0).sum(), (pair < 0).sum()
    value = 0.0
    for i in range(len(x)):
        value += np.square(x[i] - a[i] @ d_x).sum() / len(x)
        value += w.discriminant * np.square(a[i] - m[x_labels[i]]).sum() / len(x)
        value += (w.sparsity * np.abs(a[i]).sum() + w.ridge * np.square(a[i]).sum()) / len(x)
    for j in range(len(y)):
        value += np.square(y[j] - b[j] @ d_y).sum() / len(y)
        value += (w.sparsity * np.abs(b[j]).sum() + w.ridge * np.square(b[j]).sum()) / len(y)
        if pair[j] >= 0:
            value += w.coupling * np.square(b[j] @ big_w - a[pair[j]]).sum() / copies
        else:
            value += w.discriminant * np.square(b[j] @ big_w - m[y_labels[j]]).sum() / genuine
    push = w.separation * w.ridge / (w.discriminant + w.ridge)
    middle = sum(m[label] for label in x_labels) / len(x)
    value -= w.discriminant * push * sum(np.square(m[label] - middle).sum() for label in x_labels) / len(x)
    value += w.mapping_ridge * np.square(big_w).sum() / 5
    for d in (d_x, d_y):
        value += (w.ridge * np.square(d).sum() + w.low_rank * np.linalg.svd(d, compute_uv=False).sum()) / 5
    assert p.objective() == pytest.approx(value, rel=1e-12)


def test_centres_and_mapping_are_minimisers() -> None:
    """A general optimiser, started elsewhere, finds nothing lower."""
    p = Problem(*problem(3), replace(SMALL, separation=0.9, discriminant=2.0))
    p.step()
    for name in ("centres", "mapping"):
        if name == "mapping":
            targets, pulled = p.targets(), p.y_codes * (p.pull / len(p.y))[:, None]
            left = p.y_codes.T @ pulled + p.terms.mapping_ridge / 5 * np.eye(5)
            p.mapping = np.linalg.solve(left, pulled.T @ targets)
        best, value = getattr(p, name).copy(), p.objective()

        def at(flat, name=name, shape=best.shape):
            setattr(p, name, flat.reshape(shape))
            return p.objective()

        found = minimize(at, np.zeros(best.size), method="BFGS", options={"gtol": 1e-8})
        assert value <= found.fun + 1e-9
        np.testing.assert_allclose(found.x.reshape(best.shape), best, atol=1e-3)
        setattr(p, name, best)


def test_codes_of_an_orthonormal_dictionary_are_soft_thresholded_projections() -> None:
    """In closed form: sign(r D') max(|r D'| - sparsity / 2, 0) / (1 + ridge)."""
    random = np.random.default_rng(4)
    dictionary = np.linalg.qr(random.normal(size=(6, 6)))[0][:3]
    rows = random.normal(size=(7, 6))
    w = Terms(sparsity=0.5, ridge=0.3)
    projected = rows @ dictionary.T
    expected = np.sign(projected) * np.maximum(np.abs(projected) - 0.25, 0) / 1.3
    np.testing.assert_allclose(code(rows, dictionary, w), expected, atol=1e-12)


def test_a_row_s_code_is_its_own_whatever_batch_it_comes_in() -> None:
    random = np.random.default_rng(5)
    dictionary, rows = random.normal(size=(4, 6)), random.normal(size=(BATCH + 3, 6))
    whole = code(rows, dictionary, Terms())
    np.testing.assert_allclose(code(rows[-5:], dictionary, Terms()), whole[-5:], atol=1e-12)


def test_shrunk_singular_values_by_decomposition() -> None:
    matrix = np.random.default_rng(6).normal(size=(4, 9))
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    for amount in (0.0, values[2], 1.0, 100.0):
        expected = (left * np.maximum(values - amount, 0)) @ right
        np.testing.assert_allclose(shrink_singular_values(matrix, amount), expected, atol=1e-9)
    assert nuclear_norm(matrix) == pytest.approx(values.sum())


def test_a_strong_low_rank_term_lowers_the_rank(monkeypatch) -> None:
    monkeypatch.setattr(_dictionaries, "ITERATIONS", 40)
    ranks = [
        np.linalg.matrix_rank(fit_dictionaries(*problem(7), replace(SMALL, low_rank=weight)).high)
        for weight in (0.0, 3.0)
    ]
    assert ranks[0] == 5
    assert ranks[1] < 5


def test_dictionary_steps_lower_their_own_part() -> None:
    random = np.random.default_rng(8)
    codes, rows, dictionary = random.normal(size=(20, 4)), random.normal(size=(20, 7)), random.normal(size=(4, 7))
    w = Terms(low_rank=0.5)

    def value(d):
        penalty = w.ridge * np.square(d).sum() + w.low_rank * np.linalg.norm(d, "nuc")
        return np.square(rows - codes @ d).sum() / 20 + penalty / 4

    before = value(dictionary)
    for _ in range(5):
        dictionary = improve_dictionary(dictionary, codes, rows, w)
        assert value(dictionary) <= before
        before = value(dictionary)


def test_restoring_takes_the_dictionaries_that_rebuild_a_row_best() -> None:
    """Two clusters, each of one atom: a low axis that stands for another high axis."""
    w = Terms(sparsity=0, ridge=1e-6)
    axes = np.eye(4)
    found = [Dictionaries(axes[[2]], axes[[0]], np.eye(1), []), Dictionaries(axes[[3]], axes[[1]], np.eye(1), [])]
    low = np.array([[1.0, 0.1, 0, 0], [0.1, 1.0, 0, 0]])
    np.testing.assert_allclose(restore(low, found, w), axes[[2, 3]], atol=1e-12)


@pytest.mark.parametrize("clusters", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_neither_the_order_of_images_nor_the_names_of_people_matter(seed, clusters) -> None:
    x, y, pair, x_labels, y_labels = problem(seed, people=6)
    low = normalize(np.random.default_rng(seed).normal(size=(4, 8)))
    random = np.random.default_rng(seed + 1)
    rows, columns, names = random.permutation(len(x)), random.permutation(len(y)), random.permutation(50)[:6]
    place = np.append(np.argsort(rows), -1)  # where a row of x went; -1 stays -1
    plain = fit_clusters(x, y, pair, x_labels, y_labels, SMALL, clusters)
    moved = fit_clusters(
        x[rows], y[columns], place[pair[columns]], names[x_labels[rows]], names[y_labels[columns]], SMALL, clusters
    )
    np.testing.assert_allclose(restore(low, moved, SMALL), restore(low, plain, SMALL), atol=1e-8)


def test_whitened_rows_are_unit_and_depend_on_inner_products_alone() -> None:
    random = np.random.default_rng(9)
    train, new = random.normal(size=(10, 5)), random.normal(size=(3, 5))
    turn = np.linalg.qr(random.normal(size=(5, 5)))[0]
    whitening = Whitening(principal_coordinates(train @ train.T), 1.0, np.arange(10))
    rows = whitening(new @ train.T)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
    np.testing.assert_allclose(
        Whitening(principal_coordinates(train @ train.T), 1.0, np.arange(10))((new @ turn) @ (train @ turn).T), rows
    )


def test_rows_of_the_basis_are_spread_over_the_people() -> None:
    images = side([3, 1], range(4), (16, 8), "a")
    assert spread(images, 8) is images
    few = spread(images, 4)
    assert sorted(few.identity) == [1, 1, 3, 3]
    assert len({image.tobytes() for image in few.native}) == 4
