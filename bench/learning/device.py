"""Devices that networks are computed on, and the threads that torch may use."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.errors import UsageError


def resolve_device(device: str) -> str:
    """``auto`` -> ``cuda`` where PyTorch sees a GPU, otherwise ``cpu``; UsageError for a ``cuda`` that is not there."""
    if device == "cpu":
        return device
    try:
        import torch

        found = torch.cuda.is_available()
    except ImportError:
        found = False
    if device == "cuda" and not found:
        raise UsageError("--device cuda: PyTorch sees no GPU here; use --device cpu or auto")
    return "cuda" if found else "cpu"


def devices(device: str) -> tuple[str, ...]:
    """The devices that `resolve_device`'s answer stands for: every GPU that PyTorch sees, or the CPU."""
    if device == "cpu":
        return ("cpu",)
    import torch

    return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Let torch compute on so many threads, and on as many as before at the end; None leaves it alone, not imported."""
    if threads is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
