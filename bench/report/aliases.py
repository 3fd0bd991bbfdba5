"""Aliases that a user gives the methods and data sets of a table: NAME=ALIAS on the command line or in a file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UsageError
from bench.plugin.grammar import without_quoted
from bench.plugin.registry import unknown
from bench.report.names import matching, with_content


@dataclass(frozen=True)
class Alias:
    """name: as a user writes it, options in any order, files by their paths.  needed: a table must have such a row or
    data set; those of a file, which serves several tables, need not be there."""

    name: str
    alias: str
    needed: bool = True


def parse_alias(text: str, needed: bool = True) -> Alias:
    """``bicubic+xqda[solver=eigh]=XQDA, eigh``; UsageError for text of another form."""
    found = re.fullmatch(r'([^\[\]="]+(?:\[[^\[\]]*\])?)=(.*)', without_quoted(text), re.DOTALL)
    name, alias = (text[: found.end(1)].strip(), text[found.end(1) + 1 :].strip()) if found else ("", "")
    if not name or not alias:
        raise UsageError(f"{text!r} is not of the form NAME=ALIAS, such as 'bicubic+name[key=value]=Short'")
    return Alias(name, alias, needed)


def read_aliases(path: Path) -> list[Alias]:
    """One alias a line; empty lines and those that begin with # are passed over.  UsageError, naming the line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"cannot read aliases from {path}: {reason}") from error
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                found.append(parse_alias(line, needed=False))
            except UsageError as error:
                raise UsageError(f"{path}, line {number}: {error}") from None
    return found


def resolve(aliases: Sequence[Alias], datasets: Sequence[str], methods: Sequence[str]) -> dict[str, str]:
    """Full name -> alias, of a table's data sets and methods; the later of two for one name counts.

    UsageError for a needed alias of a name that is not there, and for one that stands for several.
    """
    found: dict[str, str] = {}
    for given in aliases:
        names = [*matching(with_content(given.name), datasets), *matching(given.name, methods)]
        if len(names) > 1:
            raise UsageError(f"{given.name!r} stands for {', '.join(names)}: an alias is for one name")
        if not names and given.needed:
            raise unknown("row or data set of this table", given.name, [*datasets, *methods])
        found |= dict.fromkeys(names, given.alias)
    return found
