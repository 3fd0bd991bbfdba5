"""Specs of plug-in classes that a test defines itself, as the registry and the grammar would make them."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.plugin.base import FrontEnd
from bench.plugin.grammar import MethodOptions
from bench.plugin.registry import Plugin
from bench.plugin.spec import MethodSpec
from bench.protocol.resize import resize_all


class Plain(FrontEnd):
    name = "plain"

    def upscale(self, images, size) -> np.ndarray:
        return resize_all(images, size)


def plugin(kind: str, cls: type) -> Plugin:
    literal = bool | str | int | tuple
    attributes = {k: v for base in reversed(cls.__mro__) for k, v in vars(base).items() if isinstance(v, literal)}
    return Plugin(cls.name, kind, cls.__module__, cls.__name__, "", "", attributes)


def spec(
    method: type, frontend: type | None = Plain, parameters: Mapping[str, Any] | None = None, **options
) -> MethodSpec:
    """A method behind a front-end."""
    assert getattr(sys.modules[method.__module__], method.__name__) is method
    front = plugin("frontend", frontend) if frontend else None
    text = f"{frontend.name}+{method.name}" if frontend else method.name
    return MethodSpec(text, plugin("method", method), parameters or {}, front, {}, MethodOptions(**options))
