"""Plug-ins by name.

`methods/` and `datasets/` are read as text, not imported: ``list`` and ``--help`` need no plug-in's libraries, and a
file that does not parse costs its own plug-in only.  A plug-in is a top-level class with ``name = "..."`` in its body;
files whose name starts with an underscore hold parts that several plug-ins share.

Plug-ins outside the tree lie in folders, as plain files or in subfolders `methods` and `datasets`.  A folder comes from
`add_folder`, from the environment variable ``BENCH_PLUGINS`` (several with ``:`` between them, ``;`` on Windows; worker
processes learn of folders by it), or from the entry points of group ``bench.plugins``, each the name of a package.
"""

import ast
import difflib
import hashlib
import importlib
import os
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from bench.errors import NotApplicable, UsageError
from bench.plugin.source import base_names, constants, docstring, imported_names, literals, signature

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "BENCH_PLUGINS"
GROUP = "bench.plugins"
KINDS = {"Dataset": "dataset", "FrontEnd": "frontend", "Method": "method"}


@dataclass(frozen=True)
class Plugin:
    """A class found in a plug-in file.

    kind: dataset, frontend or method.  summary: its docstring's first line.  parameters: of its constructor, as text.
    attributes: class attributes that are literals, inherited ones too.  defaults: of the parameters, as values.
    folder: the folder that it was found in, None for one of the tree.
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

    @property
    def file(self) -> str:
        """For messages: ``methods/xqda.py``, with its folder where that is outside the tree."""
        path = self.module.replace(".", "/") + ".py"
        return str(self.folder / path.partition("/")[2]) if self.folder else path

    def load(self) -> type:
        """Import the file and return the class.

        The tree comes first on the path, so that its `datasets` is ours even beside an installed package of that name.
        """
        if str(ROOT) not in sys.path[:1]:
            sys.path.insert(0, str(ROOT))
        if self.folder:
            mount(self.folder)
        try:
            return getattr(importlib.import_module(self.module), self.class_name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plug-in's file is anyone's: whatever it raises, exits too, costs it alone
            reason = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
            raise NotApplicable(f"{self.name} cannot be loaded from {self.file}: {' '.join(reason.split())}") from error


@dataclass(frozen=True)
class Registry:
    """All plug-ins there are.  problems: one line for every file or folder that could not be read."""

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
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return UsageError(f"no {what} {name!r}: {hint}there is {', '.join(known) or 'none'}")


def registry(root: Path = ROOT) -> Registry:
    """Read every plug-in file below `root` and in the folders outside it."""
    found, problems = folders()
    return read_all(root, found, problems)


def add_folder(path: Path) -> None:
    """Take the plug-ins of a folder outside the tree, in this process and those that it starts.

    UsageError, and nothing is taken, where it is no folder, holds no plug-in, or one of a name that is taken already.
    """
    folder = path.expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(
            f"--plugins {path} is not a folder; name one that holds plug-in files, methods/ or datasets/"
        )
    known, problems = folders()
    if folder in known:
        return
    found = read_all(ROOT, (*known, folder), problems)
    own = [plugin for plugin in found.plugins if plugin.folder == folder]
    clashes = [problem for problem in found.problems if str(folder) in problem]
    if clashes or not own:
        raise UsageError(
            clashes[0]
            if clashes
            else f"--plugins {path} holds no plug-in: a class of bench.Method,"
            ' bench.FrontEnd or bench.Dataset with name = "..."'
        )
    os.environ[VARIABLE] = os.pathsep.join(filter(None, (os.environ.get(VARIABLE, ""), str(folder))))


def folders() -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Plug-in folders outside the tree, from the environment and from entry points; and what is wrong with them."""
    found = [Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]
    problems = [f"{VARIABLE}: {folder} is not a folder" for folder in found if not folder.is_dir()]
    for name, package in installed():
        try:
            spec = find_spec(package)
            places = list(spec.submodule_search_locations or ()) if spec else []
        except Exception as error:  # finding a package below another imports that one, which is anyone's
            places = []
            problems.append(f"entry point {name} of {GROUP}: {package} cannot be found: {error}")
        found += [Path(place) for place in places]
    return tuple(dict.fromkeys(folder.absolute() for folder in found if folder.is_dir())), tuple(problems)


@cache
def installed() -> tuple[tuple[str, str], ...]:
    """(name, package) of the installed entry points."""
    return tuple((point.name, point.value) for point in entry_points(group=GROUP))


def package_of(folder: Path) -> str:
    """The private package name that a folder's modules are imported under: the same in every process."""
    return f"_bench_plugins_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def mount(folder: Path) -> None:
    """Let a folder's modules be imported below its private package."""
    name = package_of(folder)
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package


def files(root: Path, outside: tuple[Path, ...]) -> list[tuple[Path, str, str, Path | None]]:
    """Every plug-in file: (path, module, the module's package, folder outside the tree or None)."""
    found: list[tuple[Path, str, str, Path | None]] = []
    for base in ("datasets", "methods"):
        found += [(path, f"{base}.{path.stem}", base, None) for path in sorted((root / base).glob("*.py"))]
    for folder in outside:
        for base in ("", "datasets", "methods"):
            package = ".".join(filter(None, (package_of(folder), base)))
            found += [(p, f"{package}.{p.stem}", package, folder) for p in sorted((folder / base).glob("*.py"))]
    return found


@cache
def read_all(root: Path, outside: tuple[Path, ...], complaints: tuple[str, ...]) -> Registry:
    """The registry of the tree at `root` and of folders outside it."""
    classes: dict[tuple[str, str], ast.ClassDef] = {}
    origins: dict[str, dict[str, tuple[str, str]]] = {}
    places: dict[str, Path | None] = {}
    problems = list(complaints)
    for path, module, package, folder in files(root, outside):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError, OSError, RecursionError) as error:
            problems.append(f"{path if folder else path.relative_to(root)} is not a plug-in: {error}")
            continue
        places[module] = folder
        origins[module] = imported_names(tree, package)
        classes |= {(module, node.name): node for node in tree.body if isinstance(node, ast.ClassDef)}

    def lineage(module: str, node: ast.ClassDef) -> list[tuple[str, ast.ClassDef]]:
        """The class and its bases among the plug-in files with their modules, nearest first."""
        found = [(module, node)]
        for base in base_names(node):
            origin = origins[module].get(base, (module, base))
            if origin in classes and classes[origin] is not node:
                found += lineage(origin[0], classes[origin])
        return found

    plugins: dict[tuple[str, str], Plugin] = {}
    for (module, class_name), node in classes.items():
        name = constants(node).get("name")
        family = lineage(module, node)
        bases = [origins[m].get(base, (m, base))[1] for m, n in family for base in base_names(n)]
        kinds = [KINDS[base] for base in bases if base in KINDS]
        if not isinstance(name, str) or not kinds or module.rpartition(".")[2].startswith("_"):
            continue
        attributes = {k: v for _, n in reversed(family) for k, v in constants(n).items()}
        parameters = signature([n for _, n in family])
        text = ", ".join(f"{key}={value}" if value else key for key, value in parameters.items())
        plugin = Plugin(
            name, kinds[0], module, class_name, docstring(node), text, attributes, literals(parameters), places[module]
        )
        if (other := plugins.setdefault((plugin.kind, name), plugin)) is not plugin:
            problems.append(
                f"{other.file} and {plugin.file} both define the {plugin.kind} {name!r}; the second is ignored"
            )
    return Registry(tuple(plugins.values()), tuple(problems))
