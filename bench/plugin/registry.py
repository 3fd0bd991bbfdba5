"""Plug-ins by name.

`methods/` and `datasets/` are read as text, not imported: ``list`` and ``--help`` need no plug-in's libraries, and a
file that does not parse costs its own plug-in only.  A plug-in is a top-level class with ``name = "..."`` in its body;
files whose name starts with an underscore hold parts that several plug-ins share.
"""

import ast
import difflib
import importlib
import sys
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from bench.errors import NotApplicable, UsageError
from bench.plugin import outside
from bench.plugin.source import (
    base_names,
    constants,
    docstring,
    imported_names,
    literals,
    module_constants,
    signature,
    weights_named,
)

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE / "_tree" if (PACKAGE / "_tree").is_dir() else PACKAGE.parent
"""The folder of `methods`, `datasets` and `results`: the clone, or what an installed bench brings of it."""
KINDS = {"Dataset": "dataset", "FrontEnd": "frontend", "Method": "method"}


@dataclass(frozen=True)
class Plugin:
    """A class found in a plug-in file.

    kind: dataset, frontend or method.  summary: its docstring's first line.  folder: where it lies outside the tree.
    weights: the weights files that the text of its `files` names.
    """

    name: str
    kind: str
    module: str
    class_name: str
    summary: str
    parameters: str
    attributes: dict[str, object]
    defaults: dict[str, object] = field(default_factory=dict)
    folder: Path | None = None
    weights: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The file, as messages name it."""
        if self.folder:
            return str(self.folder / f"{self.module.rpartition('.')[2]}.py")
        return f"{self.module.replace('.', '/')}.py"

    def load(self) -> type:
        """Import the file and return the class.

        The tree comes first on the path, so that its `datasets` is ours even beside an installed package of that name.
        """
        if self.folder:
            outside.make_package(self.folder)
        elif str(ROOT) not in sys.path[:1]:
            sys.path.insert(0, str(ROOT))
        try:
            return getattr(importlib.import_module(self.module), self.class_name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plug-in's file is anyone's: whatever it raises costs this plug-in only
            reason = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
            raise NotApplicable(f"{self.name} cannot be loaded from {self.file}: {reason}") from error


@dataclass(frozen=True)
class Registry:
    """All plug-ins of the tree; problems: one line for every file that could not be read as a plug-in."""

    plugins: tuple[Plugin, ...]
    problems: tuple[str, ...]

    def names(self, kind: str) -> list[str]:
        return sorted(p.name for p in self.plugins if p.kind == kind)

    def get(self, kind: str, name: str) -> Plugin:
        """The plug-in of that kind and name; an unknown name is a UsageError that says what was probably meant."""
        for plugin in self.plugins:
            if plugin.kind == kind and plugin.name == name:
                return plugin
        raise unknown(KIND_WORDS[kind], name, self.names(kind))


KIND_WORDS = {"dataset": "data set", "frontend": "front-end", "method": "method"}


def unknown(what: str, name: str, known: list[str]) -> UsageError:
    """A did-you-mean error for a name that is not among `known`."""
    same = [other for other in known if other.startswith(f"{name}[")]  # the same with options
    close = same or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return UsageError(f"no {what} {name!r}: {hint}there is {', '.join(known) or 'none'}")


def registry(root: Path = ROOT) -> Registry:
    """The plug-ins below `root` and, with those of the tree, those outside it (`bench.plugin.outside`)."""
    return read_plugins(root, outside.folders() if root == ROOT else ())


@cache
def read_plugins(root: Path, folders: tuple[Path, ...]) -> Registry:
    """Read every plug-in file below `root` and in the folders outside it."""
    classes: dict[tuple[str, str], ast.ClassDef] = {}
    origins: dict[str, dict[str, tuple[str, str]]] = {}
    problems = []
    homes: dict[str, Path | None] = {}
    assigned: dict[str, dict[str, ast.expr]] = {}
    for package, path, folder in outside.files(root, folders):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError, OSError) as error:
            problems.append(f"{path if folder else f'{package}/{path.name}'} is not a plug-in: {error}")
            continue
        module = f"{package}.{path.stem}"
        homes[module] = folder
        origins[module] = imported_names(tree, package)
        assigned[module] = module_constants(tree)
        classes |= {(module, node.name): node for node in tree.body if isinstance(node, ast.ClassDef)}

    def lineage(module: str, node: ast.ClassDef) -> list[tuple[str, ast.ClassDef]]:
        """The class and its in-tree bases with their modules, nearest first."""
        found = [(module, node)]
        for base in base_names(node):
            origin = origins[module].get(base, (module, base))
            if origin in classes and classes[origin] is not node:
                found += lineage(origin[0], classes[origin])
        return found

    def constant(module: str, name: str) -> ast.expr | None:
        """What a name in a file stands for, assigned there or in the file that it is imported from."""
        home, own = origins[module].get(name, (module, name))
        return assigned.get(home, {}).get(own)

    plugins: dict[tuple[str, str], Plugin] = {}
    for (module, class_name), node in classes.items():
        name = constants(node).get("name")
        family = lineage(module, node)
        bases = [origins[m].get(base, (m, base))[1] for m, n in family for base in base_names(n)]
        kinds = [KINDS[base] for base in bases if base in KINDS]
        if not isinstance(name, str) or not kinds or module.partition(".")[2].startswith("_"):
            continue
        attributes = {k: v for _, n in reversed(family) for k, v in constants(n).items()}
        parameters = signature([n for _, n in family])
        named = (weights_named(n, partial(constant, m)) for m, n in family)
        text = ", ".join(f"{key}={value}" if value else key for key, value in parameters.items())
        plugin = Plugin(
            name,
            kinds[0],
            module,
            class_name,
            docstring(node),
            text,
            attributes,
            literals(parameters),
            homes[module],
            next((files for files in named if files is not None), ()),
        )
        if (other := plugins.setdefault((plugin.kind, name), plugin)) is not plugin:
            problems.append(
                f"{said(other)} and {said(plugin)} both define the {plugin.kind} {name!r}; the second is ignored"
            )
    return Registry(tuple(plugins.values()), tuple(problems))


def said(plugin: Plugin) -> str:
    """A plug-in's module, or its file where it lies outside the tree."""
    return plugin.file if plugin.folder else plugin.module
