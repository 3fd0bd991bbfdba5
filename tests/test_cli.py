"""The command line from end to end on a small synthetic set."""

import copy
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.engine.identity import depends_of
from bench.engine.store import Store
from tests.cells import cell, failure, fill, record
from tests.conftest import ROOT

SMALL = "synthetic[identities=24]"


@pytest.fixture
def store(bench, tmp_path):
    """A store with two methods on two splits; returns its folder."""
    arguments = (
        "run",
        "-m",
        "bicubic+xqda",
        "-m",
        "bicubic+nfst",
        "-d",
        SMALL,
        "--splits",
        "0-1",
        "--jobs",
        1,
        "--results",
        tmp_path,
    )
    first = bench(*arguments)
    assert (first.code, first.err) == (0, "")
    assert "4 cells: 0 finished before, 4 to run" in first.out
    return tmp_path


def test_run_again_computes_nothing(bench, store) -> None:
    before = {path: path.read_bytes() for path in store.rglob("split*.json")}
    output = bench(
        "run", "-m", "bicubic+xqda", "-m", "bicubic+nfst", "-d", SMALL, "--splits", "0-1", "--results", store
    )
    assert "4 cells: 4 finished before, 0 to run" in output.out
    assert "| bicubic+xqda |" in output.out, "the table is printed all the same"
    assert {path: path.read_bytes() for path in store.rglob("split*.json")} == before


def test_force_computes_again_and_gives_the_same_numbers(bench, store) -> None:
    before = bench("table", "2", "-d", SMALL, "--results", store).out
    output = bench(
        "run", "-m", "bicubic+xqda", "-d", SMALL, "--splits", "0", "--force", "--results", store, "--jobs", 1
    )
    assert "1 to run" in output.out
    assert bench("table", "2", "-d", SMALL, "--results", store).out == before


def test_dry_run_estimates_and_changes_nothing(bench, store) -> None:
    arguments = ("run", "-m", "bicubic+xqda", "-d", SMALL, "--splits", "0-5", "--dry-run", "--results", store)
    output = bench(*arguments)
    lines = [line for line in output.out.splitlines() if line.startswith("would run")]
    assert lines == [f"would run bicubic+xqda on {SMALL}, schedule paper, splits 2-5: 4"], "one for each row"
    assert "from earlier cells" in output.out
    assert len(list(store.rglob("split*.json"))) == 4


def test_dry_run_gives_no_estimate_where_there_is_nothing_to_go_by(bench, tmp_path) -> None:
    arguments = ("run", "-m", "bicubic+xqda", "-d", SMALL, "--splits", "0-1", "--dry-run", "--results", tmp_path)
    assert bench(*arguments).out.splitlines()[-1].startswith("2 cells are of a kind never run before: no estimate")


def test_a_result_says_what_produced_it(store) -> None:
    content = json.loads(next(store.glob("*/bicubic+xqda/split0*.json")).read_text())
    cell, record = content["cell"], content["record"]
    assert (cell["method"], cell["dataset"], cell["weights"]) == ("bicubic+xqda", SMALL, [])
    assert len(cell["data"]) == 64
    assert cell["depends"] == depends_of("bicubic+xqda", SMALL)
    assert record["protocol"] == "single-shot, all probes, expected CMC under ties"
    counts = ("train_people", "test_people", "probes", "gallery_images", "gallery_draws")
    assert [record["sizes"][count] for count in counts] == [12, 12, 12, 12, 1]
    assert len(record["cmc"]) == 12
    assert record["cmc"][-1] == pytest.approx(1)
    assert len(record["probe_ranks"]) == 12
    assert (record["fusion"], record["contract"]) == ("identity", True)
    assert {"fit_seconds", "match_seconds", "total_seconds", "peak_memory_mib"} <= set(record["cost"])
    assert record["computed"]["threads"] == 1
    assert {"python", "numpy", "scipy"} <= set(record["computed"]["libraries"])


@pytest.fixture
def stale_store(store) -> Path:
    """The store, with split 0 of bicubic+xqda of an older version of xqda."""
    kept = Store(store)
    (result,) = [r for r in kept.read_all()[0] if (r.cell.method, r.cell.split) == ("bicubic+xqda", 0)]
    depends = copy.deepcopy(dict(result.cell.depends))
    depends["method"]["version"] = 0
    kept.remove(result)
    kept.put(replace(result.cell, depends=depends), result.finished, {})
    return store


ROW = ("-d", SMALL, "--splits", "0-1", "--jobs", 1)
WHY = "version of xqda 0, now 1"


def test_a_stale_cell_of_a_method_given_by_name_is_run_again(bench, stale_store) -> None:
    run = ("run", "-m", "bicubic+xqda", *ROW, "--results", stale_store)
    kept = bench(*run, "--keep").out.splitlines()
    assert kept[0] == f"1 cell is stale and kept ({WHY}); --force runs them again"
    assert kept[1] == "2 cells: 1 finished before, 0 to run"
    again = bench(*run).out.splitlines()
    assert again[0] == f"1 stale cell of bicubic+xqda to run again: {WHY}"
    assert again[1] == "2 cells: 1 finished before, 1 to run"
    assert bench(*run).out.splitlines()[0] == "2 cells: 2 finished before, 0 to run"
    assert len(list(stale_store.glob("*/bicubic+xqda/split0*.json"))) == 1, "the stale one has gone"


@pytest.mark.parametrize("chosen", [("-m", "*+xqda"), ()])
def test_stale_cells_of_methods_not_given_by_name_are_kept(bench, stale_store, chosen) -> None:
    first = bench("run", *chosen, *ROW, "--results", stale_store, "--dry-run").out.splitlines()[0]
    assert first == f"1 cell is stale and kept ({WHY}); --force runs them again"
    forced = bench("run", "-m", "*bic*+xqda", *ROW, "--results", stale_store, "--force", "--dry-run").out
    assert forced.splitlines()[0] == f"1 stale cell of bicubic+xqda to run again: {WHY}"


def test_status_json(bench, store) -> None:
    rows = json.loads(bench("status", "--json", "--results", store).out)["cells"]
    assert {row["method"]: row["finished"] for row in rows} == {"bicubic+nfst": [0, 1], "bicubic+xqda": [0, 1]}


class TestOwnResults:
    """Cells go to the user's own store, are read with those that come with bench, and can be adopted."""

    @pytest.fixture
    def folders(self, tmp_path, monkeypatch) -> tuple[Path, Path]:
        own, measured = tmp_path / "results" / "local", tmp_path / "results" / "measured"
        measured.mkdir(parents=True)
        monkeypatch.setenv("BENCH_RESULTS", str(own))
        for module in ("bench.cli.stores", "bench.engine.store"):
            monkeypatch.setattr(f"{module}.MEASURED", measured)
        return own, measured

    def test_a_cell_that_bench_brings_is_not_run_again(self, bench, folders) -> None:
        own, measured = folders
        row = ("run", "-m", "bicubic+xqda", "-d", SMALL, "--jobs", 1)
        assert bench(*row, "--splits", "0", "--results", measured).code == 0
        output = bench(*row, "--splits", "0-1")
        assert "2 cells: 1 finished before, 1 to run" in output.out
        assert [len(list(folder.glob("*/*/split*"))) for folder in (measured, own)] == [1, 1]
        (shown,) = json.loads(bench("status", "--json").out)["cells"]
        assert (shown["finished"], shown["own"]) == ([0, 1], [1])

    def test_adopt(self, bench, folders) -> None:
        own, measured = folders
        assert bench("run", "-m", "bicubic+xqda", "-m", "bicubic+nfst", *ROW).code == 0
        before = {p.relative_to(own): p.read_bytes() for p in own.glob("*/bicubic+xqda/split*.json")}
        assert len(before) == 2
        output = bench("adopt", "-m", "bicubic+xqda", "--splits", "0-1")
        assert (output.code, output.err) == (0, "")
        assert {p.relative_to(measured): p.read_bytes() for p in measured.glob("*/*/split*.json")} == before
        assert not list(own.glob("*/bicubic+xqda/split*"))
        assert Store(measured).distances(Store(measured).read_all()[0][0].cell) is not None

    def test_what_is_not_adopted(self, bench, folders) -> None:
        own, measured = folders
        store = fill(own, "bicubic+xqda", SMALL, [0.5] * 7, contract=False)
        store.put(cell("bicubic+nfst", SMALL, depends={"harness": {"sigma": "0.5"}}), record([0.5], contract=True), {})
        store.put_failure(cell("bicubic+l2", SMALL), failure("it broke"))
        store.put(cell("bicubic+gone", SMALL), record([0.5], contract=True), {})
        assert bench("adopt").code == 2, "never everything by accident"
        output = bench("adopt", "-d", SMALL)
        assert output.code == 1
        assert "0 cells adopted" in output.out
        for why in ("had not passed the contract", "is stale", "it failed", "its plug-in is not there"):
            assert output.err.count(why) == 1, why
        assert output.err.count("\n") == 4, "a line for each reason"
        assert f"7 cells: bicubic+xqda {SMALL} split 0, " in output.err
        assert f"bicubic+xqda {SMALL} split 4 and 2 more" in output.err
        assert len(list(own.glob("*/*/split*"))) == 10
        assert not list(measured.rglob("*.json"))


def test_failures_that_say_nothing_any_more_are_cleaned(bench, tmp_path) -> None:
    store = fill(tmp_path, "bicubic+xqda", SMALL, [0.5])
    older = cell("bicubic+xqda", SMALL, depends={"harness": {"sigma": "0.5"}})
    store.put_failure(older, failure("an older version broke"))
    store.put_failure(cell("bicubic+gone", SMALL), failure("its file was deleted since"))
    store.put_failure(cell("bicubic+nfst", SMALL), failure("broken still"))
    output = bench("status", "--clean", "--results", tmp_path)
    assert output.code == 0
    assert [path.parent.name for path in tmp_path.rglob("*.failed.json")] == ["bicubic+nfst"]
    assert "broken still" in output.out
    assert "its plug-in is gone" in output.err
    assert "the cell has finished since" in output.err
    assert len(list(tmp_path.rglob("split*.json"))) == 2


def test_compare(bench, store) -> None:
    output = bench("compare", "bicubic+xqda", "bicubic+nfst", "-d", SMALL, "--results", store, "--json")
    comparison = json.loads(output.out)
    assert comparison["splits"] == [0, 1]
    rank1 = comparison["ranks"][0]
    assert rank1["difference"] == pytest.approx(rank1["a"] - rank1["b"])
    assert rank1["p"] in (0.5, 1.0), "two splits have four sign patterns"
    same = bench("compare", "bicubic+xqda", "bicubic+xqda", "-d", SMALL, "--results", store).out
    assert same.count("= +0.00") == 3, "a gallery of 12 people has no rank 20"


def test_table_output_writes_every_format(bench, store, tmp_path) -> None:
    folder = tmp_path / "out"
    bench("table", "2", "-d", SMALL, "--results", store, "--output", folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        f"table2.{suffix}" for suffix in ("csv", "html", "json", "md", "tex")
    ]


@pytest.mark.parametrize("what", ["methods", "datasets", "tables"])
def test_list(bench, what) -> None:
    names = [row["name"] for row in json.loads(bench("list", what, "--json").out)]
    assert names
    assert all(name in bench("list", what).out for name in names)


def test_doctor_needs_no_data(bench, tmp_path) -> None:
    drawn = "synthetic[identities=24]"
    findings = json.loads(bench("doctor", drawn, "viper", "--json", "--results", tmp_path).out)
    assert findings["datasets"][drawn]["ready"]
    assert "BENCH_DATA" in findings["datasets"]["viper"]["reason"]


@pytest.mark.parametrize(
    "arguments", [["list", "methods"], ["list", "datasets"], ["list", "tables"], ["--help"], ["run", "-h"]]
)
def test_list_and_help_import_no_numerical_library(arguments) -> None:
    code = f"""
import sys
from bench.cli import main
try:
    main({arguments})
except SystemExit:
    pass
print([m for m in ("torch", "sklearn", "numpy", "scipy", "pandas") if m in sys.modules])
"""
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


@pytest.mark.data
def test_doctor_counts_real_data(data_root, bench, tmp_path) -> None:
    output = bench("doctor", "viper", "caviar", "--data", data_root, "--json", "--results", tmp_path)
    found = json.loads(output.out)["datasets"]
    counts = {name: [found[name][k] for k in ("images", "identities", "probe_images")] for name in ("viper", "caviar")}
    assert counts == {"viper": [1264, 632, 632], "caviar": [1000, 50, 500]}
