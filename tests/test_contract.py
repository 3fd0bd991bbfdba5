"""One contract test over every registered plug-in."""

import ast
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bench.engine.contract import check_method
from bench.plugin.base import Dataset, FrontEnd, Method, Upscaling
from bench.plugin.registry import registry
from bench.plugin.spec import dataset_spec, method_names

KINDS = {"dataset": Dataset, "frontend": FrontEnd, "method": Method}
ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", method_names())
def test_method_keeps_the_contract(name: str) -> None:
    assert {clause: problem for clause, problem in check_method(name) if problem} == {}


@pytest.mark.parametrize("plugin", registry().plugins, ids=lambda p: f"{p.kind}-{p.name}")
def test_plugin_is_documented_and_of_its_kind(plugin) -> None:
    kind = plugin.load()
    assert issubclass(kind, KINDS[plugin.kind])
    assert len(plugin.summary) > 20, "the docstring's first line is its summary"
    assert kind().get_params() == {k: v for k, v in vars(kind()).items() if not k.startswith("_")}


@pytest.mark.parametrize("name", registry().names("frontend"))
def test_frontend_gives_uint8_images_of_the_size_asked_for(name: str) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((64, 24), (43, 16), (32, 12), (1, 1))]
    frontend = registry().get("frontend", name).load()()
    if frontend.ratio_dependent or frontend.learns:
        frontend.fit(Upscaling(images, (128, 48), Fraction(1, 3), profile="smoke"))
    out = frontend.upscale(images, (128, 48))
    assert out.shape == (4, 128, 48, 3)
    assert out.dtype == np.uint8
    alone = frontend.upscale(images[1:2], (128, 48))
    assert np.array_equal(out[1:2], alone), "an image's result must not depend on the others"


@pytest.mark.parametrize("name", registry().names("dataset"))
def test_dataset_says_how_to_get_it(name: str) -> None:
    plugin = registry().get("dataset", name)
    assert plugin.attributes.get("folder") is None or plugin.attributes.get("obtain")
    assert dataset_spec(name).text == name


@pytest.mark.parametrize("path", sorted((ROOT / "bench").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_bench_knows_no_method_or_dataset_by_name(path: Path) -> None:
    names = {p.name for p in registry().plugins if p.kind != "frontend"}
    strings = {n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)}
    assert not names & strings


def test_our_datasets_package_wins_over_an_installed_one(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("raise ImportError('the wrong datasets')")
    script = "import sys; from bench.plugin.registry import registry; print(registry().get('dataset', 'viper').load())"
    code = f"import sys; sys.path.append({str(tmp_path)!r}); {script}"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "datasets.viper.VIPeR" in found.stdout
