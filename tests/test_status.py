"""What a store holds, said in lines."""

import subprocess
import sys

from bench.engine.identity import depends_of
from bench.plugin.registry import ROOT
from bench.report.status import as_text, summarise
from tests.cells import cell, failure, fill

XQDA = "bicubic+xqda"


def test_rows_of_finished_failed_and_stale_cells(tmp_path) -> None:
    now = dict(depends_of(XQDA, "caviar"))
    fill(
        tmp_path,
        "bicubic+l2",
        "caviar",
        [0.1] * 3,
        depends={**now, "method": {"name": "l2", "version": 0, "options": {}}},
    )
    store = fill(tmp_path, XQDA, "caviar", [0.2] * 10)
    store.put_failure(cell(XQDA, "caviar", 12), failure("ValueError: \x1b[31mno"))
    rows = summarise(store.read_all(failures=True)[0])
    assert [(r.method, r.finished, bool(r.stale), r.failed) for r in rows] == [
        ("bicubic+l2", [0, 1, 2], True, {}),
        (XQDA, list(range(10)), False, {12: "ValueError: \x1b[31mno"}),
    ]
    lines = as_text(rows).splitlines()
    assert lines[0].startswith("caviar  bicubic+l2  seed 0  paper: splits 0-2, stale (")
    assert lines[1:] == [
        f"caviar  {XQDA}  seed 0  paper: splits 0-9, failed 12",
        r"    split 12: ValueError: \x1b[31mno",
    ]


def test_cells_of_other_weights_and_data_are_rows_of_their_own(tmp_path) -> None:
    for weights in ("a", "b"):
        store = fill(tmp_path, "bicubic+dgd", "caviar", [0.2], weights=(weights * 64,))
    store = fill(tmp_path, XQDA, "caviar", [0.2])
    fill(tmp_path, XQDA, "caviar", [0.2], data="e" * 64)
    lines = sorted(as_text(summarise(store.read_all()[0])).splitlines())
    assert [line.rpartition(", ")[2] for line in lines] == [
        "weights aaaaaa",
        "weights bbbbbb",
        "data dddddd",
        "data eeeeee",
    ]


def test_an_empty_store() -> None:
    assert as_text(summarise([])).startswith("no cell yet")


def test_reading_imports_no_library_of_those_that_run(tmp_path) -> None:
    """Nor a plug-in; pandas and scipy only where their work is asked for."""
    fill(tmp_path, XQDA, "caviar", [0.2, 0.3])
    fill(tmp_path, "sing", "caviar", [0.2, 0.3], profile="quick")
    code = f"""
import sys
from pathlib import Path
from bench.engine.store import Store
from bench.report.compare import as_text, compare
from bench.report.published import find_table
from bench.report.render import render
from bench.report.status import summarise
from bench.report.tables import make_table

results, _ = Store(Path({str(tmp_path)!r})).read_all()
summarise(results)
render(make_table(find_table("2"), results), "markdown", True)
render(make_table(find_table("2"), results), "csv", True)
heavy = ("torch", "torchvision", "sklearn", "pandas", "scipy", "PIL", "pydantic", "h5py", "methods", "datasets")
print([name for name in heavy if name in sys.modules])
as_text(compare(results, "sing", "bicubic+xqda", "caviar", 0))
print([name for name in ("torch", "torchvision", "sklearn", "pandas", "methods", "datasets") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.split("\n")[:2], done.stderr) == (["[]", "[]"], "")
