"""Examples in Python on pages beside the README: each runs as it is printed, on the results that come with bench."""

import re

import numpy as np
import pytest

from bench.engine.store import MEASURED
from bench.report.content import EXTRAS
from bench.report.published import find_table
from bench.report.tables import make_table
from bench.report.tidy import as_json, rows
from tests.cells import fill
from tests.conftest import ROOT

PAGE = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run an example in a folder of its own, without a screen; what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")

    def call(code: str) -> str:
        exec(compile(code, "example", "exec"), {})
        return capsys.readouterr().out

    return call


@pytest.mark.skipif(not MEASURED.is_dir(), reason="without the results of the clone")
class TestFrame:
    def test_there_are_four(self) -> None:
        assert len(EXAMPLES) == 4

    def test_a_table_of_ones_own(self, run) -> None:
        lines = run(EXAMPLES[0]).splitlines()
        assert any("caviar" in line and "mlr_viper" in line for line in lines)
        assert sum("bicubic+xqda" in line for line in lines) == 1

    def test_a_plot(self, run, tmp_path) -> None:
        pytest.importorskip("matplotlib")
        run(EXAMPLES[1])
        assert (tmp_path / "cmc.pdf").read_bytes().startswith(b"%PDF")

    def test_a_paired_test(self, run) -> None:
        found = re.fullmatch(r"([+-]\d+\.\d) points over 10 splits, p = (0\.\d{3})\n", run(EXAMPLES[2]))
        assert found
        assert float(found[2]) < 0.05

    def test_a_figure(self, run, tmp_path) -> None:
        run(EXAMPLES[3])
        assert {path.name for path in tmp_path.iterdir()} == {"cmc.pdf", "closer.pdf"}


def test_features_are_read_as_the_page_says(run, tmp_path) -> None:
    page = (ROOT / "methods" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    np.savez(tmp_path / "lomo.npz", features=np.zeros((2, 3), np.float32), names=np.array(["a", "b"]))
    assert run(code + "print(features.shape, *names)\n") == "(2, 3) a b\n"


def test_the_fields_of_the_json_are_those_of_the_page(tmp_path) -> None:
    store = fill(tmp_path, "bicubic+xqda", "caviar", [0.5])
    made = make_table(find_table("2"), store.read_all()[0], columns=tuple(EXTRAS))
    written = {name for line in PAGE.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line)}
    assert set(next(rows(made))) - set(EXTRAS) <= written
    (top,) = re.findall(r"is an object of the fields (.*?)\. A row of it", PAGE, re.DOTALL)
    assert set(re.findall(r'^ "(\w+)"', as_json(made), re.MULTILINE)) <= set(re.findall(r"`(\w+)`", top))
