"""Weights files: found, read without ever running code from them, and loaded into a network with clear errors.

Formats by suffix: ``.safetensors``, Matlab's ``.mat`` up to version 7.2, and ``.pt`` or ``.pth`` by
``torch.load(weights_only=True)``.  torch is imported when a file is read, not before.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BenchError, DataError, listing
from bench.files import write_atomically
from bench.plugin.weights import find_weights as find_weights
from bench.plugin.weights import weights_folder as weights_folder

if TYPE_CHECKING:
    from torch import Tensor, nn


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


def read_weights(path: Path) -> "dict[str, Tensor]":
    """The named tensors of a weights file, on the CPU, in the file's own names, shapes and number types.

    DataError when the file is missing, damaged, of another format, or holds anything but named arrays of numbers.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} is not a weights file that can be read safely; use one of {', '.join(READERS)}")
    if not path.is_file():
        raise DataError(f"the weights file {path} does not exist")
    try:
        return reader(path)
    except DataError:
        raise
    except Exception as error:  # three libraries, each with exceptions of its own for a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path} is not a readable {path.suffix} file: {reason}") from error


def _read_safetensors(path: Path) -> "dict[str, Tensor]":
    from safetensors.torch import load_file

    return load_file(path)


def _read_mat(path: Path) -> "dict[str, Tensor]":
    import torch
    from scipy.io import loadmat

    arrays = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    for name, value in arrays.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
            raise DataError(f"{path}: {name!r} is not an array of numbers")
    # Matlab's column-major arrays, in native byte order and torch's row-major layout.
    return {name: torch.from_numpy(value.astype(value.dtype.newbyteorder("="), "C")) for name, value in arrays.items()}


def _read_torch(path: Path) -> "dict[str, Tensor]":
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    named = isinstance(content, Mapping) and all(isinstance(name, str) for name in content)
    if not named or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise DataError(f"{path} does not hold a plain dictionary of named tensors; save a module's state_dict()")
    return dict(content)


READERS: "dict[str, Callable[[Path], dict[str, Tensor]]]" = {
    ".safetensors": _read_safetensors,
    ".mat": _read_mat,
    ".pt": _read_torch,
    ".pth": _read_torch,
}


def load_weights(
    module: "nn.Module", tensors: "Mapping[str, Tensor]", source: object, skip: tuple[str, ...] = ()
) -> None:
    """Copy named tensors into a module's parameters and buffers.

    source: what the tensors came from, for messages.  skip: prefixes of names to leave as they are, in the file and in
    the module.  Batch normalisation's batch counters may be missing: with a fixed momentum nothing depends on them.

    DataError naming the missing and unexpected names, wrong shapes and values that are not finite; the module is then
    unchanged.
    """
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(skip)}
    wanted = {name: tensor for name, tensor in module.state_dict().items() if not name.startswith(skip)}
    faults = []
    if missing := [n for n in wanted if n not in kept and not n.endswith("num_batches_tracked")]:
        faults.append(f"{len(missing)} missing ({listing(missing)})")
    if unexpected := [name for name in kept if name not in wanted]:
        faults.append(f"{len(unexpected)} unexpected ({listing(unexpected)})")
    common = [name for name in kept if name in wanted]
    if wrong := [
        f"{name}: got {tuple(kept[name].shape)}, expected {tuple(wanted[name].shape)}"
        for name in common
        if kept[name].shape != wanted[name].shape
    ]:
        faults.append(f"{len(wrong)} of wrong shape ({listing(wrong)})")
    if broken := [name for name in common if not kept[name].isfinite().all()]:
        faults.append(f"{len(broken)} with NaN or infinite values ({listing(broken)})")
    if faults:
        raise DataError(f"{source} does not fit {type(module).__name__}: {'; '.join(faults)}")
    module.load_state_dict(kept, strict=False)


def save_weights(path: Path, module: "nn.Module", **about: str) -> None:
    """Write a module's parameters and buffers as safetensors, all or nothing.

    about: what produced them, kept in the file's header.  BenchError when the file cannot be written.
    """
    from safetensors.torch import save

    if path.suffix != ".safetensors":
        raise BenchError(f"weights are saved as .safetensors, not as {path.name}")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    try:
        with write_atomically(path) as file:
            file.write(save(tensors, about))
    except OSError as error:
        raise BenchError(f"cannot write the weights to {path}: {error.strerror or error}") from error
