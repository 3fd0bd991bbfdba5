"""Where results lie: those that come with bench, and the user's own."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from bench.cli.output import say
from bench.engine.store import MEASURED, Result, Store, own_folder, read_stores
from bench.errors import UsageError


def reading_folders(given: Path | None) -> list[Path]:
    """The stores to read together, the first one's cells counting where several have them.

    UsageError for a folder named on the command line that holds no cell.
    """
    if given is None:
        return [MEASURED, own_folder()]
    holds = given.is_dir() and (not any(given.iterdir()) or any(Store(given).files()))
    if not holds:
        why = "it holds other files" if given.is_dir() else "no such folder"
        raise UsageError(f"no cell here: {given} ({why}); --results names a folder that `run` has filled")
    return [given]


def read_cells(options: Namespace, failures: bool = False) -> tuple[list[Result], list[str]]:
    """The cells that a reading command is about, and a line for each unreadable file."""
    return read_stores(reading_folders(options.results), failures)


def writing_stores(given: Path | None) -> tuple[Store, tuple[Store, ...]]:
    """The store that a run writes to, and others whose finished cells count.

    UsageError for a folder on the command line that would have to be made more than one level deep.
    """
    if given is None:
        return Store(own_folder()), (Store(MEASURED),)
    if not given.parent.exists():
        raise UsageError(f"--results {given}: there is no folder {given.parent} to make it in")
    return Store(given), ()


def report_problems(problems: Sequence[str]) -> int:
    """Say which result files cannot be read; the exit code."""
    for line in problems:
        say(f"bench: {line}")
    return 1 if problems else 0
