"""Plug-ins that lie outside the tree: in folders named by BENCH_PLUGINS, and in installed packages.

A folder holds plug-in files, or `methods` and `datasets` that do.  A package names itself in the entry-point group
``bench.plugins``: its own folder is read.  Each folder becomes a package of a private name, in which relative imports
work; folders are part of the environment, so that worker processes find them too.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

VARIABLE = "BENCH_PLUGINS"
GROUP = "bench.plugins"


def folders() -> tuple[Path, ...]:
    """The folders that hold plug-in files, in order, each once."""
    named = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return tuple(dict.fromkeys(inner for folder in (*named, *packages()) for inner in holding(folder)))


def holding(folder: Path) -> Iterator[Path]:
    """The folder itself, and `datasets` and `methods` in it, as far as they are there."""
    for inner in (folder, folder / "datasets", folder / "methods"):
        if inner.is_dir():
            yield inner.resolve()


@cache
def packages() -> tuple[Path, ...]:
    """Folders of installed packages that say that they hold plug-ins."""
    found = []
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            spec = importlib.util.find_spec(entry.module)
        except Exception:  # another's package may be broken in any way
            continue
        if spec and spec.submodule_search_locations:
            found += [Path(folder) for folder in spec.submodule_search_locations]
        elif spec and spec.origin:
            found.append(Path(spec.origin).parent)
    return tuple(found)


def package_name(folder: Path) -> str:
    """The private name of the package that a folder becomes."""
    return f"bench_plugins_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def make_package(folder: Path) -> None:
    """Let the files of a folder be imported as modules of its private package."""
    name = package_name(folder)
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package


def files(root: Path, outside: Sequence[Path]) -> Iterator[tuple[str, Path, Path | None]]:
    """Every plug-in file: its package, its path, and the folder where it lies outside the tree `root`."""
    for package in ("datasets", "methods"):
        yield from ((package, path, None) for path in sorted((root / package).glob("*.py")))
    for folder in outside:
        yield from ((package_name(folder), path, folder) for path in sorted(folder.glob("*.py")))
