"""How networks are computed, as opposed to what: device, precision, layout, random numbers."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import BenchError

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Compute:
    """How to compute, as opposed to what.

    device: ``cpu``, ``cuda`` or ``cuda:1``.
    precision: ``float32`` (without TF32), or ``bfloat16``: convolutions and matrix products in it by autocast, weights,
    gradients and optimiser in float32, where a GPU may use TF32.
    channels_last: memory layout of images and weights.
    compile: let torch.compile work on the model's forward pass.
    deterministic: on CUDA, only algorithms that give the same bits every time; the CPU's always do.
    """

    device: str = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    compile: bool = False
    deterministic: bool = False

    @classmethod
    def of(
        cls, given: Any, precision: Literal["float32", "bfloat16"] = "float32", channels_last: bool = False
    ) -> "Compute":
        """What a `Train`, `Upscaling` or `Pretraining` asks for."""
        return cls(given.device, precision, channels_last, given.compile, given.deterministic)

    @property
    def cuda(self) -> bool:
        return torch.device(self.device).type == "cuda"

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, model: nn.Module) -> None:
        """Move a model's weights to the device, in the wanted layout; optimisers built before stay valid."""
        where: dict[str, Any] = {"device": self.device, "memory_format": self.layout}
        model.to(**where)

    def send(self, batch: Batch) -> dict[str, Tensor]:
        """A batch on the device, 4-d tensors in the wanted layout; on CUDA through pinned memory, without waiting."""
        sent = {}
        for name, tensor in batch.items():
            if self.cuda:
                tensor = tensor.pin_memory().to(self.device, non_blocking=True)
            sent[name] = tensor.contiguous(memory_format=self.layout) if tensor.ndim == 4 else tensor
        return sent

    def autocast(self) -> torch.autocast:
        device = torch.device(self.device).type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16")

    @contextmanager
    def active(self) -> Iterator[None]:
        """cuDNN and determinism as asked for; as they were before at the end.  BenchError without the device."""
        if self.cuda and not torch.cuda.is_available():
            raise BenchError(f"device {self.device} cannot be used: torch finds no CUDA GPU; use device cpu")
        exact = self.deterministic and self.cuda
        before = torch.are_deterministic_algorithms_enabled()
        tf32 = self.precision == "bfloat16"
        products = torch.backends.cuda.matmul.allow_tf32
        if exact:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is not deterministic without
            torch.use_deterministic_algorithms(True)
        try:
            torch.backends.cuda.matmul.allow_tf32 = tf32
            here = torch.cuda.device(self.device) if self.cuda else nullcontext()
            with (
                here,
                torch.backends.cudnn.flags(enabled=True, benchmark=not exact, deterministic=exact, allow_tf32=tf32),
            ):
                yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = products
            torch.use_deterministic_algorithms(before)


PLAIN = Compute()
"""On the CPU, in float32."""


def device_constant(values: tuple[Any, ...], like: Tensor) -> Tensor:
    """Numbers as a tensor of `like`'s device and type: copied there once, and never while a graph is captured."""
    return _device_constant(values, like.device, like.dtype)


@lru_cache(maxsize=64)
def _device_constant(values: tuple[Any, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device)


@contextmanager
def seeded(*parts: int, device: str = "cpu") -> Iterator[None]:
    """Random numbers of torch, on the CPU and on `device`, from a seed made of non-negative integers; then as before.

    For initial weights: ``with seeded(seed): model = Network(identities)``.
    """
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1)))
        yield
