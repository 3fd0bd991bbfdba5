"""`bench.results`: stored cells as a frame."""

import pandas as pd
import pytest

import bench
from bench.engine.identity import depends_of
from bench.errors import UsageError
from bench.report.frame import FRAME_COLUMNS, published_results
from tests.cells import cell, fill, record

XQDA = "bicubic+xqda"


def test_one_row_for_each_cell_and_rank(tmp_path) -> None:
    fill(tmp_path / "measured", XQDA, "caviar", [0.2, 0.4])
    frame = bench.results(stores=[tmp_path / "measured"])
    assert list(frame.columns) == list(FRAME_COLUMNS)
    assert list(zip(frame["split"], frame["rank"], frame["value"], strict=True)) == [
        (split, rank, value) for split, value in ((0, 20.0), (1, 40.0)) for rank in (1, 5, 10, 20)
    ]
    assert set(frame["map"]) == {50.0}
    assert set(frame["memory_mib"]) == {100.0}
    assert frame["row"].nunique() == 1
    assert frame["fingerprint"].nunique() == 2
    assert not frame["stale"].any()
    assert set(frame["store"]) == {"measured"}
    assert frame["contract"].all()


def test_choices(tmp_path) -> None:
    fill(tmp_path, XQDA, "caviar", [0.2])
    fill(tmp_path, "bicubic+nfst", "caviar", [0.2])
    fill(tmp_path, "sing", "mlr_viper", [0.2], profile="quick")
    every = bench.results(stores=[tmp_path])
    assert len(every) == 12
    assert set(bench.results("bicubic+*", stores=[tmp_path])["method"]) == {XQDA, "bicubic+nfst"}
    assert len(bench.results(dataset="caviar", ranks=[1], stores=[tmp_path])) == 2
    assert set(bench.results(profile="quick", stores=[tmp_path])["dataset"]) == {"mlr_viper"}
    assert bench.results(seed=1, stores=[tmp_path]).empty
    with pytest.raises(UsageError, match="no method 'sling': did you mean 'sing'"):
        bench.results("sling", stores=[tmp_path])
    with pytest.raises(UsageError, match="ranks begin at 1"):
        bench.results(ranks=[0], stores=[tmp_path])
    with pytest.raises(UsageError, match="no folder of results"):
        bench.results(stores=[tmp_path / "none"])


def test_beyond_a_small_gallery_and_without_costs(tmp_path) -> None:
    store = fill(tmp_path, XQDA, "caviar", [])
    store.put(cell(XQDA, "caviar"), record([0], cmc=(0.5, 1.0), cost={"total_seconds": 1.0}), {})
    frame = bench.results(ranks=[1, 2, 30], stores=[tmp_path])
    assert list(frame["value"])[:2] == [50, 100]
    assert frame["value"].isna().tolist() == [False, False, True]
    assert frame["memory_mib"].isna().all()


def test_stale_cells_and_the_first_store_that_has_a_cell(tmp_path) -> None:
    now = dict(depends_of(XQDA, "caviar"))
    fill(tmp_path / "measured", XQDA, "caviar", [0.2], depends={**now, "method": {**now["method"], "version": 0}})
    fill(tmp_path / "local", XQDA, "caviar", [0.3])
    frame = bench.results(ranks=[1], stores=[tmp_path / "measured", tmp_path / "local"])
    assert dict(zip(frame["store"], frame["stale"], strict=True)) == {"measured": True, "local": False}
    assert frame["row"].nunique() == 2


def test_unreadable_files_are_named(tmp_path) -> None:
    store = fill(tmp_path, XQDA, "caviar", [0.2])
    next(store.files()).write_text("{")
    with pytest.warns(UserWarning, match="is not a readable result"):
        assert bench.results(stores=[tmp_path]).empty


def test_published_numbers() -> None:
    frame = published_results()
    assert isinstance(frame, pd.DataFrame)
    sing = frame[(frame.table == "2") & (frame.method == "sing") & (frame["rank"] == 1)].set_index("dataset")["value"]
    assert sing["caviar"] == 33.5
    assert set(frame[frame.shots == 2].dataset) == {"cuhk01[gallery_shots=2]"}
