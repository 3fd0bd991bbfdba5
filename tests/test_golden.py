"""No number moves unnoticed: golden cells against stored numbers, and versions that name all that a plug-in uses."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.engine.identity import parts, uses
from bench.plugin.registry import ROOT, registry
from tests import golden

ENTRIES = {entry.name: entry for entry in golden.entries()}
STORED = golden.read()
LOADABLE = [p for p in registry().plugins if p.kind != "dataset"]


@pytest.mark.parametrize("name", ENTRIES)
def test_numbers_move_with_versions_only(name: str) -> None:
    entry = ENTRIES[name]
    with golden.one_thread():
        problem = golden.fault(entry, entry.compute(), STORED.get(name))
    assert problem is None, problem


def test_nothing_is_stored_that_is_gone() -> None:
    assert set(STORED) == set(ENTRIES), "run `python -m tests.golden`"


class TestFault:
    """An entry of version 1 with the numbers 1 and 2."""

    entry = golden.Entry("part lens", {"lens": 1}, 'PART = ("lens", 1)', 1e-9, list)
    stored = {"versions": {"lens": 1}, "values": [1.0, 2.0, "text"]}

    def fault(self, values: list[float | str], version: int = 1) -> str | None:
        return golden.fault(replace(self.entry, versions={"lens": version}), values, self.stored)

    def test_rounding_is_no_fault(self) -> None:
        assert self.fault([1.0 + 1e-12, 2.0, "text"]) is None

    @pytest.mark.parametrize(
        "values", [[1.0 + 1e-6, 2.0, "text"], [1.0, 2.0, "texts"], [1.0, "text"], [1.0, float("nan"), "text"]]
    )
    def test_moved_under_the_same_version(self, values) -> None:
        assert 'raise PART = ("lens", 1) and run `python -m tests.golden`' in str(self.fault(values))

    def test_raised_but_not_renewed(self) -> None:
        for values in ([1.0, 2.0, "text"], [3.0, 2.0, "text"]):
            assert "run `python -m tests.golden`" in str(self.fault(values, version=2))

    def test_versions_only_rise(self) -> None:
        assert "went down" in str(self.fault([1.0, 2.0, "text"], version=0))

    def test_new(self) -> None:
        assert "no golden numbers" in str(golden.fault(self.entry, [1.0], None))


def test_renewing_refuses_numbers_that_moved_under_their_version(tmp_path, monkeypatch, capsys) -> None:
    values = {"lens": [1.0], "prism": [5.0]}
    versions = {"lens": 1, "prism": 1}
    monkeypatch.setattr(golden, "STORED", tmp_path / "golden.json")
    monkeypatch.setattr(
        golden,
        "entries",
        lambda: (golden.Entry(n, {n: versions[n]}, f"`version` of {n}", 1e-9, lambda n=n: values[n]) for n in values),
    )
    assert golden.renew([]) == 0
    values.update(lens=[2.0], prism=[6.0])
    versions.update(prism=2)
    assert golden.renew([]) == 1
    assert "raise `version` of lens" in capsys.readouterr().err
    assert {name: entry["values"] for name, entry in golden.read().items()} == {"lens": [1.0], "prism": [6.0]}


@pytest.mark.parametrize("plugin", LOADABLE, ids=lambda p: p.name)
def test_a_plugin_names_the_parts_that_it_imports(plugin) -> None:
    imported = {part for module in reached(plugin.module) if (part := part_of(module))}
    assert set(uses(plugin)) == imported


@pytest.mark.parametrize("plugin", registry().plugins, ids=lambda p: f"{p.kind}-{p.name}")
def test_every_plugin_has_a_version(plugin) -> None:
    assert isinstance(plugin.attributes.get("version", 1 if plugin.kind == "dataset" else None), int)
    assert set(uses(plugin)) <= set(parts())


@pytest.mark.parametrize("plugin", LOADABLE, ids=lambda p: p.name)
def test_no_plugin_is_built_of_another(plugin) -> None:
    others = {p.module for p in LOADABLE} - {plugin.module}
    assert not others & reached(plugin.module), "move what both need to a module of its own, with a PART"


def reached(module: str) -> set[str]:
    """The modules of `methods` and `bench.learning` that a module imports, by way of each other; itself left out."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        for name in imported(path_of(waiting.pop())):
            if name.startswith(("methods.", "bench.learning.")) and name not in found:
                found.add(name)
                waiting.append(name)
    return found - {module}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names if path_of(f"{node.module}.{a.name}").is_file())
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def path_of(module: str) -> Path:
    return (ROOT / module.replace(".", "/")).with_suffix(".py")


def part_of(module: str) -> str | None:
    for node in ast.parse(path_of(module).read_text()).body if path_of(module).is_file() else ():
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PART":
            return ast.literal_eval(node.value)[0]
    return None
