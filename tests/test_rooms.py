"""The rooms of `bench`, and which may look into which: arrows go one way."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from bench.plugin.registry import ROOT

MAY_IMPORT = {
    "cli": {"document", "figures", "report", "engine", "learning", "plugin", "protocol"},
    "document": {"figures", "report", "engine", "plugin", "protocol"},
    "figures": {"report", "engine", "plugin", "protocol"},
    "report": {"engine", "plugin", "protocol"},
    "learning": {"engine", "plugin", "protocol"},
    "engine": {"plugin", "protocol"},
    "plugin": {"protocol"},
    "protocol": set(),
}
READING = {"identity", "record", "store", "freshness", "inventory"}
"""The modules of `engine` that `report` reads results with; the others run things."""
LAZILY = {("engine", "learning")}
"""Where a function, and not a module, imports: networks are trained by few cells."""
LONGEST = 300
MODULES = sorted((ROOT / "bench").rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, everywhere: bool) -> Iterator[str]:
    """In-tree modules that a file imports: at its top, or in its functions and under TYPE_CHECKING too."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("bench"):
            known = {name_of(p) for p in MODULES}
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield module if module in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("bench"))


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else ""


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_arrows_go_one_way(path: Path) -> None:
    own = room(name_of(path))
    if not own:
        return
    for everywhere in (False, True):
        for module in imports(path, everywhere):
            other = room(module)
            allowed = other in {"", own, *MAY_IMPORT[own]} or (everywhere and (own, other) in LAZILY)
            assert allowed, f"{name_of(path)} imports {module}"


@pytest.mark.parametrize(
    "path",
    sorted(path for room in ("report", "document") for path in (ROOT / "bench" / room).glob("*.py")),
    ids=name_of,
)
def test_reading_never_imports_running(path: Path) -> None:
    used = {module.split(".")[2] for module in imports(path, True) if module.startswith("bench.engine.")}
    assert used <= READING


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name_of(path): set(imports(path, False)) - {name_of(path)} for path in MODULES}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


def test_only_plugins_and_commands_use_learning() -> None:
    users = {room(name_of(p)) for p in MODULES for m in imports(p, False) if room(m) == "learning"}
    assert users <= {"learning", "cli"}


def test_the_protocol_needs_numpy_alone() -> None:
    allowed = {"numpy", "scipy", "PIL", "joblib", "bench"}
    for path in (ROOT / "bench" / "protocol").glob("*.py"):
        tree = ast.parse(path.read_text())
        roots = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        import sys

        assert roots - allowed <= sys.stdlib_module_names, path.name
