"""Who is in training and test, which gallery images are drawn, and the guards around both.

Protocol of Jiao et al. (AAAI 2018): ten random halves of the people; probes: all low-resolution images of each test
person; gallery: one randomly selected high-resolution image per test person (single-shot).
"""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from bench.errors import DataError, listing
from bench.files import require_file
from bench.protocol.fusion import ANCHORS

PART = ("splits", 1)

AUTO_DRAWS = 100


@dataclass(frozen=True)
class Split:
    """Identity indices of one split, sorted: train (int64), test (int64)."""

    train: np.ndarray
    test: np.ndarray


def make_split(
    identities: Sequence[str],
    index: int,
    seed: int,
    split_file: Path | None = None,
    official: Sequence[Split] | None = None,
) -> Split:
    """Split `index`: from the file when there is one, then the data set's own, otherwise a random half of the people.

    The random halves depend on `seed`, `index` and the number of people only, so that the full-resolution and the
    multi-resolution variant of a data set share their splits.
    """
    if split_file:
        split = read_split_file(split_file, identities, index)
    elif official is not None:
        if index >= len(official):
            raise DataError(f"there is no split {index}: the data set has {len(official)} official splits, from 0 on")
        split = official[index]
    else:
        order = np.random.default_rng([seed, len(identities), 1, index]).permutation(len(identities))
        half = len(identities) // 2
        split = Split(np.sort(order[:half]), np.sort(order[half:]))
    check_split(split, identities)
    return split


def official_splits(
    given: Sequence[tuple[Iterable[str], Iterable[str]]], identities: Sequence[str]
) -> tuple[Split, ...]:
    """A data set's own splits, from labels to identity indices; DataError for a label that nobody has."""
    position = {label: i for i, label in enumerate(identities)}
    splits = []
    for index, parts in enumerate(given):
        labels = [[str(label) for label in part] for part in parts]
        unknown = sorted({label for part in labels for label in part if label not in position})
        if unknown:
            raise DataError(
                f"official split {index} names {len(unknown)} people who have no images: {listing(unknown)}"
            )
        train, test = (np.array(sorted({position[label] for label in part}), np.int64) for part in labels)
        splits.append(Split(train, test))
    return tuple(splits)


def training_rows(
    identity: np.ndarray, camera: np.ndarray, probe: np.ndarray, limit: int | None, seed: int
) -> np.ndarray:
    """(n,) bool: the images that training may use, at most `limit` of each person, camera and side; all where None.

    The choice depends on the labels and `seed` only, so that all splits share it.
    """
    if limit is None:
        return np.ones(len(identity), bool)
    order = np.random.default_rng([seed, len(identity), 4]).permutation(len(identity))
    kept, seen = np.zeros(len(identity), bool), Counter[tuple[int, str, bool]]()
    for row in order:
        view = int(identity[row]), str(camera[row]), bool(probe[row])
        seen[view] += 1
        kept[row] = seen[view] <= limit
    return kept


def check_split(split: Split, identities: Sequence[str]) -> None:
    """Training and test people must be disjoint and both at least two."""
    both = np.intersect1d(split.train, split.test)
    if len(both):
        names = listing([identities[i] for i in both])
        raise DataError(
            f"the split has {len(both)} people in training and in test: {names}; a person may be in one only"
        )
    for word, people in (("training", split.train), ("test", split.test)):
        if len(people) < 2:
            raise DataError(f"the split has {len(people)} {word} people; at least two are needed")


def read_rows(path: Path, *columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with their line numbers; DataError when it cannot be read or a column is missing.

    columns: that it must have, or several choices of them.
    """
    try:
        require_file(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, {k: (v or "").strip() for k, v in row.items() if k}) for row in reader]
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not any(set(choice) <= set(header) for choice in columns):
        missing = [column for column in columns[-1] if column not in header]
        wanted = " or ".join(",".join(choice) for choice in columns)
        raise DataError(f"{path}: no column {', '.join(missing)}; the header must be {wanted}")
    return rows


def read_split_file(path: Path, identities: Sequence[str], index: int) -> Split:
    """Split `index` of a CSV ``split,identity,part``; every person of the data set must be in it."""
    position = {label: i for i, label in enumerate(identities)}
    parts: dict[str, set[int]] = {"train": set(), "test": set()}
    available = set()
    for line, row in read_rows(path, ("split", "identity", "part")):
        available.add(row["split"])
        if row["split"] != str(index):
            continue
        if row["identity"] not in position:
            raise DataError(f"{path}, line {line}: the data set has no person {row['identity']!r}")
        if row["part"] not in parts:
            raise DataError(f"{path}, line {line}: part must be train or test, not {row['part']!r}")
        parts[row["part"]].add(position[row["identity"]])
    if not any(parts.values()):
        raise DataError(f"{path} has no split {index}; it has {listing(sorted(available), 12) or 'none'}")
    missing = [label for label, i in position.items() if i not in parts["train"] | parts["test"]]
    if missing:
        raise DataError(f"{path}, split {index}: {len(missing)} people of the data set are missing: {listing(missing)}")
    return Split(*(np.array(sorted(parts[part]), np.int64) for part in ("train", "test")))


def read_ratio_file(path: Path, images: Iterable[tuple[str, str]], files: Sequence[Path | None] = ()) -> list[Fraction]:
    """Ratios from a CSV ``path,ratio``, a row for each image, or ``identity,camera,ratio``, for all of such images.

    images: (identity, camera) of each.  files: their files, to which the paths lead from the CSV file's folder.

    DataError, naming the lines, for two ratios of one image, and for an image without a ratio.
    """
    table: dict[str, Fraction] = {}
    lines: dict[str, int] = {}
    known = {str(a): a for a in ANCHORS}
    rows = read_rows(path, ("path", "ratio"), ("identity", "camera", "ratio"))
    by_path = any("path" in row for _, row in rows)
    for line, row in rows:
        if row["ratio"] not in known:
            raise DataError(f"{path}, line {line}: ratio must be one of {', '.join(known)}, not {row['ratio']!r}")
        image = file_key(path.parent / row["path"]) if by_path else f"{row['identity']} (camera {row['camera']})"
        ratio = known[row["ratio"]]
        if table.setdefault(image, ratio) != ratio:
            raise DataError(
                f"{path}, line {line}: ratio {ratio} for {image}, {table[image]} on line {lines[image]}; give each"
                " image one ratio"
            )
        lines.setdefault(image, line)
    if by_path and (not files or None in files):
        raise DataError(f"{path}: this data set's images are in no files; the header must be identity,camera,ratio")
    wanted = [file_key(file) for file in files if file] if by_path else [f"{i} (camera {c})" for i, c in images]
    if missing := sorted(set(wanted) - table.keys()):
        raise DataError(f"{path}: no ratio for {len(missing)} images: {listing(missing)}")
    return [table[key] for key in wanted]


def file_key(path: Path) -> str:
    """A file's path with all links followed, by which two names of it are the same."""
    try:
        return os.path.realpath(path)
    except ValueError:  # a path that holds a NUL is none
        return str(path)


def gallery_draws(identity: np.ndarray, draws: int | str, seed: int, split: int, shots: int = 1) -> list[np.ndarray]:
    """Random galleries: row indices, `shots` images of each person (all where there are fewer), people ascending.

    identity: (n,) of the test people's gallery-side images.  draws: how many, or ``auto``: 1 where nobody has more than
    `shots` images, else 100 (the author's evaluator averages 100).
    """
    people, counts = np.unique(identity, return_counts=True)
    if draws == "auto":
        draws = 1 if counts.max() <= shots else AUTO_DRAWS
    order = np.argsort(identity, kind="stable")
    starts = np.cumsum(counts) - counts
    rng = np.random.default_rng([seed, len(people), 2, split])
    if shots == 1:
        return [order[starts + rng.integers(counts)] for _ in range(int(draws))]
    place = np.arange(len(identity)) - np.repeat(starts, counts)
    galleries = []
    for _ in range(int(draws)):
        shuffled = np.lexsort((rng.random(len(identity)), identity))
        galleries.append(shuffled[place < shots])
    return galleries


def folds(people: np.ndarray, n: int, seed: int, split: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """n (training, validation) partitions of training people, for the fusion's sigma."""
    order = np.random.default_rng([seed, len(people), 3, split]).permutation(people)
    held_out = np.array_split(order, n)
    return [(np.sort(np.setdiff1d(people, part)), np.sort(part)) for part in held_out]
