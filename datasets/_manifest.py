"""A CSV file that lists images, read and checked row by row; faults are reported all at once, each with its line."""

import csv
import difflib
import io
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.errors import DataError, listing
from bench.files import require_file

NEEDED = ("path", "person", "camera")
OPTIONAL = ("resolution", "split")
WRONG = ""
"""Stands for the columns of a row that has too few or too many fields."""
MOST_FAULTS = 20
VALUES = {"resolution": ("lr", "hr"), "split": ("train", "test", "distractor", "")}


class Row(NamedTuple):
    """One image.  line: its line of the file, from 1.  path: below the manifest's folder, checked to be there; the
    manifest's own where nobody looked.

    resolution: ``lr``, ``hr``, or empty where there is no such column.  split: ``train``, ``test``, ``distractor`` or
    empty.
    """

    line: int
    path: Path
    person: str
    camera: str
    resolution: str
    split: str


class Faults:
    """What is wrong with the lines of a manifest, reported all at once."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._found: list[tuple[int, str]] = []

    def add(self, line: int, text: str) -> None:
        self._found.append((line, text))

    def check(self) -> None:
        """DataError with every fault, the first `MOST_FAULTS` in words, where there is any."""
        found = sorted(self._found)
        if len(found) == 1:
            raise DataError(f"{self.file}, line {found[0][0]}: {found[0][1]}")
        if found:
            more = f"; and {len(found) - MOST_FAULTS} more" if len(found) > MOST_FAULTS else ""
            shown = "; ".join(f"line {line}: {text}" for line, text in found[:MOST_FAULTS])
            raise DataError(f"{self.file}: {len(found)} faults: {shown}{more}")


def read_manifest(file: Path, faults: Faults, look: bool = True) -> list[Row]:
    """All rows of a manifest.  look: for the images that they name, too.

    DataError where it cannot be read at all, or rows lack what others are checked against; the faults of its lines are
    added to `faults` otherwise, for the caller to add its own and to check.
    """
    rows: list[Row] = []
    lines: dict[str, int] = {}
    images = Images(file.parent.resolve())
    complete = True
    for line, fields in read_fields(file, faults):
        found = list(row_faults(fields))
        path = None
        if look and fields.get("path"):
            try:
                path = images.path(fields["path"])
            except DataError as error:
                faults.add(line, str(error))
        if path and (first := lines.setdefault(os.fspath(path), line)) != line:
            found.append(f"{fields['path']} is listed on line {first} already; list each image once")
        for text in found:
            faults.add(line, text)
        complete = complete and not found
        if not found:
            labels = (fields.get(column, "") for column in OPTIONAL)
            rows.append(Row(line, path or file, fields["person"], fields["camera"], *labels))
    if not complete:
        faults.check()
    if not rows:
        raise DataError(f"{file} lists no image below its header")
    check_splits(rows, faults)
    return rows


def row_faults(fields: dict[str, str]) -> Iterator[str]:
    """What is wrong with the labels of a row."""
    if set(fields) == {WRONG}:
        yield fields[WRONG]
        return
    for column in NEEDED:
        if not fields[column]:
            yield f"no {column}; each image needs {', '.join(NEEDED)}"
    for column, allowed in VALUES.items():
        if column in fields and fields[column] not in allowed:
            yield f"{column} must be {words(allowed)}, not {fields[column]!r}"


def read_fields(file: Path, faults: Faults) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column -> value) of each row that is not empty; {WRONG: fault} of one that does not fit the header."""
    try:
        require_file(file)
        content = file.read_bytes()
    except OSError as error:
        hint = "; folders are separated by /" if "\\" in str(file) and os.sep == "/" else ""
        raise DataError(f"cannot read the manifest {file}: {error.strerror or error}{hint}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{file}, line {line}: not UTF-8 text; save the manifest as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for values in reader:
            cells = [value.strip() for value in values]
            if not any(cells):
                continue
            if header is None:
                header = cells
                check_header(file, reader.line_num, header)
            elif len(cells) != len(header):
                yield reader.line_num, {WRONG: f"{len(cells)} fields, the header has {len(header)}"}
            else:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:  # what follows cannot be split into rows
        faults.add(reader.line_num, f"not readable as CSV: {error}")
        faults.check()
    if header is None:
        raise DataError(f"{file} is empty; its first line must be {','.join(NEEDED)}")


def check_header(file: Path, line: int, header: Sequence[str]) -> None:
    known = (*NEEDED, *OPTIONAL)
    for mark, marks in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            raise DataError(f"{file}, line {line}: columns are separated by {marks}; save the manifest with commas")
    for column in header:
        if column not in known:
            close = difflib.get_close_matches(column, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise DataError(f"{file}, line {line}: no column is called {column!r}: {hint}there is {', '.join(known)}")
    if missing := [column for column in NEEDED if column not in header]:
        raise DataError(f"{file}, line {line}: no column {', '.join(missing)}; the header must be {','.join(NEEDED)}")
    if twice := sorted({column for column in header if header.count(column) > 1}):
        raise DataError(f"{file}, line {line}: the column {listing(twice)} is there twice")


class Images:
    """The files below a folder that rows name.  The links of a folder that many of them lie in are followed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._folders: dict[str, str | None] = {}

    def path(self, text: str) -> Path:
        """As `image_path`."""
        head, tail = os.path.split(text)
        if head not in self._folders:
            self._folders[head] = self._followed(head)
        inside = self._folders[head]
        if inside is not None and tail not in ("", ".", ".."):
            try:
                status = os.lstat(path := os.path.join(inside, tail))
            except (OSError, ValueError):
                return image_path(self.folder, text)
            if stat.S_ISREG(status.st_mode) and status.st_size:
                return Path(path)
        return image_path(self.folder, text)

    def _followed(self, head: str) -> str | None:
        """A folder with every link followed; None where it is not there, or leads outside, or names have two forms."""
        try:
            path = (self.folder / head).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None
        plain = os.name == "posix" and not os.path.isabs(head)
        return os.fspath(path) if plain and path.is_relative_to(self.folder) else None


def image_path(folder: Path, text: str) -> Path:
    """The file that a row names, with every link followed; DataError unless it is a file below the folder."""
    if Path(text).is_absolute():
        raise DataError(f"{text} is an absolute path; give it relative to the manifest's folder, {folder}")
    try:
        path = (folder / text).resolve()
        if not path.is_relative_to(folder):  # said first: what lies outside is not even looked for
            raise DataError(f"{text} leads outside the manifest's folder, {folder}")
        path = path.resolve(strict=True)
    except FileNotFoundError as error:
        hint = "; folders are separated by /" if "\\" in text and os.sep == "/" else ""
        raise DataError(f"there is no file {folder / text}{hint}") from error
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links is either of the first, a NUL the third
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{text!r} cannot be followed: {reason}") from error
    if not path.is_file():
        raise DataError(f"{path} is not a file")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes)")
    return path


def check_splits(rows: Sequence[Row], faults: Faults) -> None:
    """A person is in one part; either all people are in a part or none is."""
    first: dict[str, Row] = {}
    for row in rows:
        before = first.setdefault(row.person, row)
        if before.split != row.split:
            faults.add(
                row.line,
                f"person {row.person} is {named(row.split)} here and {named(before.split)} on line {before.line};"
                " a person may be in one part only",
            )
    people = [row for row in first.values() if row.split != "distractor"]
    unparted = [row for row in people if not row.split]
    if len(unparted) < len(people):
        for row in unparted:
            faults.add(row.line, f"person {row.person} has no split; give one for every person or for none")


def named(split: str) -> str:
    return split or "in no split"


def words(allowed: Sequence[str]) -> str:
    return " or ".join(value or "empty" for value in allowed)
