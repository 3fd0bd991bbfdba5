"""`bench export`: every cell and rank in one file, the same table as `bench.results`."""

import sys

import pandas as pd
import pytest

import bench
from bench.report import export
from bench.report.frame import FRAME_COLUMNS
from tests.cells import cell, fill, record
from tests.test_bad_input import one_line

XQDA = "bicubic+xqda"


@pytest.fixture
def call(request):
    """The command line, under a name that leaves `bench` to the package."""
    return request.getfixturevalue("bench")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Three cells of 25 ranks, of which two are written at a time, and one of two ranks."""
    monkeypatch.setattr(export, "CELLS", 2)
    store = fill(tmp_path / "cells", XQDA, "caviar", [1 / 3, 0.4, 0.5], profile="paper")
    store.put(cell("sing", "caviar", seed=7), record([0], cmc=(0.5, 1.0), cost={"total_seconds": 1.0}), {})
    return store


def read(path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values={"memory_mib": "", "value": ""}, dtype={"weights": str})


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_table_is_that_of_results(call, store, tmp_path, form) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"all.{form}"
    output = call("export", "-o", path, "--results", store.folder)
    assert (output.code, output.out) == (0, "")
    assert output.err == f"wrote {path}: 4 cells, 62 rows\n"
    found = read(path) if form == "csv" else pd.read_parquet(path)
    pd.testing.assert_frame_equal(found, bench.results(stores=[store.folder], ranks=None), check_dtype=False, rtol=1e-9)
    assert [found[name].dtype.kind for name in ("split", "value", "seed", "stale")] == ["i", "f", "i", "b"]


def test_chosen_ranks_and_a_format_beside_the_name(call, store, tmp_path) -> None:
    path = tmp_path / "all.txt"
    assert call("export", "-o", path, "--format", "csv", "--ranks", "5,1", "--results", store.folder).code == 0
    found = read(path)
    assert found["rank"].tolist() == [1, 5] * 4
    assert found["value"].isna().tolist() == [*[False] * 7, True], "the last gallery has two people"


def test_a_store_without_cells_gives_the_columns(call, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    path = tmp_path / "all.csv"
    assert call("export", "-o", path, "--results", tmp_path / "empty").code == 0
    assert path.read_text() == ",".join(FRAME_COLUMNS) + "\n"


def test_formulas_and_signs_that_cannot_be_seen_are_text(call, tmp_path) -> None:
    store = fill(tmp_path / "cells", "=1+1\n", "caviar", [0.5])
    path = tmp_path / "all.csv"
    assert call("export", "-o", path, "--ranks", "1", "--results", store.folder).code == 0
    assert read(path)["method"].tolist() == ["'=1+1\\n"]


class TestFaults:
    def test_of_the_file(self, call, store, tmp_path) -> None:
        where = ("--results", store.folder)
        one_line(call("export", "-o", tmp_path / "all.xlsx", *where), 2, "--format csv or parquet")
        one_line(call("export", "-o", tmp_path, "--format", "csv", *where), 2, "is a folder")
        (tmp_path / "file").write_text("")
        one_line(call("export", "-o", tmp_path / "file" / "all.csv", *where), 1, "cannot write")
        for ranks in ("0", "1,x", ""):
            one_line(call("export", "-o", tmp_path / "all.csv", "--ranks", ranks, *where), 2, "--ranks")

    def test_parquet_without_its_library(self, call, store, tmp_path, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        output = call("export", "-o", tmp_path / "all.parquet", "--results", store.folder)
        one_line(output, 2, "pip install pyarrow", "--format csv")
        assert list(tmp_path.iterdir()) == [store.folder]

    def test_an_unreadable_cell_is_named_and_costs_no_other(self, call, store, tmp_path) -> None:
        next(store.files()).write_text("{")
        output = call("export", "-o", tmp_path / "all.csv", "--results", store.folder)
        assert output.code == 1
        assert "3 cells" in output.err
        assert "is not a readable result" in output.err
