"""Names of methods and data sets as users write them and as tables print them."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.plugin.grammar import split_text
from bench.plugin.registry import unknown
from bench.report.groups import base_and_subset

DIGEST = re.compile(r"sha256:([0-9a-f]{7,})")
SHORTEST = 6


class Aliases:
    """Short names in place of those of methods and data sets: the user's own, and some for files.

    Files are named by their content: ``mlr_viper[split_file=sha256:a6e759ec75bd]`` becomes
    ``mlr_viper[split_file=a6e759]``.

    given: name -> the user's alias.  UsageError where two names would be printed alike.
    """

    def __init__(self, names: Iterable[str], given: Mapping[str, str] | None = None) -> None:
        names = list(names)
        digests = sorted({digest for name in names for digest in DIGEST.findall(name)})
        length = SHORTEST
        while len({digest[:length] for digest in digests}) < len(digests):
            length += 1
        self.short = {digest: digest[:length] for digest in digests}
        self.given = dict(given or {})
        printed: dict[str, str] = {}
        for name in dict.fromkeys(names):
            if (other := printed.setdefault(self(name), name)) != name and {name, other} & self.given.keys():
                raise UsageError(f"{other!r} and {name!r} would both be printed as {self(name)!r}: give other aliases")

    def __call__(self, name: str) -> str:
        """A method's or data set's name as it is printed."""
        return self.given[name] if name in self.given else self.files(name)

    def files(self, text: str) -> str:
        """Text with files by their short names."""
        return DIGEST.sub(lambda match: self.short.get(match[1], match[0]), text)

    @property
    def legends(self) -> list[str]:
        """What the short names stand for, a line for each kind."""
        own = "; ".join(f"{alias} is {name}" for name, alias in self.given.items())
        files = ", ".join(f"{short} is sha256:{digest}" for digest, short in self.short.items())
        return [
            *([f"short names: {own}"] if own else []),
            *([f"files are named by their content: {files}"] if files else []),
        ]


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
