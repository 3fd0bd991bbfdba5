"""README is true: its method runs as printed, its commands exist, its figures are what the store holds."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from bench.cli import build_parser
from bench.engine.store import Result, Store
from bench.report.compare import compare
from tests.conftest import ROOT, bench_process

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
SETS = ("caviar", "mlr_viper")


def block(marker: str) -> str:
    """The fenced block that follows ``<!-- marker -->``."""
    return re.search(rf"<!-- {re.escape(marker)} -->\n```\w+\n(.*?)```", README, re.DOTALL)[1]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with README's method in it and nothing else changed."""
    folder = tmp_path_factory.mktemp("clone")
    for part in ("bench", "methods", "datasets", "results/published"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "methods" / "stripes.py").write_text(block("methods/stripes.py"))
    return folder


def call(folder: Path, *arguments: object) -> str:
    process = bench_process(*arguments, cwd=folder)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return out


def test_the_method_of_the_readme_is_listed_checked_run_and_printed(clone: Path) -> None:
    code = [line for line in block("methods/stripes.py").splitlines() if line.strip()]
    assert len(code) <= 25
    assert "bicubic+stripes" in call(clone, "list", "methods")
    assert "the contract holds" in call(clone, "check", "stripes")
    data = "synthetic[identities=24]"
    call(clone, "run", "-m", "*+stripes[bins=8]", "-d", data, "--splits", "0-1", "--jobs", 1)
    rows = [line for line in call(clone, "table", "2", "-d", data).splitlines() if "stripes[bins=8]" in line]
    assert [row.split("|")[1].strip() for row in rows if row.startswith("|")] == [
        "bicubic+stripes[bins=8]",
        "bilinear+stripes[bins=8]",
        "srcnn+stripes[bins=8]",
    ]


def test_commands_of_the_readme_parse() -> None:
    parser = build_parser()
    lines = [line.split("#")[0].strip() for line in README.splitlines() if line.startswith("python -m bench ")]
    assert len(lines) > 8
    for line in lines:
        parser.parse_args(shlex.split(line)[3:])


def test_results_of_the_readme_are_those_of_the_store(bench) -> None:
    """Every mean in README's result table is the one that `table 2` prints."""
    printed = bench("table", "2").out + bench("table", "full_resolution").out
    block = README.split("<!-- results -->")[1].split("Rows that fall")[0]
    rows = [line for line in block.splitlines() if line.startswith("| ")]
    numbers = [text for row in rows for text in re.findall(r"\d+\.\d ± \d+\.\d", row)]
    assert len(numbers) >= 10
    plain = printed.replace("**", "").replace("_", "")
    assert [n for n in numbers if n not in plain] == []


def rows_below(marker: str) -> list[list[str]]:
    """The cells of the table that follows ``<!-- marker -->`` in results/README.md, its heading left out."""
    table = RESULTS.split(f"<!-- {marker} -->\n")[1].split("\n\n")[0]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return Store(ROOT / "results" / "measured").read_all()[0]


def measured(results: list[Result], profile: str) -> dict[tuple[str, str, int], dict]:
    """(data set, method, split) -> the stored record of a schedule, rows of single anchors included."""
    records = {}
    for result in results:
        cell = result.cell
        if cell.profile != profile or cell.seed != 0:
            continue
        records[cell.dataset, cell.method, cell.split] = result.record
        for subset, scores in result.record.get("subsets", {}).items():
            records.setdefault((cell.dataset, f"{cell.method}[anchors={subset}]", cell.split), scores)
    return records


@pytest.fixture(scope="module")
def quick(results) -> dict[tuple[str, str, int], dict]:
    return measured(results, "quick")


@pytest.fixture(scope="module")
def paper(results) -> dict[tuple[str, str, int], dict]:
    return measured(results, "paper")


def test_fine_tuned_rows_are_those_of_the_store(quick) -> None:
    def percent(dataset: str, method: str) -> str:
        curves = [quick[dataset, method, split]["cmc"] for split in range(10)]
        return "/".join(f"{100 * np.mean([c[rank - 1] for c in curves]):.1f}" for rank in (1, 5, 10, 20))

    rows = rows_below("fine-tuned")
    assert len(rows) == 6
    for name, caviar, _, mlr_viper, _ in rows:
        method = name.split("`")[0]
        assert (method, caviar, mlr_viper) == (method, *(percent(dataset, method) for dataset in SETS))


@pytest.mark.parametrize("dataset", SETS)
def test_splits_of_fine_tuned_rows_are_those_of_the_store(quick, dataset) -> None:
    rows = rows_below(f"{dataset} by split")
    assert len(rows) == 9
    for method, *printed in rows:
        rank1 = [100 * quick[dataset, method, split]["cmc"][0] for split in range(10)]
        assert (method, printed) == (method, [f"{value:.1f}" for value in (*rank1, sum(rank1) / len(rank1))])


def differences(results: list[Result], first: str, second: str, dataset: str) -> list[str]:
    """At each rank `first` minus `second` on ten splits, as results/README.md prints it."""
    comparison = compare(results, first, second, dataset, 0)
    assert len(comparison["splits"]) == 10
    return [
        f"{r['difference']:+.1f} ({r['ci_low']:+.1f} to {r['ci_high']:+.1f}), p = {r['p']:.3f}"
        for r in comparison["ranks"]
    ]


@pytest.mark.parametrize("dataset", SETS)
def test_orderings_are_those_of_the_store(results, dataset) -> None:
    rows = rows_below(f"{dataset} orderings")
    assert len(rows) == 5
    for method, *printed in rows:
        assert (method, printed) == (method, differences(results, "sing", method, dataset))


def test_front_ends_are_those_of_the_store(results) -> None:
    rows = rows_below("front-ends")
    assert len(rows) == 4
    for name, *printed in rows:
        first, second, data = re.fullmatch(r"(\S+)` minus `(\S+)`, (\S+)", name).groups()
        dataset = dict(zip(("CAVIAR", "MLR-VIPeR"), SETS, strict=True))[data]
        assert (name, printed) == (name, differences(results, first, second, dataset))


def test_the_sweep_of_alpha_is_that_of_the_store(quick) -> None:
    methods = [f"sing[alpha={alpha},anchors=1/3]" for alpha in ("0.0", "0.5", "2.0")]
    methods.insert(2, "sing[anchors=1/3]")
    for (_, *printed), dataset in zip(rows_below("alpha"), SETS, strict=True):
        assert printed == [f"{100 * quick[dataset, method, 0]['cmc'][0]:.1f}" for method in methods]


FULL = (("in full", "mlr_viper", 6), ("in full, caviar", "caviar", 2))


@pytest.mark.parametrize(("marker", "dataset", "rows"), FULL)
def test_models_trained_in_full_are_those_of_the_store(quick, paper, marker, dataset, rows) -> None:
    cells = {"quick": quick, "paper": paper}
    ours = [(re.findall(r"[^ ,`]+", name), printed) for name, *printed in rows_below(marker) if "`, `" in name]
    assert len(ours) == rows
    for (method, profile), printed in ours:
        record = cells[profile][dataset, f"{method}[anchors=1/3]", 0]
        numbers = [*(record["cmc"][rank - 1] for rank in (1, 5, 10, 20)), record["map"]]
        assert printed == [f"{100 * number:.1f}" for number in numbers]


def test_people_that_one_model_trained_in_full_finds_alone(paper) -> None:
    found = {
        method: np.array(paper["mlr_viper", f"{method}[anchors=1/3]", 0]["probe_ranks"]).ravel()
        for method in ("sing", "srcnn+dgd", "bicubic+dgd")
    }

    def alone(method: str, rank: int) -> tuple[int, int, float]:
        sing, other = found["sing"] <= rank, found[method] <= rank
        only, without = int((sing & ~other).sum()), int((other & ~sing).sum())
        return only, without, round(binomtest(only, only + without).pvalue, 3)

    assert alone("srcnn+dgd", 1) == (21, 8, 0.024)
    assert alone("srcnn+dgd", 5) == (23, 7, 0.005)
    assert alone("bicubic+dgd", 1) == (22, 15, 0.324)
