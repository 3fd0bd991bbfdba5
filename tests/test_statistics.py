"""Intervals, the sign-flip test and tolerances, against scipy, enumeration and numbers worked by hand."""

import itertools
from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.errors import UsageError
from bench.protocol.statistics import confidence_interval, paired, tolerance
from bench.report.compare import as_text, compare
from tests.cells import cell, fill, record

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


class TestCompare:
    def test_a_hand_filled_store(self, tmp_path) -> None:
        fill(tmp_path, "a", "toy", [0.50, 0.40, 0.60, 0.90])
        store = fill(tmp_path, "b", "toy", [0.40, 0.40, 0.30])
        found = compare(store.read_all()[0], "a", "b", "toy", 0)
        assert found["splits"] == [0, 1, 2]
        assert [row["rank"] for row in found["ranks"]] == [1, 5, 10, 20]
        for row in found["ranks"]:
            low, high = stats.t.interval(0.95, 2, 40 / 3, stats.sem([10, 0, 30]))
            assert row["a"] == pytest.approx(50)
            assert row["b"] == pytest.approx(110 / 3)
            assert row["difference"] == pytest.approx(40 / 3)
            assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))
            assert (row["p"], row["exact"]) == (0.5, True), "++-, with the 0 either way: 4 of 8"
        lines = as_text(found).splitlines()
        assert lines[0] == "a minus b on toy, paired over 3 splits, percent points"
        assert lines[1].startswith("rank  1:  50.0 -  36.7 = +13.33  (95 % CI ")
        assert lines[1].endswith("exact sign-flip p = 0.5000)")

    def test_ranks_and_a_small_gallery(self, tmp_path) -> None:
        """Galleries of 5: beyond rank 5 every match is found."""
        store = fill(tmp_path, "b", "toy", [])
        for name, curve in (("a", [0.2, 0.4, 0.6, 0.8, 1.0]), ("b", [0.1, 0.2, 0.3, 0.4, 1.0])):
            store.put(cell(name, "toy"), {**record(curve), "cmc": curve}, {})
        found = compare(store.read_all()[0], "a", "b", "toy", 0)
        assert [row["difference"] for row in found["ranks"]] == pytest.approx([10, 0, 0, 0])
        assert found["ranks"][0]["ci_low"] is None
        assert "one split, no interval" in as_text(found)

    def test_schedules_are_not_mixed(self, tmp_path) -> None:
        """Of a more splits are quick, of b more are paper: paired is the split that both have of one schedule."""
        fill(tmp_path, "a", "toy", [0.5, 0.4, 0.6], "quick")
        fill(tmp_path, "b", "toy", [0.3], "quick")
        store = fill(tmp_path, "b", "toy", [0.9, 0.9])
        found = compare(store.read_all()[0], "a", "b", "toy", 0)
        assert (found["profile_a"], found["profile_b"], found["splits"]) == ("quick", "quick", [0])
        assert found["ranks"][0]["difference"] == pytest.approx(20)
        assert as_text(found).startswith("a (quick) minus b (quick) on toy, paired over 1 split, percent points\n")

    def test_a_schedule_can_be_asked_for(self, tmp_path) -> None:
        for name, value in (("a", 0.8), ("b", 0.7)):
            fill(tmp_path, name, "toy", [0.5, 0.5], "quick")
            store = fill(tmp_path, name, "toy", [value])
        assert compare(store.read_all()[0], "a", "b", "toy", 0)["splits"] == [0, 1]
        found = compare(store.read_all()[0], "a", "b", "toy", 0, "paper")
        assert found["ranks"][0]["difference"] == pytest.approx(10)
        with pytest.raises(UsageError, match="no finished cell on toy of a of profile smoke: there is paper, quick"):
            compare(store.read_all()[0], "a", "b", "toy", 0, "smoke")

    def test_a_method_without_schedule_goes_with_any(self, tmp_path) -> None:
        fill(tmp_path, "a", "toy", [0.5])
        fill(tmp_path, "a", "toy", [0.5, 0.4], "quick")
        store = fill(tmp_path, "bicubic+xqda", "toy", [0.3, 0.3])
        found = compare(store.read_all()[0], "a", "bicubic+xqda", "toy", 0)
        assert (found["profile_a"], found["profile_b"], found["splits"]) == ("quick", "paper", [0, 1])
        assert as_text(found).startswith("a (quick) minus bicubic+xqda on toy, ")

    def test_versions_of_the_data_are_not_mixed(self, tmp_path) -> None:
        store = fill(tmp_path, "a", "toy", [0.5])
        store.put(cell("b", "toy", data="e" * 64), record([0.5]), {})
        with pytest.raises(UsageError, match="a and b have no finished split of toy in common"):
            compare(store.read_all()[0], "a", "b", "toy", 0)

    def test_what_cannot_be_compared(self, tmp_path) -> None:
        store = fill(tmp_path, "first", "toy", [0.5])
        store.put(cell("second", "toy", 7), record([0.5]), {})
        with pytest.raises(UsageError, match="first and second have no finished split of toy in common"):
            compare(store.read_all()[0], "first", "second", "toy", 0)
        with pytest.raises(UsageError, match="no finished cell on toy of 'secnd': did you mean 'second'"):
            compare(store.read_all()[0], "first", "secnd", "toy", 0)
        with pytest.raises(UsageError, match="no measured data set 'toys': did you mean 'toy'"):
            compare(store.read_all()[0], "first", "second", "toys", 0)
