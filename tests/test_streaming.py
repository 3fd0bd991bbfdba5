"""Scores of galleries that are looked through block by block, against the whole matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.protocol import streaming
from bench.protocol.blocks import cut
from bench.protocol.scoring import Trial
from bench.protocol.splits import gallery_draws
from bench.protocol.streaming import Side, score_stream


def sides(trial: Trial, positions, sizes) -> tuple[Side, Side]:
    probe, gallery = positions
    return (
        Side(trial.probe, probe, cut(probe, sizes[0])),
        Side(trial.gallery, gallery, cut(gallery, sizes[1], trial.gallery)),
    )


def plain(trial: Trial, sizes=(2, 2)) -> tuple[Side, Side]:
    return sides(trial, (np.arange(len(trial.probe)), np.arange(len(trial.gallery))), sizes)


def looked_up(matrix: np.ndarray):
    return lambda some, others: [("all", matrix[np.ix_(some.asked, others.asked)])]


def same(found, trial: Trial, matrix: np.ndarray) -> None:
    """To the last bit."""
    score, nearest = found
    expected = trial.score(matrix)
    assert score.cmc.tolist() == expected.cmc.tolist()
    assert score.mean_ap == expected.mean_ap
    assert score.probe_ranks.tolist() == expected.probe_ranks.tolist()
    assert score.probe_hits.tolist() == expected.probe_hits.tolist()
    assert nearest.tolist() == trial.nearest(matrix).tolist()


def test_by_eye() -> None:
    """Three probes, four people: ranks 1, 2 or 3 (a tie), and 4."""
    matrix = np.array([[0, 1, 2, 3], [1, 2, 2, 3], [1, 2, 9, 3]], float)
    trial = Trial(np.array([0, 1, 2]), np.arange(4), [np.arange(4)])
    score, nearest = score_stream(trial, *plain(trial), looked_up(matrix), "all")["all"]
    assert score.probe_ranks.tolist() == [1, 2.5, 4]
    assert score.cmc.tolist() == pytest.approx([1 / 3, (1 + 1 / 2) / 3, 2 / 3, 1])
    assert nearest.tolist() == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 3, 2]]


@st.composite
def cases(draw):
    """A trial with ties, images that stand for several, distractors, several galleries and shots, and its matrix."""
    people, further = draw(st.integers(2, 30)), draw(st.integers(0, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gallery = np.sort(np.concatenate([np.arange(people + further), rng.integers(0, people, draw(st.integers(0, 40)))]))
    probe = np.sort(rng.integers(0, people, draw(st.integers(1, 60))))
    trial = Trial(probe, gallery, gallery_draws(gallery, draw(st.integers(1, 3)), 0, 0, draw(st.integers(1, 3))))
    distinct = [draw(st.integers(1, len(side))) for side in (probe, gallery)]
    positions = [
        rng.permutation(np.concatenate([np.arange(n), rng.integers(0, n, len(side) - n)]))
        for n, side in zip(distinct, (probe, gallery), strict=True)
    ]
    kind = draw(st.sampled_from([np.float32, np.float64]))
    matrix = rng.integers(-3, draw(st.integers(1, 60)), distinct).astype(kind)
    return trial, positions, matrix, (draw(st.integers(1, 20)), draw(st.integers(1, 20)))


@given(cases(), st.sampled_from([1, 16, 10**6]), st.integers(1, 2))
@settings(max_examples=150, deadline=None)
def test_as_from_the_whole_matrix(case, many, threads) -> None:
    trial, positions, matrix, sizes = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "MANY", many)
        patch.setattr(streaming, "ROWS", 4)
        found = score_stream(trial, *sides(trial, positions, sizes), looked_up(matrix), "all", threads)
    same(found["all"], trial, matrix[np.ix_(*positions)])


@given(cases())
@settings(max_examples=50, deadline=None)
def test_images_are_in_one_part_each_and_people_are_not_parted(case) -> None:
    trial, (_, position), _, (size, _) = case
    parts = cut(position, size, trial.gallery)
    assert sorted(np.concatenate([part.shown for part in parts])) == list(range(len(position)))
    for part in parts:
        assert (part.asked[part.place] == position[part.shown]).all()
    seen = [set(trial.gallery[part.shown].tolist()) for part in parts]
    asked = [set(part.asked.tolist()) for part in parts]
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert sum(map(len, asked)) == len(set().union(*asked))


def test_a_small_side_is_one_part_in_its_own_order() -> None:
    (part,) = cut(np.array([2, 0, 1, 2]), 4, np.array([5, 6, 7, 8]))
    assert part.asked.tolist() == [0, 1, 2]
    assert part.shown.tolist() == [0, 1, 2, 3]
    assert part.place.tolist() == [2, 0, 1, 2]


def rounded_by_size(matrix: np.ndarray, wrong: float):
    """Blocks whose distances depend a little on how many images are asked about, as sums in another order do."""
    return lambda some, others: [("all", matrix[np.ix_(some.asked, others.asked)] + wrong * len(others.asked))]


@pytest.mark.parametrize("wrong", [1e-15, 0.1])
def test_the_block_of_the_match_decides(wrong) -> None:
    """A first look at a match may see another distance, by the last place or by more."""
    rng = np.random.default_rng(0)
    matrix = rng.random((9, 40))
    trial = Trial(np.arange(9), np.arange(40), [np.arange(40)])
    found = score_stream(trial, *plain(trial, (3, 8)), rounded_by_size(matrix, wrong), "all")
    same(found["all"], trial, matrix + wrong * 8)


def test_distances_that_change_when_asked_again_are_refused() -> None:
    rng = np.random.default_rng(0)
    trial = Trial(np.arange(3), np.arange(9), [np.arange(9)])
    with pytest.raises(BenchError, match="others when they were asked for again"):
        score_stream(trial, *plain(trial), lambda a, b: [("all", rng.random((len(a.asked), len(b.asked))))], "all")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_distances_that_are_not_finite_are_refused(bad) -> None:
    matrix = np.ones((3, 9))
    matrix[1, 7] = bad
    trial = Trial(np.arange(3), np.arange(9), [np.arange(9)])
    with pytest.raises(BenchError, match="NaN or infinite"):
        score_stream(trial, *plain(trial), looked_up(matrix), "all")


def test_large_finite_distances_are_not_refused() -> None:
    matrix = np.full((3, 9), 3e38, np.float32)
    matrix[[0, 1, 2], [0, 1, 2]] = 1e38
    trial = Trial(np.arange(3), np.arange(9), [np.arange(9)])
    same(score_stream(trial, *plain(trial), looked_up(matrix), "all")["all"], trial, matrix)


def test_a_probe_without_a_match_is_refused() -> None:
    trial = Trial(np.array([0, 7]), np.arange(3), [np.arange(3)])
    with pytest.raises(BenchError, match=r"no gallery image.*\[7\]"):
        score_stream(trial, *plain(trial), looked_up(np.ones((2, 3))), "all")
