"""Folders of images whose names carry the labels."""

import re
from collections.abc import Iterator
from pathlib import Path

from bench.engine.folders import child, contents, images
from bench.errors import DataError


def named_images(folder: Path, pattern: str, example: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """The images of a folder, in the order of their names, each with its name's match.

    folder: its last part may be there in other upper and lower case, as may the names of images.
    pattern: regular expression that a whole name must match.  example: such a name; files of other endings (Thumbs.db,
    readme.txt) and hidden ones are passed over.  DataError where the folder is missing or a name does not match.
    """
    folder = child(folder.parent, folder.name)
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; the release has {folder.name}/{example} there; {contents(folder.parent)}")
    for path in images(folder, (Path(example).suffix,)):
        match = re.fullmatch(pattern, path.name, re.IGNORECASE)
        if match is None:
            raise DataError(f"{path} is not named as in the release, such as {example}")
        yield path, match
