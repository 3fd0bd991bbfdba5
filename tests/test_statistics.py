"""Intervals, the sign-flip test and tolerances, against scipy, enumeration and numbers worked by hand."""

import itertools
from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.protocol.statistics import T_975, confidence_interval, paired, paired_family, t_quantile, tolerance

numbers = st.lists(st.integers(-40, 40).map(lambda x: x / 4), min_size=1, max_size=9)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12), st.sampled_from([0.5, 0.9, 0.95]))
def test_interval_is_students(values, level) -> None:
    scale = stats.sem(values)
    expected = stats.t.interval(level, len(values) - 1, np.mean(values), scale) if scale else [np.mean(values)] * 2
    np.testing.assert_allclose(confidence_interval(values, level), expected, atol=1e-9)


def test_interval_by_hand() -> None:
    """2, 4, 6: mean 4, standard deviation 2, standard error 2 / sqrt 3, t(0.975, 2) = 4.302653."""
    assert confidence_interval([2, 4, 6]) == pytest.approx((4 - 4.302653 * 2 / sqrt(3), 4 + 4.302653 * 2 / sqrt(3)))


def test_quantiles() -> None:
    assert pytest.approx([stats.t.ppf(0.975, n) for n in range(1, len(T_975) + 1)]) == T_975
    assert t_quantile(29, 0.975) == pytest.approx(2.045230)
    assert t_quantile(9, 0.95) == pytest.approx(1.833113)


@pytest.mark.parametrize("values", [[], [3.0]])
def test_no_interval_of_fewer_than_two_values(values) -> None:
    assert all(isnan(v) for v in confidence_interval(values))


@settings(deadline=None, max_examples=60)
@given(numbers)
def test_sign_flips_by_enumeration(differences) -> None:
    """Quarters add up exactly, so that the naive comparison needs no care."""
    flips = itertools.product((1, -1), repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in flips]
    result = paired(differences)
    assert result.p == pytest.approx(sum(s >= abs(sum(differences)) for s in sums) / 2 ** len(differences))
    assert result.exact
    assert (result.n, result.mean) == (len(differences), pytest.approx(sum(differences) / len(differences)))
    np.testing.assert_equal((result.low, result.high), confidence_interval(differences))


@pytest.mark.parametrize("step", [0.1, 1 / 3, 2.0])
def test_a_constant_difference_over_ten_splits(step) -> None:
    """Only all signs as they are, and all turned, reach the observed mean: p = 2 / 1024, whatever rounding does."""
    assert paired([step] * 10).p == paired([-step] * 10).p == 2 / 1024


def test_no_difference_at_all() -> None:
    assert paired([0.0] * 10).p == 1
    assert paired([1.5, -1.5]).p == 1


@pytest.mark.parametrize("n", [2, 5, 10, 16])
def test_sign_flips_are_those_of_scipy(n) -> None:
    """On CMCs of 316 probes, where many sums are equal but for their rounding."""
    differences = 100 * np.random.default_rng(n).integers(-9, 12, n) / 316
    expected = stats.permutation_test(
        (differences,), lambda d, axis: np.mean(d, axis=axis).round(9), permutation_type="samples", vectorized=True,
        n_resamples=2**n,
    )  # fmt: skip
    assert paired(differences).p == pytest.approx(expected.pvalue, abs=1e-12)


def test_many_splits_are_sampled() -> None:
    result = paired([1.0] * 21)
    assert not result.exact
    assert 0 < result.p < 1e-3, "never exactly 0: the observed signs count"
    noise = np.random.default_rng(0).normal(size=30)
    assert paired(noise).p == pytest.approx(stats.ttest_1samp(noise, 0).pvalue, abs=0.02)
    assert paired(noise).p == paired(noise).p


class TestTolerance:
    def test_with_the_binomial_spread(self) -> None:
        """p = 0.36, 100 people: s = 100 sqrt(0.36 0.64 / 100) = 4.8; n = 10: 1.96 * 4.8 * sqrt(2 / 10)."""
        assert tolerance([36.0] * 10, 36.0, 100) == pytest.approx(1.96 * 4.8 * sqrt(0.2))

    def test_with_the_measured_spread(self) -> None:
        """20, 40, 60: s = 20, above 100 sqrt(0.5 0.5 / 400) = 2.5; n = 3: 1.96 * 20 * sqrt(1/3 + 1/10)."""
        assert tolerance([20, 40, 60], 50.0, 400) == pytest.approx(1.96 * 20 * sqrt(1 / 3 + 1 / 10))

    def test_of_one_split(self) -> None:
        assert tolerance([30.0], 50.0, 25) == pytest.approx(1.96 * 10 * sqrt(1.1))

    def test_at_the_ends(self) -> None:
        assert tolerance([100.0] * 10, 100.0, 25) == tolerance([0.0] * 10, 0.0, 25) == 0


class TestFamily:
    """Many paired comparisons at once."""

    def test_one_comparison_has_its_own_p(self) -> None:
        d = [1.0, 2.0, -0.5, 3.0, 1.5]
        assert paired_family(np.array([d])) == pytest.approx([paired(d).p])

    def test_a_literal_evaluation(self) -> None:
        d = np.array([[1.0, 2.0, 3.0, 2.5], [0.5, -1.0, 2.0, 0.1], [0.0, 0.0, 0.0, 0.0]])

        def clearness(row) -> float:
            return abs(np.mean(row)) / np.sqrt(np.mean(np.square(row))) if np.any(row) else 0.0

        patterns = list(itertools.product((1, -1), repeat=4))
        largest = [max(clearness(row * np.array(signs)) for row in d) for signs in patterns]
        expected = [np.mean([value >= clearness(row) - 1e-9 for value in largest]) for row in d]
        assert paired_family(d) == pytest.approx(expected)

    def test_a_comparison_said_twice_costs_nothing(self) -> None:
        d = np.random.default_rng(0).normal(1, 1, (3, 8))
        assert paired_family(np.vstack([d, d, -d]))[:3] == pytest.approx(paired_family(d))

    def test_more_comparisons_make_no_p_smaller(self) -> None:
        d = np.random.default_rng(0).normal(1, 1, (20, 8))
        assert (paired_family(d)[:5] >= paired_family(d[:5])).all()

    def test_many_splits_are_sampled(self) -> None:
        d = np.random.default_rng(0).normal(0.5, 1, (2, 40))
        assert paired_family(d) == pytest.approx(paired_family(d, seed=1), abs=0.02)
        assert paired_family(np.ones((1, 40))) == pytest.approx([1 / 9_999], abs=1e-6)
