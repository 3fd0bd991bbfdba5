"""A training step of SING and the extraction of features, against plain float32 and contiguous memory.

``python -m tests.benchmarks.bench_training [--device cuda] [--precision bfloat16] [--batch 20] [--rounds 3]``

The same maths on both sides: images cut on the device, one forward pass of the three streams (3 x batch images), the
joint loss, one SGD update, on a GPU as a captured graph.
Ours: the precision asked for, by default the one that ``auto`` chooses on this machine, channels last, batch
normalisations folded for extraction.
Also printed: the share of this machine's own measured matrix-product peak in that precision.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from bench.engine.provenance import machine
from bench.learning.compute import Batch, Compute, seeded
from bench.learning.passes import TOTAL, passes_for
from bench.learning.pixels import cut, resident
from bench.learning.precision import precision_for
from bench.learning.schedules import parameter_groups
from methods._dgd import INPUT, RESIZED, normalise
from methods._finetuning import centre, extract
from methods.sing import SING, SINGNetwork

# Multiply-accumulates of one image: DGD at 144x56, and SRCNN's valid convolutions from 160x72.
DGD_MACS = 1.577e9
SRCNN_MACS = 64 * 81 * 152 * 64 + 32 * 64 * 25 * 148 * 60 + 32 * 25 * 144 * 56
PEOPLE = 316


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"), help="of ours")
    parser.add_argument("--batch", type=int, default=20, help="images a stream")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=64, help="for extraction")
    options = parser.parse_args()

    ours = Compute(options.device, precision_for(options.precision, options.device), channels_last=True)
    plain = Compute(options.device)
    name = torch.cuda.get_device_name(options.device) if ours.cuda else machine()
    print(f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}; ours: {ours.precision}")
    peak = matmul_peak(ours)
    print(f"matrix products in {ours.precision}: {peak / 1e9:,.0f} GFLOP/s")

    steps = {"plain": training_step(plain, options.batch), "ours": training_step(ours, options.batch)}
    seconds = in_turns(steps, options.rounds, ours)
    share = step_flops(options.batch) / seconds["ours"] / peak
    print(
        f"SING step of {3 * options.batch} images: plain {seconds['plain']:.3f} s, ours {seconds['ours']:.3f} s,"
        f" ratio {seconds['plain'] / seconds['ours']:.2f}, {100 * share:.0f} % of the peak"
    )

    for side in ("gallery", "probe"):
        fast, literal = extraction(side, options.images, ours, plain)
        found = {"plain": literal(), "ours": fast()}
        error = np.abs(found["ours"] - found["plain"]).max() / np.abs(found["plain"]).max()
        seconds = in_turns({"plain": literal, "ours": fast}, options.rounds, ours)
        share = extraction_flops(side, options.images) / seconds["ours"] / peak
        print(
            f"features, {side}: plain {options.images / seconds['plain']:.1f} images/s, ours"
            f" {options.images / seconds['ours']:.1f}, ratio {seconds['plain'] / seconds['ours']:.2f},"
            f" {100 * share:.0f} % of the peak,"
            f" largest difference {error:.0e} of the largest value"
        )


def step_flops(batch: int) -> float:
    """Of one update; backward is twice the forward."""
    return 6 * batch * (3 * DGD_MACS + 2 * SRCNN_MACS)


def extraction_flops(side: str, images: int) -> float:
    return 2 * images * (DGD_MACS + (SRCNN_MACS if side == "probe" else 0))


def matmul_peak(
    compute: Compute, size: int = 2048, rounds: int = 5, clock: Callable[[], float] = time.perf_counter
) -> float:
    """FLOP/s of the best of some square matrix products in the wanted precision."""
    kind = torch.bfloat16 if compute.precision == "bfloat16" else torch.float32
    a = torch.randn(size, size, device=compute.device, dtype=kind)
    best = min(timed(lambda: a @ a, compute, clock) for _ in range(rounds + 1))
    return 2 * size**3 / best


def training_step(compute: Compute, batch: int) -> Callable[[], float]:
    """One update of SING as `train` does it, from images that lie on the device; its loss.  Weights go on moving."""
    method, rng = SING(), np.random.default_rng(0)
    with seeded(0):
        network = SINGNetwork(PEOPLE, 1.0, 0.5, "y").train()
        network.sr.pass_through()
    compute.place(network)
    images = [rng.integers(256, size=(PEOPLE * n, *RESIZED, 3), dtype=np.uint8) for n in (1, 2)]
    hr, low = (resident([side], compute) for side in images)
    drawn = {"rows": rng.integers(PEOPLE, size=batch), "people": rng.integers(PEOPLE, size=3 * batch)}
    drawn |= {"low.rows": rng.integers(2 * PEOPLE, size=2 * batch), "mirror": np.zeros(batch, bool)}
    drawn |= {"corner": np.full((batch, 2), 8), "low.corner": np.zeros((2 * batch, 2), np.int64)}
    drawn["low.mirror"] = np.zeros(2 * batch, bool)
    groups = network.sr.parameter_groups(1e-5) + parameter_groups(network.reid, "dgd", 0.01, 5e-4, bias_lr=2.0)
    optimiser = torch.optim.SGD(groups, momentum=0.9, fused=compute.cuda)

    def loss(network: SINGNetwork, batch: Batch) -> Batch:
        cuts = {
            "hr": cut(hr, batch["rows"], batch["corner"], INPUT, batch["mirror"]),
            "low": cut(low, batch["low.rows"], batch["low.corner"], RESIZED, batch["low.mirror"]),
        }
        return method.loss(network, {**batch, **cuts})

    passes = passes_for(network, loss, [p for group in groups for p in group["params"]], compute)
    ready = [compute.send({name: torch.from_numpy(values) for name, values in drawn.items()})]

    def step() -> float:
        with compute.active():
            (terms,) = passes(ready, None)
        optimiser.step()
        return float(terms[TOTAL])

    return step


def extraction(
    side: str, count: int, ours: Compute, plain: Compute
) -> tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]:
    """The features of `count` images of a side, ours and plainly."""
    images = np.random.default_rng(0).integers(256, size=(count, *RESIZED, 3), dtype=np.uint8)
    with seeded(0):
        network = SINGNetwork(PEOPLE, 1.0, 0.5, "y").eval()
    enhance = side == "probe"

    def fast() -> np.ndarray:
        ours.place(network)
        return extract(network.reid, images, ours, network.enhance if enhance else centre)

    return fast, lambda: literal_features(network, images, plain, enhance)


@torch.no_grad()
def literal_features(network: SINGNetwork, images: np.ndarray, compute: Compute, enhance: bool) -> np.ndarray:
    compute.place(network)
    parts = []
    for start in range(0, len(images), 32):
        part = torch.from_numpy(images[start : start + 32]).permute(0, 3, 1, 2).contiguous() / 255
        rgb = compute.send({"x": part})["x"]
        parts.append(network.reid.features(normalise(network.enhance(rgb) if enhance else centre(rgb))).cpu())
    return torch.cat(parts).numpy()


def in_turns(work: Mapping[str, Callable[[], object]], rounds: int, compute: Compute) -> dict[str, float]:
    """Median seconds of each, taking turns, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, call in work.items():
            spent = timed(call, compute)
            if turn:
                seconds[name].append(spent)
    return {name: statistics.median(values) for name, values in seconds.items()}


def timed(call: Callable[[], object], compute: Compute, clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    call()
    if compute.cuda:
        torch.cuda.synchronize()
    return clock() - start


if __name__ == "__main__":
    main()
