"""Weights files that training starts from: where they are and what they are called; nothing here reads their tensors.

A plug-in names them in `files(profile)`, and that is all it does about finding them.  They are looked for below the
folder that --weights or BENCH_WEIGHTS names, then in the folder `weights` beside the plug-in's own file.
"""

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import DataError, listing

if TYPE_CHECKING:
    from bench.plugin.base import Trained

VARIABLE = "BENCH_WEIGHTS"
SUFFIXES = (".safetensors", ".mat", ".pt", ".pth")
"""Of the formats that can be read without running code from them."""
OWN = "weights"
"""The folder beside a plug-in's file that holds the weights which travel with it."""


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


def own_folders(plugin: "Trained") -> list[Path]:
    """The folders of weights that travel with a plug-in: beside its own file, then beside those of its bases."""
    files = [getattr(sys.modules.get(kind.__module__), "__file__", None) for kind in type(plugin).__mro__]
    folders = dict.fromkeys(Path(file).resolve().parent / OWN for file in files if file)
    return [folder for folder in folders if folder.is_dir()]


def found_weights(plugin: "Trained", weights: Path | None, profile: str) -> dict[str, Path | None]:
    """Each of a plug-in's `files(profile)` with its path, None where it is nowhere.

    weights: the folder that the user named, which comes first; None where there is none.
    """
    folders = [*([weights] if weights else []), *own_folders(plugin)]

    def first(name: str) -> Path | None:
        found = (find_weights(name, folder) for folder in folders)
        return next((path for path in found if path), None)

    return {name: first(name) for name in plugin.files(profile)}


def missing_weights(plugin: "Trained", weights: Path | None, profile: str) -> str | None:
    """None when all of a plug-in's `files(profile)` are there, otherwise the reason why it cannot run here."""
    missing = [name for name, path in found_weights(plugin, weights, profile).items() if path is None]
    if not missing:
        return None
    folders = [str(folder) for folder in (weights, *own_folders(plugin)) if folder]
    where = ", ".join(
        [
            *([f"not below {' or '.join(folders)}"] if folders else []),
            *([] if weights else ["looked for in --weights or BENCH_WEIGHTS, and neither is given"]),
        ]
    )
    scratch = f"; {plugin.name}[scratch] starts from random weights" if "scratch" in plugin.get_params() else ""
    return f"{plugin.name} starts from {', '.join(missing)}, {where}{scratch}"


def initial_weights(plugin: "Trained", weights: Path | None, profile: str) -> list[Path]:
    """The paths of a plug-in's `files(profile)`, in their order; their contents become part of a cell's name.

    weights: as `Train.weights`.  DataError where one is missing.
    """
    if reason := missing_weights(plugin, weights, profile):
        raise DataError(reason)
    return [path for path in found_weights(plugin, weights, profile).values() if path]


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


def named_in(initialisation: str) -> dict[str, str]:
    """The weights files that a fitted one's ``initialisation_`` names by `describe`, each with its description."""
    found = re.finditer(r"([^\s;,]+) sha256 [0-9a-f]{12}(?: \(trained on [^;]*\))?", initialisation)
    return {match[1]: match[0] for match in found}
