"""Comparisons from stores filled by hand."""

import pytest
from scipy import stats

from bench.engine.identity import depends_of
from bench.errors import UsageError
from bench.report.compare import as_text, compare
from tests.cells import cell, fill, record


def test_a_hand_filled_store(tmp_path) -> None:
    fill(tmp_path, "a", "toy", [0.50, 0.40, 0.60, 0.90])
    store = fill(tmp_path, "b", "toy", [0.40, 0.40, 0.30])
    found = compare(store.read_all()[0], "a", "b", "toy", 0)
    assert found.splits == [0, 1, 2]
    assert [row.rank for row in found.ranks] == [1, 5, 10, 20]
    for row in found.ranks:
        low, high = stats.t.interval(0.95, 2, 40 / 3, stats.sem([10, 0, 30]))
        assert row.a == pytest.approx(50)
        assert row.b == pytest.approx(110 / 3)
        assert row.difference == pytest.approx(40 / 3)
        assert (row.ci_low, row.ci_high) == pytest.approx((low, high))
        assert (row.p, row.exact) == (0.5, True), "++-, with the 0 either way: 4 of 8"
    lines = as_text(found).splitlines()
    assert lines[0] == "a minus b on toy, paired over 3 splits, percent points"
    assert lines[1].startswith("rank  1:  50.0 -  36.7 = +13.33  (95 % CI ")
    assert lines[1].endswith("exact sign-flip p = 0.5000)")


def test_ranks_and_a_small_gallery(tmp_path) -> None:
    """Galleries of 5 have no ranks 10 and 20."""
    store = fill(tmp_path, "b", "toy", [])
    for name, curve in (("a", [0.2, 0.4, 0.6, 0.8, 1.0]), ("b", [0.1, 0.2, 0.3, 0.4, 1.0])):
        store.put(cell(name, "toy"), record(curve[:1], cmc=tuple(curve)), {})
    found = compare(store.read_all()[0], "a", "b", "toy", 0)
    assert [(row.rank, row.difference) for row in found.ranks] == [(1, pytest.approx(10)), (5, pytest.approx(0))]
    assert as_text(found).splitlines()[-1] == "rank 10, 20: not compared, the gallery has 5 people"
    assert found.ranks[0].ci_low is None
    assert "one split, no interval" in as_text(found)


def test_schedules_are_not_mixed(tmp_path) -> None:
    """Of a more splits are quick, of b more are paper: paired is the split that both have of one schedule."""
    fill(tmp_path, "a", "toy", [0.5, 0.4, 0.6], "quick")
    fill(tmp_path, "b", "toy", [0.3], "quick")
    store = fill(tmp_path, "b", "toy", [0.9, 0.9])
    found = compare(store.read_all()[0], "a", "b", "toy", 0)
    assert (found.profile_a, found.profile_b, found.splits) == ("quick", "quick", [0])
    assert found.ranks[0].difference == pytest.approx(20)
    assert as_text(found).startswith("a (quick) minus b (quick) on toy, paired over 1 split, percent points\n")


def test_a_schedule_can_be_asked_for(tmp_path) -> None:
    for name, value in (("a", 0.8), ("b", 0.7)):
        fill(tmp_path, name, "toy", [0.5, 0.5], "quick")
        store = fill(tmp_path, name, "toy", [value])
    assert compare(store.read_all()[0], "a", "b", "toy", 0).splits == [0, 1]
    found = compare(store.read_all()[0], "a", "b", "toy", 0, "paper")
    assert found.ranks[0].difference == pytest.approx(10)
    with pytest.raises(UsageError, match="no finished cell on toy of a of profile smoke: there is paper, quick"):
        compare(store.read_all()[0], "a", "b", "toy", 0, "smoke")


def test_a_method_without_schedule_goes_with_any(tmp_path) -> None:
    fill(tmp_path, "a", "toy", [0.5])
    fill(tmp_path, "a", "toy", [0.5, 0.4], "quick")
    store = fill(tmp_path, "bicubic+xqda", "toy", [0.3, 0.3])
    found = compare(store.read_all()[0], "a", "bicubic+xqda", "toy", 0)
    assert (found.profile_a, found.profile_b, found.splits) == ("quick", "paper", [0, 1])
    assert as_text(found).startswith("a (quick) minus bicubic+xqda on toy, ")


def test_versions_of_the_data_are_not_mixed(tmp_path) -> None:
    store = fill(tmp_path, "a", "toy", [0.5])
    store.put(cell("b", "toy", data="e" * 64), record([0.5]), {})
    with pytest.raises(UsageError, match="cells of a and b on toy are of different data"):
        compare(store.read_all()[0], "a", "b", "toy", 0)


def test_what_cannot_be_compared(tmp_path) -> None:
    store = fill(tmp_path, "first", "toy", [0.5])
    store.put(cell("second", "toy", 7), record([0.5]), {})
    with pytest.raises(UsageError, match="first and second have no finished split of toy in common"):
        compare(store.read_all()[0], "first", "second", "toy", 0)
    with pytest.raises(UsageError, match="no finished cell on toy of 'secnd': did you mean 'second'"):
        compare(store.read_all()[0], "first", "secnd", "toy", 0)
    with pytest.raises(UsageError, match="no data set 'toys': did you mean 'toy'"):
        compare(store.read_all()[0], "first", "second", "toys", 0)


def test_current_cells_are_compared_before_stale_ones(tmp_path) -> None:
    now = dict(depends_of("bicubic+xqda", "caviar"))
    before = {**now, "method": {**now["method"], "version": 0}}
    fill(tmp_path, "bicubic+xqda", "caviar", [0.9] * 3, depends=before)
    fill(tmp_path, "bicubic+xqda", "caviar", [0.5])
    store = fill(tmp_path, "bicubic+l2", "caviar", [0.4] * 3)
    found = compare(store.read_all()[0], "bicubic+xqda", "bicubic+l2", "caviar", 0)
    assert (found.splits, found.ranks[0].difference, found.notes) == ([0], pytest.approx(10), [])


def test_stale_cells_are_named(tmp_path) -> None:
    now = dict(depends_of("bicubic+xqda", "caviar"))
    fill(tmp_path, "bicubic+xqda", "caviar", [0.9], depends={**now, "method": {**now["method"], "version": 0}})
    found = compare(
        fill(tmp_path, "bicubic+l2", "caviar", [0.4]).read_all()[0], "bicubic+xqda", "bicubic+l2", "caviar", 0
    )
    assert as_text(found).endswith("bicubic+xqda is stale: version of xqda 0, now 1")


def test_other_versions_of_the_protocol_are_not_compared(tmp_path) -> None:
    now = dict(depends_of("bicubic+xqda", "caviar"))
    fill(tmp_path, "bicubic+xqda", "caviar", [0.9], depends={**now, "parts": {**now["parts"], "scoring": 0}})
    store = fill(tmp_path, "bicubic+l2", "caviar", [0.4])
    with pytest.raises(UsageError, match="are of different data or versions of the protocol"):
        compare(store.read_all()[0], "bicubic+xqda", "bicubic+l2", "caviar", 0)


def test_an_anchor_of_a_cell_can_be_compared(tmp_path) -> None:
    from bench.engine.record import Scores

    store = fill(tmp_path, "sing", "caviar", [0.4, 0.4], subsets={"1/2": Scores((0.3,) * 20, 0.3)})
    found = compare(store.read_all()[0], "sing", "sing[anchors=1/2]", "caviar", 0)
    assert found.ranks[0].difference == pytest.approx(10)
