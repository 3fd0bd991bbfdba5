"""What the text of a plug-in file says of its classes, without importing it: names, bases, attributes, parameters."""

import ast
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

from bench.plugin.weights_files import SUFFIXES


def imported_names(tree: ast.Module, package: str) -> dict[str, tuple[str, str]]:
    """What ``from module import name`` brings into a file of `package`: local name -> (module, name there)."""
    return {
        alias.asname or alias.name: (f"{package}.{node.module}" if node.level else str(node.module), alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def base_names(node: ast.ClassDef) -> list[str]:
    return [name for base in node.bases if (name := name_of(base))]


def docstring(node: ast.ClassDef) -> str:
    return (ast.get_docstring(node) or "").split("\n")[0]


def constants(node: ast.ClassDef) -> dict[str, object]:
    """Class attributes that are literal values; a dataclass's fields are parameters and not among them."""
    found: dict[str, object] = {}
    parameters = dataclass_fields(node)
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            target, value = statement.targets[0].id, statement.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            target, value = statement.target.id, statement.value
        else:
            continue
        try:
            if target not in parameters:
                found[target] = ast.literal_eval(value)
        except ValueError:
            continue
    return found


def module_constants(tree: ast.Module) -> dict[str, ast.expr]:
    """What a file assigns to names of its own at its top."""
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def weights_named(node: ast.ClassDef, constant: Callable[[str], ast.expr | None]) -> tuple[str, ...] | None:
    """The weights files that a class's own method `files` names, as text or by constants; None where it has none.

    constant: what a name stands for in the class's file, None where that is no constant.
    """
    methods = [s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "files"]
    if not methods:
        return None
    values = [value for part in ast.walk(methods[-1]) if isinstance(part, ast.Name) and (value := constant(part.id))]
    texts = [part.value for top in (methods[-1], *values) for part in ast.walk(top) if isinstance(part, ast.Constant)]
    return tuple(dict.fromkeys(t for t in texts if isinstance(t, str) and PurePath(t).suffix.lower() in SUFFIXES))


def signature(family: Sequence[ast.ClassDef]) -> dict[str, str]:
    """Constructor parameters of a class with the source of their defaults, empty for none.

    family: the class and its bases, nearest first.  The nearest constructor counts; a dataclass's takes the fields of
    the dataclasses among its bases, then its own.
    """
    for index, node in enumerate(family):
        if (written := init_signature(node)) is not None:
            return written
        if is_dataclass(node):
            return {k: v for base in reversed(family[index:]) for k, v in dataclass_fields(base).items()}
    return {}


def is_dataclass(node: ast.ClassDef) -> bool:
    decorators = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(name_of(d) == "dataclass" for d in decorators)


def dataclass_fields(node: ast.ClassDef) -> dict[str, str]:
    """Fields of a class that is a dataclass, with their defaults' source; none of another class."""
    found: dict[str, str] = {}
    for statement in node.body if is_dataclass(node) else ():
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        annotation = statement.annotation
        annotation = annotation.value if isinstance(annotation, ast.Subscript) else annotation
        if name_of(annotation) != "ClassVar":
            found[statement.target.id] = default_source(statement.value)
    return found


def default_source(value: ast.expr | None) -> str:
    """Of a field: the value itself, or the ``default`` of a call of ``field``; empty for none."""
    if isinstance(value, ast.Call) and name_of(value.func) == "field":
        value = next((keyword.value for keyword in value.keywords if keyword.arg == "default"), None)
    return ast.unparse(value) if value else ""


def name_of(node: ast.expr) -> str:
    """``x`` of the expressions ``x`` and ``module.x``."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def init_signature(node: ast.ClassDef) -> dict[str, str] | None:
    """Parameters of the constructor with their defaults' source, empty for none; None where the class has no own."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            arguments = statement.args.args[1:] + statement.args.kwonlyargs
            defaults = [*statement.args.defaults, *(d for d in statement.args.kw_defaults if d is not None)]
            sources = ["" for _ in arguments[len(defaults) :]] + [ast.unparse(default) for default in defaults]
            return {argument.arg: source for argument, source in zip(arguments, sources, strict=True)}
    return None


def literals(signature: Mapping[str, str]) -> dict[str, object]:
    """The defaults as values; one that is not a literal stands as its source."""
    found: dict[str, object] = {}
    for key, source in signature.items():
        try:
            found[key] = ast.literal_eval(source)
        except (ValueError, SyntaxError):
            found[key] = source
    return found
