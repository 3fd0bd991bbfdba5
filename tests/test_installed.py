"""A wheel of bench: everything inside the package, nothing called `datasets` beside it."""

import subprocess
import sys
import zipfile

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_a_wheel_holds_one_package_with_the_plugins_inside(tmp_path) -> None:
    pytest.importorskip("setuptools")
    copy = tmp_path / "copy"
    copy.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "x", "-C", copy], input=archive, check=True)
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=copy, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"bench", "bench_reid"}
    ours = {
        f"bench/_tree/{path.relative_to(ROOT)}"
        for room in ("methods", "datasets")
        for path in (ROOT / room).glob("*.py")
    }
    assert ours <= set(names)
    assert "bench/_tree/results/published/published.csv" in names
    weights = (path for path in (copy / "methods" / "weights").rglob("*") if path.is_file())
    assert {f"bench/_tree/{path.relative_to(copy)}" for path in weights} <= set(names)
    assert "bench/_tree/results/campaigns/gpu.campaign" in names
    page = {f"bench/{path.relative_to(ROOT / 'bench')}" for path in (ROOT / "bench" / "document" / "page").iterdir()}
    assert page <= set(names)
    packages = {f"bench/{path.relative_to(ROOT / 'bench')}" for path in (ROOT / "bench").rglob("*.py")}
    assert packages <= set(names), "every room of bench is named in pyproject.toml"
