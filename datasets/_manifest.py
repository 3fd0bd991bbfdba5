"""A CSV file that lists images, read and checked row by row; every fault is one line with the file and its line."""

import csv
import difflib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import DataError, listing

NEEDED = ("path", "person", "camera")
OPTIONAL = ("resolution", "split")
VALUES = {"resolution": ("lr", "hr"), "split": ("train", "test", "distractor", "")}


@dataclass(frozen=True)
class Row:
    """One image.  line: its line of the file, from 1.  path: below the manifest's folder, checked to be there.

    resolution: ``lr``, ``hr``, or empty where there is no such column.  split: ``train``, ``test``, ``distractor`` or
    empty.
    """

    line: int
    path: Path
    person: str
    camera: str
    resolution: str
    split: str


def read_manifest(file: Path) -> list[Row]:
    """All rows of a manifest; DataError on the first fault."""
    rows: list[Row] = []
    lines: dict[str, int] = {}
    folder = file.parent.resolve()
    for line, fields in read_fields(file):
        where = f"{file}, line {line}"
        for column in NEEDED:
            if not fields[column]:
                raise DataError(f"{where}: no {column}; each image needs {', '.join(NEEDED)}")
        for column, allowed in VALUES.items():
            if column in fields and fields[column] not in allowed:
                raise DataError(f"{where}: {column} must be {words(allowed)}, not {fields[column]!r}")
        path = image_path(where, folder, fields["path"])
        if (first := lines.setdefault(os.fspath(path), line)) != line:
            raise DataError(f"{where}: {fields['path']} is listed on line {first} already; list each image once")
        labels = (fields.get(column, "") for column in OPTIONAL)
        rows.append(Row(line, path, fields["person"], fields["camera"], *labels))
    if not rows:
        raise DataError(f"{file} lists no image below its header")
    check_splits(file, rows)
    return rows


def read_fields(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column -> value) of each row that is not empty."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the manifest {file}: {error.strerror or error}") from error
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
                raise DataError(f"{file}, line {reader.line_num}: {len(cells)} fields, the header has {len(header)}")
            else:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: not readable as CSV: {error}") from error
    if header is None:
        raise DataError(f"{file} is empty; its first line must be {','.join(NEEDED)}")


def check_header(file: Path, line: int, header: Sequence[str]) -> None:
    known = (*NEEDED, *OPTIONAL)
    for column in header:
        if column not in known:
            close = difflib.get_close_matches(column, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise DataError(f"{file}, line {line}: no column is called {column!r}: {hint}there is {', '.join(known)}")
    if missing := [column for column in NEEDED if column not in header]:
        raise DataError(f"{file}, line {line}: no column {', '.join(missing)}; the header must be {','.join(NEEDED)}")
    if twice := sorted({column for column in header if header.count(column) > 1}):
        raise DataError(f"{file}, line {line}: the column {listing(twice)} is there twice")


def image_path(where: str, folder: Path, text: str) -> Path:
    """The file that a row names, with every link followed; DataError unless it is a file below the folder."""
    if Path(text).is_absolute():
        raise DataError(f"{where}: {text} is an absolute path; give it relative to the manifest's folder, {folder}")
    try:
        path = (folder / text).resolve(strict=True)
    except FileNotFoundError as error:
        raise DataError(f"{where}: there is no file {folder / text}") from error
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links is either of the first, a NUL the third
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{where}: {text!r} cannot be followed: {reason}") from error
    if not path.is_relative_to(folder):
        raise DataError(f"{where}: {text} leads outside the manifest's folder, {folder}")
    if not path.is_file():
        raise DataError(f"{where}: {path} is not a file")
    if path.stat().st_size == 0:
        raise DataError(f"{where}: {path} is empty (0 bytes)")
    return path


def check_splits(file: Path, rows: Sequence[Row]) -> None:
    """A person is in one part; either all people are in a part or none is."""
    first: dict[str, Row] = {}
    for row in rows:
        before = first.setdefault(row.person, row)
        if before.split != row.split:
            raise DataError(
                f"{file}, line {row.line}: person {row.person} is {named(row.split)} here and {named(before.split)} on"
                f" line {before.line}; a person may be in one part only"
            )
    people = [row for row in first.values() if row.split != "distractor"]
    unparted = [row for row in people if not row.split]
    if unparted and len(unparted) < len(people):
        row = unparted[0]
        raise DataError(
            f"{file}, line {row.line}: person {row.person} has no split; give one for every person or for none"
        )


def named(split: str) -> str:
    return split or "in no split"


def words(allowed: Sequence[str]) -> str:
    return " or ".join(value or "empty" for value in allowed)
