"""Plug-ins from outside the tree: folders named on the command line and in BENCH_PLUGINS."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UsageError
from bench.plugin.outside import VARIABLE
from bench.plugin.registry import registry


@contextmanager
def added_plugins(folders: Sequence[Path]) -> Iterator[None]:
    """Add folders to those in the environment, and say which files are no plug-ins; as before at the end.

    UsageError for a folder that is not there.
    """
    before = os.environ.get(VARIABLE, "")
    named = [Path(part) for part in before.split(os.pathsep) if part]
    chosen = [folder.expanduser().resolve() for folder in (*named, *folders)]
    for folder in chosen:
        if not folder.is_dir():
            raise UsageError(f"no folder {folder}: --plugins and {VARIABLE} name folders of methods and data sets")
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys(map(str, chosen)))
    try:
        for problem in registry().problems:
            print(f"bench: warning: {problem}", file=sys.stderr)
        yield
    finally:
        os.environ[VARIABLE] = before
