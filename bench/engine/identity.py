"""What a cell is, and what its number depends on.

A number depends on the versions of the steps and plug-ins on its way, on every option with its resolved value, on the
pixels, labels and splits of the data, and on the weights that training starts from.  A step says its version in a line
``PART = ("name", 1)`` of its module, a plug-in in the class attributes ``version`` and ``uses`` (the names of the parts
that it is built of).  Text, layout, and the names of modules and classes do not count.

Everything here is read from the text of the files: no plug-in is imported.
"""

import ast
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import MissingPart
from bench.plugin import outside
from bench.plugin.grammar import DatasetOptions, MethodOptions, split_text, value_text
from bench.plugin.registry import PACKAGE, ROOT, Plugin, registry

PROTOCOL_STEPS = ("decode", "resize", "splits", "matching", "scoring")
"""Parts that every number passes; `lowres` and `fusion` where the data set has low-resolution probes."""

Depends = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One measurement: a method on one split of a data set.

    method, dataset: canonical specs, files named by their content's hash.  profile: training schedule, ``paper`` where
    neither method nor front-end has one.  data: digest of pixels, labels and splits.  weights: SHA-256 of each weights
    file that training starts from.  depends: versions and resolved options, from `depends_of`.
    """

    method: str
    dataset: str
    split: int
    seed: int
    profile: str
    data: str
    weights: tuple[str, ...] = ()
    depends: Depends = field(default_factory=dict, hash=False)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits: equal for two cells whose numbers must be equal, up to the machine's rounding."""
        return short_hash(vars(self))

    @property
    def row(self) -> str:
        """Likewise of all that the cells of a row share: only cells of one row are averaged."""
        return short_hash({**vars(self), "split": None})

    def __str__(self) -> str:
        return f"{self.method} {self.dataset} split {self.split}"


def short_hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def depends_of(method: str, dataset: str) -> Depends:
    """Versions and resolved options that a method's number on a data set depends on, as JSON values.

    method, dataset: canonical specs.  UsageError for a plug-in that is not there, MissingPart for a part.
    """
    plugins = registry()
    method_name, method_pairs = split_text(method)
    frontend_name, _, name = method_name.rpartition("+")
    found = plugins.get("method", name)
    frontend = plugins.get("frontend", frontend_name) if frontend_name else None
    dataset_name, dataset_pairs = split_text(dataset)
    data = plugins.get("dataset", dataset_name)
    low = data.attributes.get("low_resolution")
    steps = [*PROTOCOL_STEPS, *(["lowres"] if low == "simulated" else []), *(["fusion"] if low is not None else [])]
    used = {part for plugin in (found, frontend) if plugin for part in uses(plugin)}
    return {
        "parts": {part: part_version(part) for part in sorted({*steps, *used})},
        "method": described(found, method_pairs),
        "front_end": described(frontend, method_pairs) if frontend else None,
        "dataset": described(data, dataset_pairs),
        "harness": resolved(defaults(MethodOptions), method_pairs),
        "protocol": resolved(defaults(DatasetOptions), dataset_pairs),
    }


def changes(stored: Depends, now: Depends) -> list[str]:
    """What differs, in words: ``version of xqda 1, now 2``; empty when nothing does.

    An option or part that one side does not know is no change: a new option leaves numbers as they are at its default,
    or else the version of its plug-in or step is raised.
    """
    before, after = dict(flat(stored)), dict(flat(now))
    return [
        f"{name} {before[name]}, now {after[name]}"
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    ]


def flat(depends: Depends) -> Iterator[tuple[str, object]]:
    """(name in words, value) of every leaf."""
    for part, version in (depends.get("parts") or {}).items():
        yield f"version of {part}", version
    for kind in ("method", "front_end", "dataset"):
        if plugin := depends.get(kind):
            yield f"version of {plugin['name']}", plugin["version"]
            for key, value in plugin["options"].items():
                yield f"{plugin['name']}'s {key}", value
    for kind in ("harness", "protocol"):
        for key, value in (depends.get(kind) or {}).items():
            yield f"the {kind}'s {key}", value


@cache
def source_of(method: str) -> str:
    """Short hash of the code of a method's and its front-end's own files, without comments, docstrings and layout.

    Of plug-ins outside the tree, that of the modules of their folder that they import as well; within it, these are
    guarded by their versions.
    """
    name = split_text(method)[0]
    frontend_name, _, method_name = name.rpartition("+")
    plugins = [registry().get("method", method_name)]
    plugins += [registry().get("frontend", frontend_name)] if frontend_name else []
    own = [(ROOT / plugin.file, plugin.folder) for plugin in plugins]
    files = [module for file, outside in own if file.is_file() for module in (modules_of(file) if outside else [file])]
    return short_hash([code_of(file) for file in files])


def modules_of(path: Path) -> list[Path]:
    """A plug-in's file, and the modules of its folder that it imports, also by way of others; read as text."""
    found: list[Path] = []
    ahead = [path.resolve()]
    while ahead:
        file = ahead.pop()
        if file not in found and file.is_file():
            found.append(file)
            ahead += imported_files(file, path.resolve().parent, os.stat(file).st_mtime_ns)
    return sorted(found)


@cache
def imported_files(file: Path, folder: Path, changed: int) -> list[Path]:
    """The files below a folder that the imports of one of its modules may stand for; read once for each change."""
    found = []
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = file.parent.joinpath(*[".."] * (node.level - 1)).resolve() if node.level else folder.parent
            module = node.module.split(".") if node.module else []
            names = [module, *([*module, alias.name] for alias in node.names)]
        elif isinstance(node, ast.Import):
            base, names = folder.parent, [alias.name.split(".") for alias in node.names]
        else:
            continue
        for name in names:
            for target in (base.joinpath(*name).with_suffix(".py"), base.joinpath(*name, "__init__.py")):
                if target.is_relative_to(folder):
                    found.append(target)
    return found


def code_of(path: Path) -> str:
    """A file's syntax tree as text, without docstrings; its text where it has none."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[ast.get_docstring(node) is not None :]
    return ast.dump(tree)


def described(plugin: Plugin, pairs: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "version": plugin.attributes.get("version", 1),
        "options": resolved({k: value_text(v) for k, v in plugin.defaults.items()}, pairs),
    }


def resolved(default: Mapping[str, str], pairs: Mapping[str, str]) -> dict[str, str]:
    """Every option with its value, given or default, as text."""
    return {key: pairs.get(key, value) for key, value in sorted(default.items())}


def defaults(options: type[MethodOptions] | type[DatasetOptions]) -> dict[str, str]:
    return {f.name: value_text(f.default) for f in fields(options)}


def uses(plugin: Plugin) -> Sequence[str]:
    """The parts that a plug-in says it is built of."""
    named = plugin.attributes.get("uses", ())
    return [str(part) for part in named] if isinstance(named, tuple | list) else []


def part_version(name: str) -> int:
    """The version of a part; MissingPart for a name that no module gives itself."""
    try:
        return parts(outside.folders())[name]
    except KeyError:
        raise MissingPart(f"no module is the part {name!r}, which a plug-in says that it uses") from None


@cache
def parts(folders: tuple[Path, ...] = ()) -> dict[str, int]:
    """Every part with its version, from the ``PART`` lines of `bench`, of the plug-ins' tree and of folders outside."""
    line = re.compile(r"""^PART *= *\( *["'](\w+)["'] *, *(\d+) *,? *\)""", re.MULTILINE)
    found: dict[str, int] = {}
    own = [PACKAGE / name for name in ("protocol", "engine", "learning")]
    for folder in (*own, ROOT / "methods", ROOT / "datasets", *folders):
        for path in sorted(folder.glob("*.py")):
            for name, version in line.findall(path.read_text(encoding="utf-8", errors="replace")):
                found.setdefault(name, int(version))
    return found
