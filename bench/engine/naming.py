"""What the names of files say, by a pattern such as ``{camera}/{identity}_{frame}.jpg``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bench.errors import UsageError

KINDS = {"": "[^/]+", "d": "[0-9]+"}
"""What a field may stand for: anything within one folder's or file's name, or digits."""


@dataclass(frozen=True)
class Reading:
    """What a file's name says.  fields: by their names.  other: in another way; None where there is one way only."""

    fields: Mapping[str, str]
    other: Mapping[str, str] | None = None


class Pattern:
    """Text with fields in braces: ``{name}``, any characters but a slash, at least one, or ``{name:d}``, digits.

    A field that is there twice stands for the same text both times.  UsageError for braces of another form.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        parts = re.split(r"\{([^{}]*)\}", text)
        if any("{" in literal or "}" in literal for literal in parts[::2]):
            raise UsageError(f"pattern {text!r}: braces come in pairs around a name, such as {{camera}}")
        if text.startswith("/") or any(part in ("", ".", "..") for part in text.split("/")):
            raise UsageError(f"pattern {text!r}: paths are below the folder, parts between slashes are names")
        self.fields: list[str] = []
        expressions = []
        for literal, field in zip(parts[::2], [*parts[1::2], None], strict=True):
            expressions.append(re.escape(literal))
            if field is not None:
                expressions.append(self._expression(field))
        # Both of these find a name that can be read in one way alike, and others differently.
        long, short = ("".join(expressions), "".join(e.replace("]+)", "]+?)") for e in expressions))
        self._long, self._short = (re.compile(expression, re.DOTALL) for expression in (long, short))

    def _expression(self, field: str) -> str:
        found = re.fullmatch(r"([A-Za-z]\w*)(?::(\w*))?", field, re.ASCII)
        if not found or (found[2] or "") not in KINDS:
            raise UsageError(
                f"pattern {self.text!r}: {{{field}}} is no field; {{name}} stands for any text, {{name:d}} for digits"
            )
        if found[1] in self.fields:
            return f"(?P={found[1]})"
        self.fields.append(found[1])
        return f"(?P<{found[1]}>{KINDS[found[2] or '']})"

    def read(self, name: str) -> Reading | None:
        """What a path with slashes says; None where it does not fit."""
        long, short = self._long.fullmatch(name), self._short.fullmatch(name)
        if long is None or short is None:
            return None
        fields, other = long.groupdict(), short.groupdict()
        return Reading(fields, other if other != fields else None)
