"""Plug-ins found by reading files, never by importing them."""

import pickle
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from bench.errors import UsageError
from bench.plugin.registry import ROOT, Registry, registry, unknown
from bench.plugin.spec import method_spec

PIXELS = (
    "from bench.plugin.base import Method\n\n"
    "class Pixels(Method):\n    '''Raw pixels.\n\n    More.'''\n    name = 'pixels'\n"
)


def tree(root: Path, **files: str) -> Registry:
    """A registry of files given as ``folder__name="source"``."""
    for key, source in files.items():
        folder, _, name = key.partition("__")
        (root / folder).mkdir(exist_ok=True)
        (root / folder / f"{name}.py").write_text(dedent(source))
    return registry(root)


def names(found: Registry) -> dict[str, list[str]]:
    return {kind: found.names(kind) for kind in ("dataset", "frontend", "method")}


def test_kinds_names_and_docstrings(tmp_path) -> None:
    found = tree(
        tmp_path,
        methods__pixels=PIXELS,
        methods__sharpen="""
            import bench

            class Sharpen(bench.FrontEnd):
                name = "sharpen"

            class Helper:
                name = "no plug-in"

            class Nameless(bench.Method):
                pass
            """,
        datasets__mine="""
            from bench import Dataset as Base, Photo

            class Mine(Base):
                name: str = "mine"
                low_resolution = "genuine"
                expected = {"images": 4, "identities": 2}
                computed = len("not a literal")

                def __init__(self, camera, shots: int = 3, *, root=None): ...
            """,
    )
    assert found.problems == ()
    assert names(found) == {"dataset": ["mine"], "frontend": ["sharpen"], "method": ["pixels"]}
    pixels, mine = found.get("method", "pixels"), found.get("dataset", "mine")
    assert (pixels.summary, pixels.module, pixels.class_name, pixels.parameters) == (
        "Raw pixels.", "methods.pixels", "Pixels", "",
    )  # fmt: skip
    assert mine.parameters == "camera, shots=3, root=None"
    assert mine.attributes == {
        "name": "mine", "low_resolution": "genuine", "expected": {"images": 4, "identities": 2},
    }  # fmt: skip


def test_nothing_is_imported(tmp_path) -> None:
    found = tree(tmp_path, methods__heavy=PIXELS + "\nimport a_library_that_is_not_there\nraise SystemExit\n")
    assert found.names("method") == ["pixels"]


@pytest.mark.parametrize(
    "broken", [b"class Half(Method:\n", b"name = '\xff'\n", b"x = 1\0"], ids=["syntax", "not text", "null byte"]
)
def test_a_broken_file_costs_its_own_plugin_only(tmp_path, broken) -> None:
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "broken.py").write_bytes(broken)
    found = tree(tmp_path, methods__pixels=PIXELS)
    assert found.names("method") == ["pixels"]
    (problem,) = found.problems
    assert problem.startswith("methods/broken.py is not a plug-in: ")


def test_one_name_in_two_files(tmp_path) -> None:
    found = tree(
        tmp_path, methods__first=PIXELS, methods__second=PIXELS, datasets__third=PIXELS.replace("Method", "Dataset")
    )
    assert found.problems == (
        "methods.first and methods.second both define the method 'pixels'; the second is ignored",
    )
    assert found.get("method", "pixels").module == "methods.first"
    assert found.get("dataset", "pixels").module == "datasets.third", "another kind may have the name too"


def test_one_class_name_in_two_files(tmp_path) -> None:
    """A copied file in which only the plug-in's name was changed."""
    found = tree(tmp_path, methods__a=PIXELS, methods__b=PIXELS.replace("'pixels'", "'copy'"))
    assert found.problems == ()
    assert [(p.name, p.module) for p in found.plugins] == [("pixels", "methods.a"), ("copy", "methods.b")]


def test_what_is_inherited(tmp_path) -> None:
    found = tree(
        tmp_path,
        datasets___shared="""
            from bench.plugin.base import Dataset

            class Folder(Dataset):
                probe_camera = "a"
                low_resolution = None
                note = "shared"
                def __init__(self, shots: int = 1): ...
            """,
        datasets__full="""
            from datasets._shared import Folder as Base

            class Full(Base):
                name = "full"
                folder = "Full"
            """,
        datasets__low="""
            from .full import Full

            class Full(Full):
                '''Low.'''
                name = "low"
                low_resolution = "simulated"
            """,
    )
    assert found.problems == ()
    assert found.names("dataset") == ["full", "low"]
    low = found.get("dataset", "low")
    assert low.attributes == {
        "name": "low", "folder": "Full", "probe_camera": "a", "low_resolution": "simulated", "note": "shared",
    }  # fmt: skip
    assert (low.summary, low.parameters) == ("Low.", "shots=1")
    assert found.get("dataset", "full").attributes["low_resolution"] is None


def test_parameters_of_dataclasses(tmp_path) -> None:
    found = tree(
        tmp_path,
        methods___shared="""
            from dataclasses import dataclass
            from bench import Method

            @dataclass(kw_only=True, eq=False, repr=False)
            class Shared(Method):
                steps: int | None = None
                rate: float = 0.1
            """,
        methods__learner="""
            import dataclasses
            from typing import ClassVar
            from ._shared import Shared

            @dataclasses.dataclass(kw_only=True, eq=False, repr=False)
            class Learner(Shared):
                name = "learner"
                alpha: float = dataclasses.field(default=2.0)
                rate: float = 0.5
                table: ClassVar[dict] = {"a": 1}
            """,
        methods__plain="""
            from .learner import Learner

            class Plain(Learner):
                name = "plain"
                profiles: bool = True
            """,
    )
    for name in ("learner", "plain"):
        plugin = found.get("method", name)
        assert plugin.defaults == {"steps": None, "rate": 0.5, "alpha": 2.0}
        assert plugin.parameters == "steps=None, rate=0.5, alpha=2.0"
    assert found.get("method", "plain").attributes == {"name": "plain", "table": {"a": 1}, "profiles": True}


def test_underscore_files_hold_no_plugins(tmp_path) -> None:
    assert tree(tmp_path, methods___draft=PIXELS, methods____init__=PIXELS).plugins == ()


def test_an_unknown_name_says_what_there_is(tmp_path) -> None:
    found = tree(tmp_path, methods__pixels=PIXELS)
    with pytest.raises(UsageError, match=r"no method 'pixel': did you mean 'pixels'\? there is pixels"):
        found.get("method", "pixel")
    with pytest.raises(UsageError, match="no data set 'pixels': there is none"):
        found.get("dataset", "pixels")


def test_a_name_without_its_options_is_known_by_it() -> None:
    error = unknown("data set", "mine", ["mines", "mine[file=a.csv]"])
    assert str(error).startswith("no data set 'mine': did you mean 'mine[file=a.csv]'?")


@pytest.mark.parametrize(
    "source", ["import not_a_library", "raise RuntimeError('no')", "1 / 0", "del Pixels", "raise SystemExit(0)"]
)
def test_a_plugin_that_cannot_be_imported(tmp_path, monkeypatch, source) -> None:
    folder = tmp_path / "methods"
    plugin = tree(tmp_path, methods__pixels=f"{PIXELS}\n{source}\n").get("method", "pixels")
    monkeypatch.setattr("bench.plugin.registry.ROOT", tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    monkeypatch.setitem(sys.modules, "methods", type(sys)("methods"))
    sys.modules["methods"].__path__ = [str(folder)]  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"pixels cannot be loaded from methods/pixels\.py: "):
        plugin.load()


class TestProcess:
    """What a process of its own imports, with another package called `datasets` installed."""

    @pytest.fixture
    def python(self, tmp_path):
        for name in ("datasets", "methods"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("raise ImportError('the other package')\n")

        def call(code: str) -> str:
            environment = {"PATH": "", "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        return call

    def test_ours_win(self, python) -> None:
        out = python("import datasets, methods; print(datasets.__file__); print(methods.__file__)")
        assert out.split() == [str(ROOT / name / "__init__.py") for name in ("datasets", "methods")]

    @pytest.mark.parametrize(
        "arguments", [["list", "methods"], ["list", "datasets", "--json"], ["--help"], ["run", "-h"]]
    )
    def test_listing_and_help_import_no_library(self, python, arguments) -> None:
        libraries = ("numpy", "scipy", "sklearn", "pandas", "torch", "PIL", "joblib", "pydantic")
        code = f"""
import sys
from bench.cli import main
try:
    main({arguments})
except SystemExit:
    pass
print("\\nimported:", *[m for m in {(*libraries, "datasets", "methods")} if m in sys.modules])
"""
        assert python(code).splitlines()[-1] == "imported:"


class TestOutsideTheTree:
    """Plug-ins of a folder that BENCH_PLUGINS names."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch) -> Path:
        (tmp_path / "mine" / "methods").mkdir(parents=True)
        (tmp_path / "mine" / "methods" / "_size.py").write_text("SIZE = (16, 8)\n")
        (tmp_path / "mine" / "methods" / "pixels.py").write_text("from ._size import SIZE\n" + PIXELS)
        (tmp_path / "mine" / "sharpen.py").write_text(
            "import bench\nclass Sharpen(bench.FrontEnd):\n    name = 'sharpen'\n"
        )
        monkeypatch.setenv("BENCH_PLUGINS", str(tmp_path / "mine"))
        return tmp_path / "mine"

    def test_files_and_subfolders(self, folder) -> None:
        found = registry()
        assert {"pixels", "xqda"} <= set(found.names("method"))
        assert "sharpen" in found.names("frontend")
        kind = found.get("method", "pixels").load()
        assert kind.name == "pixels"
        assert sys.modules[kind.__module__].SIZE == (16, 8)

    def test_a_spec_reaches_other_processes(self, folder) -> None:
        sent = pickle.dumps(method_spec("sharpen+pixels"))
        code = f"import pickle; spec = pickle.loads({sent!r}); print(spec.build().name, spec.build_frontend().name)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["pixels", "sharpen"]

    def test_a_name_that_is_taken_is_ignored_and_both_files_are_named(self, folder) -> None:
        (folder / "other.py").write_text(PIXELS.replace("'pixels'", "'xqda'"))
        assert registry().get("method", "xqda").folder is None
        (problem,) = registry().problems
        assert "methods.xqda" in problem
        assert str(folder / "other.py") in problem

    def test_a_file_that_exits(self, folder) -> None:
        (folder / "leaver.py").write_text(PIXELS.replace("'pixels'", "'leaver'") + "raise SystemExit(0)\n")
        with pytest.raises(UsageError, match=r"leaver cannot be loaded from .*/mine/leaver\.py: SystemExit: 0"):
            registry().get("method", "leaver").load()
