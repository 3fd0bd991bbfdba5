"""What cells keep to enhance images by: asked of a method, written beside the cell, read back as from a stranger."""

import json
import os
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors.numpy import save

from bench.engine.cache import Cache
from bench.engine.contract import Case
from bench.engine.enhancers import LARGEST
from bench.engine.enhancing import check_enhancer
from bench.engine.store import Store
from bench.errors import BenchError
from bench.plugin.base import Method
from tests.cells import cell, record
from tests.toys import spec

CELL = cell("m", "d")
ARRAYS = {"1/2": {"a|b": np.array([1.5, -2.0], np.float32), "bias": np.array(0.25)}, "1/4": {"a": np.zeros((2, 0))}}
SMALL = "synthetic[identities=24]"


class Brightener(Method):
    """Enhances by adding what it learns; breaks a clause, by name."""

    name = "brightener"
    input_size = (16, 8)
    scales = "own"

    def __init__(self, how: str = "") -> None:
        self.how = how

    def distances(self, probe, gallery) -> np.ndarray:
        p, g = (side.array().mean((1, 2, 3)) for side in (probe, gallery))
        return np.abs(p[:, None] - g)

    def enhancer(self) -> object:
        added = np.array([40.0], np.float32)
        return {
            "a list": [added],
            "whole numbers": {"added": added.astype(int)},
            "no arrays": {"added": 40.0},
            "NaN": {"added": added * np.nan},
            "huge": {"added": np.zeros(LARGEST // 4)},
        }.get(self.how, {"added": added})

    def enhance(self, images, enhancer) -> np.ndarray:
        shown = np.stack([np.full((14, 8, 3), image.mean()) for image in images]) + enhancer["added"]
        if self.how == "floats":
            return shown
        if self.how == "off centre":
            shown = shown[:, 1:]
        if self.how == "by others":
            shown -= shown.mean()
        return shown.clip(0, 255).astype(np.uint8)


IMAGES = [np.random.default_rng(i).integers(0, 200, (6 + i, 4, 3), dtype=np.uint8) for i in range(5)]


def test_a_method_that_keeps_the_contract() -> None:
    check_enhancer(Brightener(), Brightener(), IMAGES, 3)


def test_the_contract_asks_for_it(tmp_path) -> None:
    case = Case(spec(Brightener, None, parameters={"how": "off centre"}), Cache(tmp_path))
    case.prepare()
    case.returns_self()
    with pytest.raises(BenchError, match="or the centre"):
        case.enhances()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("a list", "dictionary of named arrays, not list"),
        ("whole numbers", "'added' is int64"),
        ("no arrays", "'added' is float"),
        ("NaN", "NaN or infinite"),
        ("huge", "a cell keeps at most 1,048,576"),
        ("floats", "uint8"),
        ("off centre", "(5, 13, 8, 3); (5, 16, 8, 3), or the centre"),
        ("by others", "among other images or alone"),
    ],
)
def test_a_method_that_does_not(how, said) -> None:
    with pytest.raises(BenchError, match=re.escape(said)):
        check_enhancer(Brightener(how), Brightener(how), IMAGES, 3)


class TestStored:
    @pytest.fixture
    def store(self, tmp_path) -> Store:
        return Store(tmp_path / "results")

    def test_round_trip_beside_the_cell(self, store) -> None:
        assert store.enhancers(CELL) == {}
        store.put(CELL, record([1]), {}, ARRAYS)
        found = store.enhancers(CELL)
        assert {m: set(own) for m, own in found.items()} == {m: set(own) for m, own in ARRAYS.items()}
        for anchor, own in ARRAYS.items():
            for name, array in own.items():
                assert (found[anchor][name].dtype, found[anchor][name].shape) == (array.dtype, array.shape)
                assert np.array_equal(found[anchor][name], array)
        assert store.enhancers_path(CELL).with_suffix(".json") == store.path(CELL)

    def test_a_cell_computed_again_has_its_own_or_none(self, store) -> None:
        store.put(CELL, record([1]), {}, ARRAYS)
        store.put(CELL, record([1]), {})
        assert store.enhancers(CELL) == {}

    def test_they_go_with_the_cell_and_to_the_one_in_its_place(self, store) -> None:
        other = cell("m", "d", split=1)
        store.put(CELL, record([1]), {"all": np.eye(2)}, ARRAYS)
        store.hand_over(CELL, other)
        assert store.enhancers(CELL) == {}
        assert sorted(store.enhancers(other)) == sorted(ARRAYS)
        assert store.distances(other)["all"].tolist() == [[1, 0], [0, 1]]
        store.put(other, record([1]), {}, ARRAYS)
        store.remove(store.get(other))
        assert not list(store.folder.rglob("*.safetensors"))

    def test_too_large_ones_are_not_written_nor_the_cell(self, store) -> None:
        with pytest.raises(BenchError, match="at most"):
            store.put(CELL, record([1]), {}, {"all": {"a": np.zeros(LARGEST)}})
        assert not list(store.folder.rglob("*.*"))

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"PK damaged",
            b"\xff" * 64,
            save({"1/2|a": np.ones(3)})[:-1],
            save({"a": np.ones(3)}),
            save({"1/2|a": np.ones(3, np.int64)}),
            save({"1/2|a": np.array([np.nan])}),
            save({"1/2|a": np.zeros(LARGEST)}),
            (2**62).to_bytes(8, "little") + b"{}",
        ],
        ids=["empty", "no safetensors", "noise", "cut", "no anchor", "whole numbers", "NaN", "huge", "a huge header"],
    )
    def test_a_hostile_file_is_refused_in_one_line(self, store, content) -> None:
        store.put(CELL, record([1]), {}, ARRAYS)
        store.enhancers_path(CELL).write_bytes(content)
        with pytest.raises(BenchError, match="holds no readable enhancers") as caught:
            store.enhancers(CELL)
        assert str(store.enhancers_path(CELL)) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert store.read_all()[1] == [], "the cell itself is well"

    def test_a_pipe_is_not_opened(self, store) -> None:
        store.put(CELL, record([1]), {})
        os.mkfifo(store.enhancers_path(CELL))
        with pytest.raises(BenchError, match="not a regular file"):
            store.enhancers(CELL)


PLUGIN = """
import numpy as np
from bench import Method

class Kept(Method):
    \"\"\"Keeps an array, for tests.\"\"\"
    name = "kept"
    scales = "own"

    def enhancer(self):
        return {"a": np.ones(3, np.float32)}

    def distances(self, probe, gallery):
        return np.abs(probe.area[:, None] - gallery.area)
"""


@pytest.mark.usefixtures("contract_holds")
class TestRuns:
    @pytest.fixture
    def own(self, bench, tmp_path, monkeypatch) -> Path:
        """The user's store after a run of three splits, beside an empty one of measured results."""
        (tmp_path / "plugins").mkdir()
        (tmp_path / "plugins" / "kept.py").write_text(PLUGIN)
        measured = tmp_path / "measured"
        measured.mkdir()
        for module in ("bench.cli.stores", "bench.engine.store"):
            monkeypatch.setattr(f"{module}.MEASURED", measured)
        monkeypatch.setenv("BENCH_RESULTS", str(tmp_path / "local"))
        monkeypatch.setenv("BENCH_PLUGINS", str(tmp_path / "plugins"))
        return tmp_path / "local"

    def kept(self, folder: Path) -> list[int]:
        """The splits whose cells keep their enhancers."""
        return [int(path.name.split("-")[0].removeprefix("split")) for path in sorted(folder.rglob("*.safetensors"))]

    @pytest.mark.parametrize(("chosen", "splits"), [((), [0]), (("--enhancers", "1-2"), [1, 2])])
    def test_which_splits_keep_them(self, bench, own, chosen, splits) -> None:
        command = ("run", "-m", "kept", "-d", SMALL, "--splits", "0-2", "--jobs", "1")
        assert bench(*command, *chosen).code == 0
        assert self.kept(own) == splits
        for path in own.glob("*/*/*.json"):
            assert "enhancer" not in json.loads(path.read_text())["record"]

    @pytest.mark.parametrize("asked", [False, True])
    def test_adopt_takes_them_along_when_asked(self, bench, own, asked) -> None:
        assert bench("run", "-m", "kept", "-d", SMALL, "--splits", "0", "--jobs", "1").code == 0
        for result in Store(own).read_all()[0]:  # the contract was not checked here
            Store(own).update(result.cell, msgspec.structs.replace(result.finished, contract=True))
        output = bench("adopt", "-m", "kept", *(["--enhancers"] if asked else []))
        assert output.out.startswith("1 cell adopted"), output.err
        assert [self.kept(folder) for folder in (own, own.parent / "measured")] == ([[], [0]] if asked else [[0], []])
