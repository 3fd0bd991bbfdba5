"""What can go wrong for a user, each with its exit code and one line that says what would be right."""


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


class Unreadable(BenchError):
    """A stored file that is not what its name says."""


class MissingPart(BenchError):
    """A plug-in says that it is built of a part that no module is."""


class NotApplicable(UsageError):
    """Two that do not go together, or a plug-in that cannot be loaded; skipped unless given by name."""


def visible(text: str) -> str:
    """Text in which whatever cannot be seen stands as an escape: ``\\x1b``, ``\\n``, ``\\u202e``, ``\\udc80``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


PLURALS = {"person": "people", "identity": "identities"}


def counted(number: int, noun: str) -> str:
    """``1 camera``, ``2 cameras``, ``1,264 people``."""
    return f"{number:,} {noun if number == 1 else PLURALS.get(noun, noun + 's')}"


def listing(items: list[str], most: int = 5) -> str:
    """``a, b, c and 4 more``: at most `most` of `items`, for error messages."""
    shown = ", ".join(items[:most])
    return shown + (f" and {len(items) - most} more" if len(items) > most else "")
