"""Weights files that training starts from: where they are and what they are called; nothing here reads their tensors.

A plug-in names them in `files(profile)`, and that is all it does about finding them.
"""

import hashlib
import os
from pathlib import Path

from bench.errors import DataError, listing

VARIABLE = "BENCH_WEIGHTS"
SUFFIXES = (".safetensors", ".mat", ".pt", ".pth")
"""Of the formats that can be read without running code from them."""


def weights_folder(given: Path | None = None) -> Path | None:
    """The folder of weights: `given`, else the environment variable ``BENCH_WEIGHTS``, else None.

    DataError when it is not a folder.
    """
    chosen = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if chosen is not None and not chosen.is_dir():
        source = "the weights folder" if given else f"{VARIABLE},"
        raise DataError(f"{source} {chosen} is not a folder; name the folder that holds the weights files")
    return chosen


def find_weights(name: str, given: Path | None = None) -> Path | None:
    """The file of that name (``x2.mat``, ``srcnn/x2.mat``) at any depth below `weights_folder`.

    Where there is none, one in another format that can be read (``x2.safetensors``) serves.  None when there is no
    weights folder or no such file below it; DataError when there are several.
    """
    folder = weights_folder(given)
    if folder is None:
        return None
    if (folder / name).is_file():
        return folder / name
    names = [name, *(str(Path(name).with_suffix(suffix)) for suffix in SUFFIXES if suffix != Path(name).suffix)]
    found: list[Path] = []
    for wanted in names:
        found += sorted(path for path in folder.rglob(Path(wanted).name) if path.is_file() and path.match(wanted))
        if found:
            break
    if len(found) > 1:
        raise DataError(f"several files are called {name}: {listing([str(p) for p in found])}; keep one of them")
    return found[0] if found else None


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def describe(path: Path) -> str:
    """A weights file in a few words: name, the start of its SHA-256 and, where its header says, what it learnt from."""
    source = ""
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        try:
            with safe_open(path, "np") as file:
                source = (file.metadata() or {}).get("trained_on", "")
        except Exception as error:  # the library raises several kinds for a damaged file
            raise DataError(f"{path} is not a readable .safetensors file: {error}") from error
    return f"{path.name} sha256 {sha256(path)[:12]}" + (f" (trained on {source})" if source else "")
