"""Cells whose distances do not fit in memory: the same numbers, to the bit."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from bench.cli.parser import build_parser
from bench.engine import matching, pairs
from bench.engine.cache import Cache
from bench.engine.cell import evaluate
from bench.engine.data import load
from bench.engine.identity import Cell
from bench.engine.view import Setup
from bench.errors import BenchError, UsageError
from bench.plugin.base import Method
from bench.plugin.grammar import DatasetOptions
from bench.plugin.spec import dataset_spec, method_spec
from tests.toys import spec

SET = "synthetic[identities=12,images_per_camera=3]"


class Rows(Method):
    """Compares pixels; knows after `fit` which anchor it is for."""

    name = "rows"
    input_size = (16, 6)
    ratio_dependent = True

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def fit(self, train) -> "Rows":
        self.ratio_ = train.ratio or 1
        return self

    def embed(self, images, side) -> np.ndarray:
        rows = images.array().reshape(len(images), -1) * float(self.ratio_)
        if self.broken == "nan":
            rows[0] = np.nan
        if self.broken == "width":
            rows = rows[:, : len(images)]
        return rows[:1] if self.broken == "short" else rows

    def between(self, probe, gallery) -> np.ndarray:
        found = cdist(probe, gallery)
        if self.broken == "endless":
            found[0, 0] = np.inf
        return found.T[:1] if self.broken == "shape" else found


class Whole(Rows):
    """One model, whose distances are whole numbers, with many ties."""

    name = "whole"
    ratio_dependent = False

    def between(self, probe, gallery) -> np.ndarray:
        return super().between(probe, gallery).astype(np.int32) // 50


class Half(Rows):
    """One model, whose distances are of half precision."""

    name = "half"
    ratio_dependent = False

    def between(self, probe, gallery) -> np.ndarray:
        return super().between(probe, gallery).astype(np.float16)


class Remarkable(Rows):
    """Distances of another kind: in parts they are not to be had."""

    name = "remarkable"

    def distances(self, probe, gallery) -> np.ndarray:
        return super().distances(probe, gallery) ** 2


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def data(cache):
    return load(dataset_spec(SET), None, 0, cache)


@pytest.fixture
def small_blocks(monkeypatch) -> None:
    for name, size in {"PROBES": 4, "GALLERY": 5, "EMBEDDED": 4}.items():
        monkeypatch.setattr(pairs, name, size)


def outcome(method, data, cache, memory=None, threads=1) -> dict:
    """All numbers of a cell but for times, and the distances, which are kept where they fit in memory."""
    cell = Cell(method.text, data.spec.text, 0, 0, "smoke", data.digest)
    found = evaluate(cell, method, data, cache, Setup("smoke", memory=memory, threads=threads))
    kept = asdict(replace(found, cost={}, enhancers={}))
    assert bool(kept.pop("distances")) == (memory is None)
    return kept


@pytest.mark.parametrize(
    "text", ["bicubic+xqda", "bicubic+nfst", "bicubic+l2", "judea", "sld2l", "bicubic+dgd", "sing"]
)
@pytest.mark.usefixtures("small_blocks")
def test_block_by_block_to_the_bit(text, data, cache) -> None:
    method = method_spec(text)
    assert outcome(method, data, cache, memory=1, threads=2) == outcome(method, data, cache)


@pytest.mark.usefixtures("small_blocks")
def test_one_block_at_a_time_of_every_anchor_and_subset(data, cache) -> None:
    method = spec(Rows, sigma=0.25)
    found = outcome(method, data, cache, memory=1)
    assert len(found["subsets"]) == 7
    assert found == outcome(method, data, cache)


@pytest.mark.parametrize("kind", [Whole, Half])
@pytest.mark.usefixtures("small_blocks")
def test_distances_of_every_type(kind, data, cache) -> None:
    method = spec(kind)
    assert outcome(method, data, cache, memory=1) == outcome(method, data, cache)


@pytest.mark.usefixtures("small_blocks")
def test_several_shots_and_galleries(cache) -> None:
    data = load(replace(dataset_spec(SET), options=DatasetOptions(gallery_shots=2, gallery_draws=3)), None, 0, cache)
    assert outcome(spec(Rows, sigma=0.25), data, cache, memory=1) == outcome(spec(Rows, sigma=0.25), data, cache)


def test_what_fits_in_one_block_is_asked_for_at_once(data, cache, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(Rows, "between", lambda self, p, g: asked.append((len(p), len(g))) or cdist(p, g))
    outcome(spec(Rows, sigma=0.25), data, cache)
    assert len(asked) == 3


def test_rows_lie_in_files_that_go_with_the_cell(data, cache, monkeypatch) -> None:
    kinds = []
    whole = matching.embedded_pairs

    def watched(*arguments):
        found = whole(*arguments)
        kinds.append(type(found.gallery.rows))
        return found

    monkeypatch.setattr(matching, "embedded_pairs", watched)
    outcome(spec(Rows, sigma=0.25), data, cache, memory=1)
    assert kinds == [np.memmap] * 3
    assert not list(cache.folder.glob("rows-*"))


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (spec(Remarkable, sigma=0.25), "remarkable has no embed and between"),
        (spec(Rows, sigma=0.25, normalise=True), "normalise=true needs all of them"),
        (spec(Rows), "choosing sigma .* give sigma=0.25"),
        (spec(Rows, parameters={"broken": "nan"}, sigma=0.25), "embed returned .* NaN"),
        (spec(Rows, parameters={"broken": "short"}, sigma=0.25), "embed returned shape"),
        (spec(Rows, parameters={"broken": "shape"}, sigma=0.25), "between returned shape"),
        (spec(Rows, parameters={"broken": "endless"}, sigma=0.25), r"rows\.between returned 1 values that are NaN"),
        (spec(Half, parameters={"broken": "endless"}), r"half\.between returned 1 values that are NaN"),
    ],
)
def test_what_cannot_be_done_block_by_block_says_why(method, words, data, cache) -> None:
    with pytest.raises(BenchError, match=words):
        outcome(method, data, cache, memory=1)


@pytest.mark.usefixtures("small_blocks")
def test_rows_of_other_lengths_are_refused(data, cache) -> None:
    with pytest.raises(BenchError, match="embed returned rows of"):
        outcome(spec(Rows, parameters={"broken": "width"}, sigma=0.25), data, cache, memory=1)


@pytest.mark.parametrize(("text", "size"), [("512M", 2**29), ("2G", 2**31), ("1.5GiB", 3 * 2**29), ("1t", 2**40)])
def test_sizes_of_memory(text, size) -> None:
    assert build_parser().parse_args(["run", "--memory", text]).memory == size


def test_sizes_are_shown_in_a_unit_that_fits() -> None:
    assert [pairs.shown(size) for size in (2**25, 2**28, 2**30, 3 * 2**29)] == [
        "32.0 MiB", "256.0 MiB", "1.0 GiB", "1.5 GiB",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["0G", "100M", "2", "-1G", "G", "1e3G", "nanG", "2 G"])
def test_other_sizes_are_refused(text) -> None:
    with pytest.raises(UsageError, match="512M or 8G"):
        build_parser().parse_args(["run", f"--memory={text}"])
