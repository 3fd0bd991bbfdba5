"""Choosing from a grid on held-out training people, and descriptors at another scale."""

from fractions import Fraction

import numpy as np

from bench.protocol.resize import resize
from methods._scales import AtScale
from methods._selection import best_of, single_shot

PROBE, GALLERY = np.arange(9), np.repeat(np.arange(9), 2)


def test_the_entry_that_ranks_held_out_people_best_is_chosen() -> None:
    seen = []

    def distances(fit, held):
        seen.append((set(fit), set(held)))
        same = held[:, None] == np.repeat(held, 2)
        yield np.zeros(same.shape)  # knows nothing
        yield np.where(same, 0.0, 1.0)  # knows all
        yield np.where(same, 1.0, 0.0)  # is always wrong

    assert best_of(["nothing", "all", "wrong"], PROBE, GALLERY, 0, distances) == "all"
    assert len(seen) == 3
    assert all(not fit & held and fit | held == set(range(9)) for fit, held in seen)
    assert set.union(*(held for _, held in seen)) == set(range(9))


def test_the_first_of_equals_and_a_single_entry_untried() -> None:
    def equal(fit, held):
        yield from [np.zeros((len(held), 2 * len(held)))] * 2

    def never(fit, held):
        raise AssertionError("a grid of one entry needs no folds")

    assert best_of([7, 8], PROBE, GALLERY, 0, equal) == 7
    assert best_of([7], PROBE, GALLERY, 0, never) == 7
    assert best_of([7, 8], PROBE[:3], GALLERY[:6], 0, never) == 7


def test_one_fold_held_out_is_one_call() -> None:
    calls = []

    def distances(fit, held):
        calls.append(held)
        yield from [np.zeros((len(held), 2 * len(held)))] * 2

    best_of([1, 2], PROBE, GALLERY, 0, distances, folds_held_out=1)
    assert len(calls) == 1


def test_single_shot_by_hand() -> None:
    """Matches first, second and third of three: mean of 1, 1/2 and 1/3."""
    distances = np.array([[0.0, 1, 2], [0.0, 1, 2], [0.0, 1, 2]])
    assert np.isclose(single_shot(distances, np.arange(3), np.arange(3), 0), (1 + 1 / 2 + 1 / 3) / 3)


def test_at_scale_shows_the_extractor_the_shrunk_or_the_restored_image() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 30, 12, 3), dtype=np.uint8)

    def flat(array):
        return array.reshape(len(array), -1).astype(np.float32)

    small = np.stack([resize(image, (15, 6)) for image in images])
    restored = np.stack([resize(image, (30, 12)) for image in small])
    np.testing.assert_array_equal(AtScale(flat, Fraction(1, 2), restored=False)(images), flat(small))
    np.testing.assert_array_equal(AtScale(flat, Fraction(1, 2), restored=True)(images), flat(restored))
