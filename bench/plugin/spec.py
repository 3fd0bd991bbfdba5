"""The grammar of a method or data set: ``name[key=value,...]``, a bare key is true.

``bicubic+xqda[solver=eigh]`` is the front-end `bicubic` before the method `xqda`.  Keys are constructor parameters of
the method, then of the front-end, or one of the harness's own options below; what each accepts is its annotation.
A spec is kept in canonical form (keys sorted, defaults dropped): that form names a cell.
"""

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from bench.errors import DataError, NotApplicable, UsageError
from bench.plugin.base import Dataset, FrontEnd, Method
from bench.plugin.grammar import DatasetOptions, MethodOptions, canonical, parse_anchors, split_text
from bench.plugin.registry import Plugin, registry, unknown


@dataclass(frozen=True)
class MethodSpec:
    """A resolved method: how to build it and its front-end, the harness's options, and its canonical text."""

    text: str
    method: Plugin
    method_parameters: Mapping[str, Any]
    frontend: Plugin | None
    frontend_parameters: Mapping[str, Any]
    options: MethodOptions = field(default_factory=MethodOptions)

    def build(self) -> Method:
        return self.method.load()(**self.method_parameters)

    def build_frontend(self) -> FrontEnd | None:
        return self.frontend.load()(**self.frontend_parameters) if self.frontend else None

    @property
    def anchors(self) -> tuple[Fraction, ...]:
        return parse_anchors(self.options.anchors)


@dataclass(frozen=True)
class DatasetSpec:
    """A resolved data set, likewise."""

    text: str
    dataset: Plugin
    parameters: Mapping[str, Any]
    options: DatasetOptions = field(default_factory=DatasetOptions)

    def build(self) -> Dataset:
        return self.dataset.load()(**self.parameters)

    @property
    def identity(self) -> str:
        """The text with every file named by its content, so that a cell's name does not depend on where files lie."""
        options = {f.name: value for f in fields(self.options) if (value := getattr(self.options, f.name)) != f.default}
        named = {**self.parameters, **options}
        for key, path in named.items():
            if isinstance(path, Path):
                try:
                    content = path.read_bytes()
                except OSError as error:
                    raise DataError(f"cannot read {path}: {error.strerror or error}") from error
                named[key] = f"sha256:{hashlib.sha256(content).hexdigest()[:12]}"
        return canonical(self.dataset.name, [named])


def accepted(kind: type) -> dict[str, tuple[Any, Any]]:
    """Parameters that a plug-in class or options dataclass accepts: name -> (annotation, default)."""
    target: Any = kind if is_dataclass(kind) else getattr(kind, "__init__")  # noqa: B009 (typed as Any)
    hints = get_type_hints(target, include_extras=True)
    parameters = [p for p in inspect.signature(kind).parameters.values() if p.kind != p.VAR_POSITIONAL]
    return {p.name: (hints.get(p.name, Any), p.default) for p in parameters if p.kind != p.VAR_KEYWORD}


def read_value(owner: str, key: str, value: str, annotation: Any, default: Any) -> Any:
    """Read and check one value by its annotation (an unannotated parameter by its default's type)."""
    if annotation is Any:
        annotation = type(default) if default is not inspect.Parameter.empty and default is not None else str
    try:
        read = TypeAdapter(annotation).validate_python(value)
        return read.expanduser() if isinstance(read, Path) else read
    except RuntimeError as error:  # of expanduser
        raise UsageError(f"the {key!r} parameter of {owner}: {value}: {error}") from None
    except ValidationError as error:
        wanted = " or ".join(dict.fromkeys(e["msg"].removeprefix("Input should be ") for e in error.errors()))
        raise UsageError(f"the {key!r} parameter of {owner} must be {wanted}; got {value!r}") from None


def distribute(text: str, pairs: Mapping[str, str], owners: list[tuple[str, type]]) -> list[dict[str, Any]]:
    """Give each ``key=value`` to the first owner that accepts the key; defaults are dropped."""
    tables = [accepted(kind) for _, kind in owners]
    given: list[dict[str, Any]] = [{} for _ in owners]
    for key, value in pairs.items():
        for (owner, _), table, values in zip(owners, tables, given, strict=True):
            if key in table:
                annotation, default = table[key]
                parsed = read_value(owner, key, value, annotation, default)
                if parsed != default:
                    values[key] = parsed
                break
        else:
            raise unknown(f"parameter of {text}", key, sorted({k for table in tables for k in table}))
    return given


def method_spec(text: str) -> MethodSpec:
    """Resolve a method's text.  UsageError on an unknown name, parameter or value."""
    name, pairs = split_text(text)
    frontend_name, plus, method_name = name.rpartition("+")
    plugins = registry()
    if plus and (method_name not in plugins.names("method") or frontend_name not in plugins.names("frontend")):
        raise unknown("method", name, method_names())
    if not plus and method_name not in plugins.names("method"):
        raise unknown("method", name, method_names())
    method = plugins.get("method", method_name)
    frontend = plugins.get("frontend", frontend_name) if plus else None
    if frontend and method.attributes.get("scales") == "own":
        raise NotApplicable(
            f"{method_name} deals with resolution itself: run it as {method_name!r}, without a front-end"
        )
    owners = [(method_name, method.load()), *([(frontend_name, frontend.load())] if frontend else [])]
    given = distribute(name, pairs, [*owners, ("the harness", MethodOptions)])
    if "anchors" in given[-1]:
        anchors = "+".join(map(str, parse_anchors(given[-1]["anchors"])))
        given[-1] = {k: v for k, v in given[-1].items() if k != "anchors"}
        if anchors != MethodOptions.anchors:
            given[-1]["anchors"] = anchors
    spec = MethodSpec(
        canonical(name, given), method, given[0], frontend, given[1] if frontend else {}, MethodOptions(**given[-1])
    )
    try:
        spec.build()
    except (TypeError, ValueError) as error:
        raise UsageError(f"{text}: {error}") from error
    return spec


def frontend_parameters(text: str) -> dict[str, Any]:
    """The parameters of a front-end named by itself.  UsageError on an unknown name, parameter or value."""
    name, pairs = split_text(text)
    return distribute(name, pairs, [(name, registry().get("frontend", name).load())])[0]


def dataset_spec(text: str) -> DatasetSpec:
    """Resolve a data set's text.  UsageError on an unknown name, parameter or value."""
    name, pairs = split_text(text)
    plugin = registry().get("dataset", name)
    kind = plugin.load()
    given = distribute(name, pairs, [(name, kind), ("the protocol", DatasetOptions)])
    return DatasetSpec(canonical(name, given), plugin, given[0], DatasetOptions(**given[1]))


def method_names() -> list[str]:
    """Every runnable name: ``front-end+method`` and bare names."""
    plugins = registry()
    composed = [
        f"{frontend}+{plugin.name}"
        for plugin in plugins.plugins
        if plugin.kind == "method" and plugin.attributes.get("scales", "front-end") == "front-end"
        for frontend in plugins.names("frontend")
    ]
    return sorted([*plugins.names("method"), *composed])


def check_applicable(method: MethodSpec, dataset: DatasetSpec) -> None:
    """Raise NotApplicable, with the reason, when a method makes no sense on a data set."""
    low = dataset.dataset.attributes.get("low_resolution")
    needs = method.method.attributes.get("scales", "front-end") == "front-end"
    name, where = method.method.name, dataset.dataset.name
    if low is None and method.frontend:
        raise NotApplicable(f"{where} is at full resolution, there is nothing to up-scale: run {name!r} on it")
    if low is None and not needs:
        raise NotApplicable(f"{name} is for low-resolution probes and {where} is at full resolution")
    fitted = method.frontend and any(method.frontend.attributes.get(a) for a in ("ratio_dependent", "learns"))
    if method.frontend and fitted and not method.method.attributes.get("anchored", True):
        raise NotApplicable(f"{method.frontend.name} has one model per anchor ratio and {name} has no anchors")
    if low is not None and needs and not method.frontend:
        frontends = ", ".join(f"{f}+{name}" for f in registry().names("frontend"))
        raise NotApplicable(f"{where} has low-resolution probes: {name!r} needs a front-end there, one of {frontends}")
