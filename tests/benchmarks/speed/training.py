"""SING's training step and the extraction of features, against plain float32 in contiguous memory."""

import time
from functools import partial
from pathlib import Path

from tests.benchmarks.speed.case import Case, Sides


def step(size: int, _folder: Path) -> Sides:
    from bench.learning.compute import Compute
    from bench.learning.precision import precision_for
    from tests.benchmarks.bench_training import matmul_peak, step_flops, training_step

    ours = Compute("cpu", precision_for("auto", "cpu"), channels_last=True)
    peak = matmul_peak(ours, clock=time.process_time)
    return Sides(
        training_step(ours, size),
        training_step(Compute("cpu"), size),
        {f"% of the peak of {ours.precision} matrix products": lambda s: 100 * step_flops(size) / s / peak},
    )


def features(side: str, size: int, _folder: Path) -> Sides:
    from bench.learning.compute import Compute
    from bench.learning.precision import precision_for
    from tests.benchmarks.bench_training import extraction, extraction_flops, matmul_peak

    ours = Compute("cpu", precision_for("auto", "cpu"), channels_last=True)
    peak = matmul_peak(ours, clock=time.process_time)
    fast, literal = extraction(side, size, ours, Compute("cpu"))
    return Sides(
        fast,
        literal,
        {f"% of the peak of {ours.precision} matrix products": lambda s: 100 * extraction_flops(side, size) / s / peak},
    )


PLAIN = "plain float32, contiguous memory"
HALF = 0.05
"""bfloat16 has 8 bits of precision."""
CASES = (
    Case("sing-step", PLAIN, step, 2, "images a stream", 1, tolerance=HALF),
    Case("sing-gallery", PLAIN, partial(features, "gallery"), 16, "images", 2, tolerance=HALF),
    Case("sing-probe", PLAIN, partial(features, "probe"), 8, "images", 1, tolerance=HALF),
)
