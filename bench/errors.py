"""What can go wrong for a user, each with its exit code and one line that says what would be right."""

import sysconfig
import traceback
from pathlib import Path

HARNESS = Path(__file__).resolve().parent
LIBRARIES = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib"))


class BenchError(Exception):
    """A cell failed or a check is out of tolerance: exit code 1."""

    exit_code = 1


class UsageError(BenchError):
    """An unknown name, parameter or value: exit code 2."""

    exit_code = 2


class DataError(BenchError):
    """A data set is missing, incomplete or unreadable: exit code 3."""

    exit_code = 3


class StorageError(BenchError):
    """A store or the cache cannot be written to: nothing more can be computed, exit code 1."""


class MissingData(DataError):
    """A data set is not there at all."""


class NotApplicable(UsageError):
    """Two that do not go together, or a plug-in that cannot be loaded; skipped unless named outright."""


def listing(items: list[str], most: int = 5) -> str:
    """``a, b, c and 4 more``: at most `most` of `items`, for error messages."""
    shown = ", ".join(items[:most])
    return shown + (f" and {len(items) - most} more" if len(items) > most else "")


def plural(count: int, noun: str, several: str = "") -> str:
    """``1 camera``, ``2 cameras``, ``1,264 images``.  several: the plural where it is not the noun and an s."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"


def describe(error: BaseException) -> str:
    """What a plug-in raised, in one line, with the place: ``ValueError: no image (methods/stripes.py, line 12)``.

    An error of the harness's own is its message.
    """
    if isinstance(error, BenchError):
        return " ".join(str(error).split())
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    place = place_of(error)
    return f"{text} ({place})" if place and place not in text else text


def place_of(error: BaseException) -> str:
    """The innermost line of a plug-in that an error passed, ``FILE, line N``; empty where there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_absolute() and is_plugin(path.resolve()):
            return f"{path.parent.name}/{path.name}, line {frame.lineno}"
    return ""


def is_plugin(path: Path) -> bool:
    """Whether a file is neither the harness's nor a library's."""
    if path.is_relative_to(HARNESS):
        return path.is_relative_to(HARNESS / "_tree")
    return not any(path.is_relative_to(folder) for folder in LIBRARIES)
