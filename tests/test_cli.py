"""The command line from end to end on a small synthetic set."""

import json
import subprocess
import sys

import pytest

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
    assert output.out.count("would run bicubic+xqda") == 4
    assert "from earlier cells" in output.out
    assert len(list(store.rglob("split*.json"))) == 4


def test_dry_run_gives_no_estimate_where_there_is_nothing_to_go_by(bench, tmp_path) -> None:
    arguments = ("run", "-m", "bicubic+xqda", "-d", SMALL, "--splits", "0-1", "--dry-run", "--results", tmp_path)
    assert bench(*arguments).out.splitlines()[-1].startswith("2 cells are of a kind never run before: no estimate")


def test_a_result_says_what_produced_it(store) -> None:
    content = json.loads(next(store.glob("*/bicubic+xqda/split0*.json")).read_text())
    assert content["cell"]["method"] == "bicubic+xqda"
    assert content["cell"]["dataset"] == SMALL
    assert len(content["cell"]["data"]) == 64
    assert content["protocol"] == "single-shot, all probes, expected CMC under ties"
    assert content["sizes"] == {
        "train_people": 12, "test_people": 12, "probes": 12, "gallery_images": 12, "gallery_draws": 1,
    }  # fmt: skip
    assert len(content["cmc"]) == 12
    assert content["cmc"][-1] == pytest.approx(1)
    assert len(content["probe_ranks"]) == 12
    assert content["fusion"] == "identity"
    assert content["threads"] == 1
    assert {"fit_seconds", "match_seconds", "total_seconds", "peak_memory_mib"} <= set(content["cost"])
    assert {"python", "numpy", "scipy"} <= set(content["environment"]["versions"])
    assert len(content["code"]) == 16


def test_stale_cells_are_shown_and_kept(bench, store) -> None:
    path = next(store.glob("*/bicubic+xqda/split0*.json"))
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "code": "of an earlier version"}))
    assert "bicubic+xqda  seed 0  paper: splits 0-1, stale 0" in bench("status", "--results", store).out
    assert "1 of 4 cells are stale" in bench("table", "2", "-d", SMALL, "--results", store).out
    again = bench("run", "-m", "bicubic+xqda", "-d", SMALL, "--splits", "0-1", "--results", store)
    assert "2 finished before, 0 to run" in again.out


def test_status_json(bench, store) -> None:
    rows = json.loads(bench("status", "--json", "--results", store).out)["cells"]
    assert {row["method"]: row["finished"] for row in rows} == {"bicubic+nfst": [0, 1], "bicubic+xqda": [0, 1]}


def test_compare(bench, store) -> None:
    output = bench("compare", "bicubic+xqda", "bicubic+nfst", "-d", SMALL, "--results", store, "--json")
    comparison = json.loads(output.out)
    assert comparison["splits"] == [0, 1]
    rank1 = comparison["ranks"][0]
    assert rank1["difference"] == pytest.approx(rank1["a"] - rank1["b"])
    assert rank1["p"] in (0.5, 1.0), "two splits have four sign patterns"
    same = bench("compare", "bicubic+xqda", "bicubic+xqda", "-d", SMALL, "--results", store).out
    assert same.count("= +0.00") == 4


def test_table_output_writes_three_files(bench, store, tmp_path) -> None:
    folder = tmp_path / "out"
    bench("table", "2", "-d", SMALL, "--results", store, "--output", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["table2.csv", "table2.md", "table2.tex"]


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


@pytest.mark.parametrize("arguments", [["list", "methods"], ["list", "datasets"], ["list", "tables"], ["--help"]])
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
