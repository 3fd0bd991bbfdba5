"""In which precision a machine computes networks fastest.

What is fast changes with every generation of processors; a result says which precision it was computed in.
"""

import platform
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]

CPU_INFO = Path("/proc/cpuinfo")


def precision_for(wanted: Literal["auto", "float32", "bfloat16"], device: str) -> Precision:
    """What was asked for, or the faster one on the device, ``cpu``, ``cuda`` or ``cuda:1``, for ``auto``."""
    return auto_precision(device) if wanted == "auto" else wanted


def auto_precision(device: str) -> Precision:
    """What ``auto`` stands for: bfloat16 where the device multiplies matrices faster in it than in float32.

    CPU: AMX, or AVX512_BF16 on a processor of another maker than Intel.  Intel's VDPBF16PS has half the throughput of
    its float32 FMA, AMD's the same (uops.info), so that Intel's without AMX gain nothing and lose the conversions
    (measured: tests/benchmarks/README.md).
    GPU: NVIDIA's from compute capability 8.0 (Ampere), older ones emulate bfloat16; AMD's.
    """
    if device == "cpu":
        has = {name: getattr(torch.cpu, f"_is_{name}_supported", bool)() for name in ("amx_tile", "avx512_bf16")}
        fast = has["amx_tile"] or (has["avx512_bf16"] and not made_by_intel())
    elif torch.cuda.is_available() and not torch.version.hip:
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = True
    return "bfloat16" if fast else "float32"


def made_by_intel() -> bool:
    """Whether the processor says so."""
    try:
        name = CPU_INFO.read_text()
    except OSError:
        name = platform.processor()
    return "GenuineIntel" in name
