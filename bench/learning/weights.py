"""Weights files: read without ever running code from them, and loaded into a network with clear errors.

Formats by suffix: ``.safetensors``, Matlab's ``.mat`` up to version 7.2, and ``.pt`` or ``.pth`` by
``torch.load(weights_only=True)``.  torch is imported when a file is read, not before.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BenchError, DataError, listing
from bench.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor, nn

PLAIN = "dense floating-point numbers"


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

    arrays = {name: value for name, value in loadmat(path, mat_dtype=True).items() if not name.startswith("__")}
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

    Floating-point tensors of any precision are converted to the module's.

    DataError naming the missing and unexpected names, wrong shapes, tensors of other kinds, and values that are not
    finite or too large for the module's precision; the module is then unchanged.
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
    kinds = [f"{name}: {kind}" for name in common if (kind := unusable_kind(kept[name], wanted[name]))]
    if kinds:
        faults.append(f"{len(kinds)} of another kind than {PLAIN} ({listing(kinds)})")
    plain = [name for name in common if not unusable_kind(kept[name], wanted[name])]
    if broken := [name for name in plain if not kept[name].double().isfinite().all()]:
        faults.append(f"{len(broken)} with NaN or infinite values ({listing(broken)})")
    large = [name for name in plain if name not in broken and not kept[name].to(wanted[name].dtype).isfinite().all()]
    if large:
        faults.append(f"{len(large)} with values too large for float32 ({listing(large)})")
    if faults:
        raise DataError(f"{source} does not fit {type(module).__name__}: {'; '.join(faults)}")
    module.load_state_dict(kept, strict=False)


def in_order(content: bytes) -> bytes:
    """A safetensors file with the entries of its header's metadata by name: the library's order changes with each run.

    Its layout: eight bytes of the header's length, the header as JSON filled with blanks to a multiple of eight, data.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[start:]


def unusable_kind(tensor: "Tensor", wanted: "Tensor") -> str | None:
    """What a tensor is, where it cannot stand for `wanted`: sparse, quantised, complex or whole numbers for floats."""
    import torch

    if tensor.layout != torch.strided:
        return "sparse"
    if tensor.is_quantized:
        return "quantised"
    if wanted.is_floating_point() != tensor.is_floating_point():
        return str(tensor.dtype).removeprefix("torch.")
    return None


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
            file.write(in_order(save(tensors, about)))
    except OSError as error:
        raise BenchError(f"cannot write the weights to {path}: {error.strerror or error}") from error
