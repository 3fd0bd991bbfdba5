"""`bench init-method`: a file that keeps the contract at once, and names that are refused."""

from pathlib import Path

import pytest

from bench.plugin import template
from bench.plugin.registry import registry
from tests.conftest import ROOT
from tests.test_bad_input import one_line


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.mark.parametrize(("name", "options"), [("my_method_2", ()), ("my_front_end", ("--front-end",))])
def test_it_is_listed_and_keeps_the_contract_at_once(bench, folder, name, options) -> None:
    output = bench("init-method", name, *options, "--plugins", folder)
    assert (output.code, output.err) == (0, "")
    assert f"python -m bench check {name} --plugins {folder}" in output.out
    assert [path.name for path in folder.iterdir()] == [f"{name}.py"]
    checked = bench("check", name, "--plugins", folder)
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.splitlines()[-1] == f"{name}: the contract holds"
    assert name in bench("list", "methods", "--plugins", folder).out


def test_without_a_folder_it_goes_to_the_trees_methods(bench, tmp_path, monkeypatch) -> None:
    for part in ("bench", "methods"):
        (tmp_path / part).mkdir()
    monkeypatch.setattr(template, "ROOT", tmp_path)
    assert bench("init-method", "mine").code == 0
    assert (tmp_path / "methods" / "mine.py").is_file()
    (tmp_path / "bench").rmdir()
    one_line(bench("init-method", "other"), 2, "name a folder with --plugins")


def test_nothing_is_overwritten(bench, folder) -> None:
    (folder / "methods").mkdir()
    for name in ("mine.py", "Yours.PY", "folder"):
        (folder / "methods" / name).write_text("x = 1\n")
    for name in ("mine", "yours", "folder"):
        one_line(bench("init-method", name, "--plugins", folder), 2, "is there already", str(folder / "methods"))
    assert {path.read_text() for path in (folder / "methods").iterdir()} == {"x = 1\n"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Mine", "is no name for a plug-in"),
        ("2nd", "is no name for a plug-in"),
        ("_part", "is no name for a plug-in"),
        ("../mine", "is no name for a plug-in"),
        ("mine.py", "is no name for a plug-in"),
        ("größe", "is no name for a plug-in"),
        ("mine\n", "is no name for a plug-in"),
        ("", "is no name for a plug-in"),
        ("class", "is no name for a plug-in"),
        ("match", "is no name for a plug-in"),
        ("a" * 61, "at most 60"),
        ("method", "hides bench's own"),
        ("front_end", "hides bench's own"),
        ("random", "the name of a module"),
        ("bench", "the name of a module"),
        *((plugin.name, f"in {plugin.file}") for plugin in registry().plugins[::9]),
    ],
)
def test_names_that_are_refused(bench, folder, name, said) -> None:
    one_line(bench("init-method", name, "--plugins", folder), 2, said)
    assert not list(folder.iterdir())
    assert not (ROOT / "methods" / f"{name}.py").exists() or "methods" in said
