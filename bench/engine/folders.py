"""Where a data set lies: its folder under any usual name, and the files in it that are images."""

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from bench.errors import MissingData, listing
from bench.plugin.base import Dataset


def folder_of(dataset: Dataset, root: Path | None) -> Path:
    """The data set's own folder, below the data root or the root itself; DataError, which says what is there instead.

    The names of folders match in upper and lower case, and one more level of folders, as archives unpack to, is looked
    through.
    """
    if dataset.folder is None:
        return Path()
    if root is None:
        holds = "them" if dataset.folder == "." else dataset.folder
        raise MissingData(
            f"{dataset.name} needs its images: name the folder that holds {holds} with --data or"
            f" BENCH_DATA ({dataset.obtain})"
        )
    named = []
    for folder in candidates(root, (dataset.folder, *dataset.other_folders)):
        if all(there(folder, pattern) for pattern in dataset.holds):
            if dataset.holds or folder != root:
                return folder
        elif folder.parent == root and folder != root:
            named.append(folder)
    if dataset.folder == "." and root.is_dir():
        return root
    if named:  # the reader knows best what is missing in it
        return named[0]
    raise MissingData(f"{dataset.name}: no folder {root / dataset.folder}; get {dataset.obtain}; {contents(root)}")


def candidates(root: Path, names: Sequence[str]) -> Iterator[Path]:
    """Folders that may be a data set of those names, likeliest first: by name, one level below, the root itself."""
    wanted = {name.casefold() for name in names}
    named = sorted((p for p in folders(root) if p.name.casefold() in wanted), key=lambda p: p.name != names[0])
    yield from named
    for folder in named:
        yield from folders(folder)
    if root.is_dir():
        yield root


def folders(folder: Path) -> list[Path]:
    return [path for path in entries(folder) if path.is_dir()]


def entries(folder: Path) -> list[Path]:
    """What a folder holds, in the order of its names, but for hidden files, such as the ``._`` ones of macOS."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def there(folder: Path, pattern: str) -> bool:
    """Whether a folder holds something of that pattern, such as ``cam_a/*.bmp``, in upper or lower case."""
    first, _, rest = pattern.partition("/")
    found = (path for path in entries(folder) if fnmatchcase(path.name.casefold(), first.casefold()))
    return any(not rest or there(path, rest) for path in found)


def child(folder: Path, name: str) -> Path:
    """The path of that name in a folder, as it is there in upper or lower case."""
    exact = folder / name
    if exact.exists():
        return exact
    try:
        return next(
            (folder / other for other in sorted(os.listdir(folder)) if other.casefold() == name.casefold()), exact
        )
    except OSError:
        return exact


def images(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of a folder that end in one of the suffixes, in upper or lower case, in the order of their names."""
    return [path for path in entries(folder) if path.suffix.lower() in suffixes]


def contents(folder: Path) -> str:
    """What a folder holds, in words."""
    if not folder.is_dir():
        return f"there is no folder {folder}"
    return f"{folder} holds {listing([path.name for path in entries(folder)]) or 'nothing'}"
