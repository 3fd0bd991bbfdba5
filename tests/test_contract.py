"""One contract test over every registered plug-in."""

import ast
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bench.engine import contract
from bench.engine.cache import Cache
from bench.engine.contract import check_method, check_spec, runnable_spec
from bench.engine.identity import source_of
from bench.plugin.base import Dataset, FrontEnd, Method, Upscaling
from bench.plugin.registry import registry
from bench.plugin.spec import dataset_spec, method_names, method_spec
from tests.toys import Plain, spec

KINDS = {"dataset": Dataset, "frontend": FrontEnd, "method": Method}
ROOT = Path(__file__).resolve().parents[1]


# A bare name that is checked behind a front-end is that front-end's method.
@pytest.mark.parametrize("name", sorted({runnable_spec(name).text for name in method_names()}))
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


class Broken(Method):
    """Breaks a clause, by name."""

    name = "broken"
    input_size = (8, 4)

    def __init__(self, how: str = "") -> None:
        self.how = how

    def fit(self, train) -> Method:
        if self.how == "exit":
            sys.exit(0)
        return type(self)(self.how) if self.how == "another" else self

    def distances(self, probe, gallery) -> np.ndarray:
        if self.how == "raise":
            raise ValueError("no such image")
        if self.how == "random":
            return np.random.default_rng().random((len(probe), len(gallery)))
        d = np.abs(probe.array().mean(axis=(1, 2, 3))[:, None] - gallery.array().mean(axis=(1, 2, 3)))
        return d[:, :-1] if self.how == "shape" else d


def problems(how: str) -> list[str]:
    return [problem for _, problem in check_spec(spec(Broken, parameters={"how": how})) if problem]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("exit", "SystemExit: 0"),
        ("another", "fit must return self"),
        ("raise", "ValueError: no such image"),
        ("shape", "shape (12, 11)"),
    ],
)
def test_what_is_wrong_is_said_once_with_file_and_line(how: str, said: str) -> None:
    (problem,) = problems(how)
    assert said in problem
    assert re.fullmatch(r".* \(tests/test_contract\.py, line \d+\)", problem)


class PerImage:
    """Mean colours; in units of the batch's mean where `batch` is on."""

    def __init__(self, batch: bool) -> None:
        self.batch = batch

    def __repr__(self) -> str:
        return f"PerImage(batch={self.batch})"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        means = images.mean(axis=(1, 2)).astype(np.float32)
        return means / means.mean() if self.batch else means


class OnFeatures(Method):
    """Matches features that the harness keeps for all splits."""

    name = "on_features"
    input_size = (8, 4)

    def __init__(self, batch: bool = False) -> None:
        self.batch = batch

    def distances(self, probe, gallery) -> np.ndarray:
        p, g = (images.features(PerImage(self.batch)) for images in (probe, gallery))
        return np.abs(p[:, None] - g).sum(axis=2).astype(float)


class Stretched(Plain):
    """Stretches grey levels to the range of the batch."""

    name = "stretched"

    def upscale(self, images, size) -> np.ndarray:
        grey = super().upscale(images, size).astype(float)
        return (255 * (grey - grey.min()) / (grey.max() - grey.min())).astype(np.uint8)


@pytest.mark.parametrize("batch", [False, True])
def test_features_are_of_one_image(batch: bool) -> None:
    found = [problem for _, problem in check_spec(spec(OnFeatures, parameters={"batch": batch})) if problem]
    assert [p.partition(" among")[0] for p in found] == (["PerImage gives an image other features"] if batch else [])


def test_a_frontend_shows_each_image_by_itself() -> None:
    found = [problem for _, problem in check_spec(spec(OnFeatures, Stretched)) if problem]
    assert [p.partition(" among")[0] for p in found] == ["stretched.upscale gives an image otherwise"]


def test_a_pass_is_of_the_modules_that_a_method_imports_too(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", str(tmp_path))
    helper, other = tmp_path / "_helper.py", tmp_path / "_other.py"
    (tmp_path / "helped.py").write_text(
        "from bench import Method\nfrom ._helper import distances\n\nclass Helped(Method):\n"
        "    'Matched by a helper.'\n    name = 'helped'\n    def distances(self, probe, gallery):\n"
        "        return distances(probe, gallery)\n"
    )
    helper.write_text("from . import _deeper\n\ndef distances(probe, gallery):\n    return _deeper.distances()\n")
    (tmp_path / "_deeper.py").write_text("def distances(): ...\n")
    other.write_text("")
    helped = method_spec("bicubic+helped")

    def marks() -> tuple[Path, str]:
        source_of.cache_clear()
        return contract.mark(helped, Cache(tmp_path)), source_of("bicubic+helped")

    before = marks()
    other.write_text("import numpy\n")
    assert marks() == before, "it imports no such module"
    for path in (helper, tmp_path / "_deeper.py"):
        text = path.read_text()
        path.write_text(f"{text}\nFACTOR = 2\n")
        assert all(now != then for now, then in zip(marks(), before, strict=True))
        path.write_text(text)
    assert marks() == before


def test_random_distances_break_the_contract() -> None:
    assert any("two fits with one seed" in problem for problem in problems("random"))


def test_a_method_without_a_front_end_is_checked_behind_one(tmp_path) -> None:
    """As it runs on full resolution: what it keeps there is what it keeps here."""
    alone, cache = method_spec("l2"), Cache(tmp_path)
    assert contract.ensure(alone, cache) == []
    assert contract.passed(alone, cache)


def test_a_pass_is_remembered_until_the_method_changes(tmp_path, monkeypatch) -> None:
    cache, good, bad = Cache(tmp_path), spec(Broken), spec(Broken, parameters={"how": "shape"})
    assert not contract.passed(good, cache)
    assert contract.ensure(good, cache) == []
    assert contract.passed(good, cache)
    monkeypatch.setattr(contract, "check_spec", lambda spec: iter([("a clause", "broken")]))
    assert contract.ensure(good, cache) == [], "not checked again"
    changed = replace(good, method=replace(good.method, attributes={**good.method.attributes, "version": 2}))
    for other in (changed, replace(bad, text="plain+broken[how=shape]")):
        assert contract.ensure(other, cache) == ["broken"]
        assert not contract.passed(other, cache)
    monkeypatch.setattr(contract, "VERSION", 0)
    assert not contract.passed(good, cache), "it passed the contract in another form"
