"""CMC and average precision on matrices small enough to check by eye, and against naive enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.protocol import scoring as cmc

PEOPLE = np.arange(5)


def curve(distances, probe=PEOPLE, gallery=PEOPLE) -> np.ndarray:
    distances = np.asarray(distances, float)
    return cmc.cmc(*cmc.match_positions(distances, np.asarray(probe), np.asarray(gallery)), distances.shape[1])


def precision(distances, probe=PEOPLE, gallery=PEOPLE) -> np.ndarray:
    return cmc.average_precision(*cmc.match_positions(np.asarray(distances, float), probe, gallery))


def ranks_over_orders(row: list[int], match: int) -> list[int]:
    """The match's rank in every order of the gallery that sorts the distances, by trying all permutations."""
    orders = [
        o for o in itertools.permutations(range(len(row))) if all(row[a] <= row[b] for a, b in itertools.pairwise(o))
    ]
    return [1 + order.index(match) for order in orders]


# Row: probe, column: gallery, the match on the diagonal; beside each row the rank of its match.
BY_EYE = [
    [1, 2, 3, 4, 5],  # 1
    [1, 2, 3, 4, 5],  # 2
    [1, 2, 3, 4, 5],  # 3
    [9, 8, 7, 6, 5],  # 2
    [0, 0, 0, 0, 1],  # 5
]
TIED = [
    [0, 0, 1, 1, 1],  # 1 or 2
    [0, 0, 1, 1, 1],  # 1 or 2
    [0, 1, 2, 3, 4],  # 3
    [0, 1, 1, 1, 1],  # 2, 3, 4 or 5
    [7, 7, 7, 7, 7],  # 1, 2, 3, 4 or 5
]


def test_by_eye() -> None:
    np.testing.assert_allclose(curve(BY_EYE), [0.2, 0.6, 0.8, 0.8, 1.0])
    np.testing.assert_allclose(precision(BY_EYE), [1, 1 / 2, 1 / 3, 1 / 2, 1 / 5])


def test_ties_by_eye() -> None:
    expected = [
        (1 / 2 + 1 / 2 + 0 + 0 + 1 / 5) / 5,
        (1 + 1 + 0 + 1 / 4 + 2 / 5) / 5,
        (1 + 1 + 1 + 2 / 4 + 3 / 5) / 5,
        (1 + 1 + 1 + 3 / 4 + 4 / 5) / 5,
        1.0,
    ]
    np.testing.assert_allclose(curve(TIED), expected)
    first, ties = cmc.match_positions(np.array(TIED, float), PEOPLE, PEOPLE)
    assert first.tolist() == [1, 1, 3, 2, 1]
    assert ties.tolist() == [2, 2, 1, 4, 5]
    np.testing.assert_allclose(cmc.expected_rank(first, ties), [1.5, 1.5, 3, 3.5, 3])


def test_a_perfect_and_an_inverted_matcher() -> None:
    assert curve(1 - np.eye(5)).tolist() == [1] * 5
    assert curve(np.eye(5)).tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_constant_distance_scores_k_of_g(size: int) -> None:
    people = np.arange(size)
    np.testing.assert_allclose(curve(np.zeros((size, size)), people, people), np.arange(1, size + 1) / size)


def test_several_probes_of_a_person_and_a_shuffled_gallery() -> None:
    distances = [[3, 1, 2], [1, 3, 2], [2, 1, 3]]  # matches: column 1, 1, 0
    np.testing.assert_allclose(curve(distances, [4, 4, 9], [9, 4, 6]), [1 / 3, 2 / 3, 1.0])


matrices = st.integers(1, 5).flatmap(
    lambda g: st.lists(st.lists(st.integers(0, 3), min_size=g, max_size=g), min_size=1, max_size=5)
)


@settings(deadline=None, max_examples=60)
@given(matrices, st.randoms(use_true_random=False))
def test_equals_the_mean_over_all_orders_of_tied_galleries(rows, random) -> None:
    probe = np.array([random.randrange(len(rows[0])) for _ in rows])
    gallery = np.arange(len(rows[0]))
    ranks = [ranks_over_orders(row, match) for row, match in zip(rows, probe, strict=True)]
    expected = [np.mean([np.mean([r <= k for r in some]) for some in ranks]) for k in range(1, len(gallery) + 1)]
    np.testing.assert_allclose(curve(rows, probe, gallery), expected)
    np.testing.assert_allclose(precision(rows, probe, gallery), [np.mean([1 / r for r in some]) for some in ranks])
    first, ties = cmc.match_positions(np.array(rows, float), probe, gallery)
    np.testing.assert_allclose(cmc.expected_rank(first, ties), [np.mean(some) for some in ranks])


@settings(deadline=None, max_examples=60)
@given(matrices, st.integers(0, 2**32 - 1))
def test_invariants(rows, seed) -> None:
    rng = np.random.default_rng(seed)
    distances = np.array(rows, float)
    gallery = rng.permutation(distances.shape[1])
    probe = rng.integers(distances.shape[1], size=len(distances))
    expected = curve(distances, probe, gallery)
    assert (np.diff(expected) >= -1e-12).all(), "more ranks never find less"
    assert expected[-1] == pytest.approx(1), "the whole gallery holds the match"

    p, g = rng.permutation(len(probe)), rng.permutation(len(gallery))
    np.testing.assert_allclose(curve(distances[p][:, g], probe[p], gallery[g]), expected)
    np.testing.assert_allclose(
        precision(distances[p][:, g], probe[p], gallery[g]), precision(distances, probe, gallery)[p]
    )
    for increasing in (lambda d: 3 * d - 7, np.exp, np.cbrt):
        np.testing.assert_allclose(curve(increasing(distances), probe, gallery), expected)
    own_scale = distances * rng.uniform(0.1, 10, (len(probe), 1))
    np.testing.assert_allclose(curve(own_scale, probe, gallery), expected)


@pytest.mark.parametrize("gallery", [[0, 1, 2, 3], [0, 1, 2, 3, 4, 4]], ids=["no match", "two matches"])
def test_a_gallery_that_is_not_single_shot(gallery) -> None:
    with pytest.raises(BenchError, match=r"one image of each probe's person; not so for \[4\]"):
        curve(np.zeros((5, len(gallery))), PEOPLE, gallery)


# Row: probe, column: gallery image; two images of each of five people, side by side; by eye, the nearest of each.
SHOTS = np.repeat(PEOPLE, 2)
TWO_SHOTS = [
    [5, 1, 2, 9, 3, 9, 9, 4, 6, 5],  # 1 2 3 4 5: rank 1
    [1, 8, 2, 3, 3, 3, 4, 4, 5, 5],  # 1 2 3 4 5: rank 2
    [1, 9, 9, 2, 9, 3, 9, 4, 5, 9],  # 1 2 3 4 5: rank 3
    [2, 9, 9, 9, 9, 9, 9, 1, 9, 9],  # 2 9 9 1 9: rank 1
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 0],  # 0 0 0 0 0: rank 1 to 5
]


def test_the_nearest_of_a_persons_images_by_eye() -> None:
    nearest, people = cmc.nearest_shots(np.array(TWO_SHOTS, float), SHOTS)
    assert people.tolist() == PEOPLE.tolist()
    assert nearest.tolist() == [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [2, 9, 9, 1, 9], [0] * 5]
    score = cmc.Trial(PEOPLE, SHOTS, [np.arange(10)]).score(np.array(TWO_SHOTS, float))
    np.testing.assert_allclose(score.cmc, [2.2 / 5, 3.4 / 5, 4.6 / 5, 4.8 / 5, 1])
    assert score.probe_ranks.tolist() == [1, 2, 3, 1, 3]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_nearest_images_equal_a_plain_loop(seed) -> None:
    rng = np.random.default_rng(seed)
    gallery = np.sort(rng.integers(0, 6, 12))
    distances = rng.integers(0, 9, (4, 12)).astype(float)
    nearest, people = cmc.nearest_shots(distances, gallery)
    assert people.tolist() == sorted(set(gallery.tolist()))
    for p, row in enumerate(distances):
        for person, found in zip(people, nearest[p], strict=True):
            assert found == min(d for d, g in zip(row, gallery, strict=True) if g == person)


@pytest.mark.parametrize(
    ("distances", "gallery", "expected"),
    [
        ([[3, 1, 2, 0, 4]], PEOPLE, [[3, 1, 2]]),
        ([[1, 0, 1, 0, 1]], PEOPLE, [[1, 3, 0]]),
        ([[5, 1, 2, 9, 3, 9, 9, 4, 6, 5]], SHOTS, [[1, 2, 4]]),
        ([[0, 0, 0, 0, 0, 0, 0, 0, 1, 0]], SHOTS, [[0, 2, 4]]),
        ([[1, 0]], PEOPLE[:2], [[1, 0]]),
    ],
    ids=["by distance", "ties in the gallery's order", "one image a person", "ties of one person", "a small gallery"],
)
def test_nearest_images_by_eye(distances, gallery, expected) -> None:
    assert cmc.nearest_images(np.array(distances, float), gallery, 3).tolist() == expected


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_the_list_is_that_of_the_first_gallery_drawn(seed) -> None:
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, 5, (3, 10)).astype(float)
    draws = [rng.permutation(10)[np.argsort(rng.permutation(10))] for _ in range(2)]  # rows in no order
    listed = cmc.Trial(PEOPLE[:3], SHOTS, [rows[:7] for rows in draws]).nearest(distances)
    for row, found in zip(distances, listed, strict=True):
        by_person: dict[int, tuple[float, int]] = {}
        for column in draws[0][:7]:
            place = (row[column], column)
            by_person[SHOTS[column]] = min(by_person.get(SHOTS[column], place), place)
        nearest = sorted(by_person.items(), key=lambda item: (item[1][0], item[0]))
        assert found.tolist() == [column for _, (_, column) in nearest]
