"""Names of methods and data sets as users write them and as tables print them."""

import fnmatch
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.plugin.grammar import split_text
from bench.plugin.registry import unknown
from bench.report.groups import base_and_subset

DIGEST = re.compile(r"sha256:([0-9a-f]{7,})")
SHORTEST = 6


class Aliases:
    """Short names for the files, named by their content, in the names that a table prints.

    ``mlr_viper[split_file=sha256:a6e759ec75bd]`` becomes ``mlr_viper[split_file=a6e759]``.
    """

    def __init__(self, names: Iterable[str]) -> None:
        digests = sorted({digest for name in names for digest in DIGEST.findall(name)})
        length = SHORTEST
        while len({digest[:length] for digest in digests}) < len(digests):
            length += 1
        self.short = {digest: digest[:length] for digest in digests}

    def __call__(self, name: str) -> str:
        return DIGEST.sub(lambda match: self.short.get(match[1], match[0]), name)

    @property
    def legend(self) -> str | None:
        """What the short names stand for; None without any."""
        if not self.short:
            return None
        pairs = ", ".join(f"{short} is sha256:{digest}" for digest, short in self.short.items())
        return f"files are named by their content: {pairs}"


def select(patterns: Sequence[str], names: Sequence[str], what: str) -> list[str]:
    """The names that patterns stand for, in the order of `names`.

    A pattern is a name, a glob, a name with options in any order, one with files in place of their content, or a short
    name of a table.  UsageError for one that stands for none.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        found = matching(with_content(pattern) if what == "data set" else pattern, names)
        if not found:
            raise unknown(what, pattern, list(names))
        chosen.update(found)
    return [name for name in names if name in chosen]


def matching(pattern: str, names: Sequence[str]) -> list[str]:
    """The names that one pattern stands for; a name that is there stands for itself alone."""
    wanted = {pattern, normal(pattern)}
    short = Aliases(names)
    exact = [name for name in names if {name, short(name), normal(name), normal(short(name))} & wanted]
    # Brackets hold options here, not the letters of a glob.
    glob = re.sub(r"([\[\]])", r"[\1]", pattern)
    return exact or [name for name in names if fnmatch.fnmatchcase(name, glob)]


def normal(name: str) -> str:
    """A spec with its options in order and its numbers as numbers; as it is where it does not parse."""
    try:
        base, subset = base_and_subset(name)
    except UsageError:
        return name
    return f"{base} {subset}"


def with_content(name: str) -> str:
    """A data set whose options name files, with these named by their content; any other text as it is."""
    try:
        _, pairs = split_text(name)
    except UsageError:
        return name
    if not any(Path(value).expanduser().is_file() for value in pairs.values()):
        return name
    from bench.plugin.spec import dataset_spec

    return dataset_spec(name).identity
