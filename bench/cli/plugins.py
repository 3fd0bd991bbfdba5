"""Plug-ins from outside the tree: folders named on the command line and in BENCH_PLUGINS."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.plugin import registry


def find_plugins(folders: Sequence[Path]) -> None:
    """Add the folders to the registry, and say which files are no plug-ins.

    Worker processes find the folders in BENCH_PLUGINS.  UsageError for a folder that is not there.
    """
    named = [Path(part) for part in os.environ.get("BENCH_PLUGINS", "").split(os.pathsep) if part]
    chosen = list(dict.fromkeys(folder.expanduser().resolve() for folder in (*named, *folders)))
    for folder in chosen:
        if not folder.is_dir():
            raise UsageError(f"no folder {folder}: --plugins and BENCH_PLUGINS name folders of methods and data sets")
        registry.add_folder(folder)
    for problem in registry.registry().problems:
        print(f"bench: warning: {problem}", file=sys.stderr)
