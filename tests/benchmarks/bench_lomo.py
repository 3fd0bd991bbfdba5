"""Where LOMO's time goes, and how near each stage is to its limit.

``python -m tests.benchmarks.bench_lomo [--retinex none] [--rounds 30]``

Counted are, for one image of 128x48, what each stage of `methods/_lomo.py` does: bytes that its passes over arrays read
and write, and operations that cost more than a pass.  The limit is that much work at the rate of the one call of numpy
that does nothing else, on arrays in the cache, measured in turns with LOMO and with the literal version.  Seconds are
the processor's, on one thread; medians of all rounds.  With BENCH_DATA set the images are VIPeR's.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np
from threadpoolctl import threadpool_limits

from bench.engine.provenance import machine
from methods import _lomo
from tests.benchmarks import literal_lomo
from tests.benchmarks.speed.descriptors import drawn_images, no_viper, viper_images

IMAGES = 64
ROWS, COLUMNS = 128, 48
PIXELS = ROWS * COLUMNS
STAGES = {
    "planes": ["_planes"],
    "retinex: surrounds": ["_surrounds"],
    "retinex: quantiles": ["_quantiles"],
    "retinex: the rest": ["msrcp"],
    "HSV codes": ["hsv_codes", "pool_hsv_codes"],
    "grey levels, pooled": ["grey_levels", "_mean_of_four"],
    "SILTP codes": ["siltp_codes"],
    "counts and maxima": ["block_maxima"],
    "logarithm and norm": ["_log_normalise"],
}

Work = dict[str, float]


def counted(filled: float) -> dict[str, Work]:
    """The work of each stage for an image, by kind.  filled: numbers of a descriptor that are not 0."""
    length = _lomo.dimension(ROWS, COLUMNS)
    scales = [(ROWS >> k, COLUMNS >> k) for k in range(_lomo.SCALES)]
    radii, half = len(_lomo.RADII), ROWS // 2
    levels, *means = [(h + 2 * max(_lomo.RADII)) * (w + 2 * max(_lomo.RADII)) for h, w in scales]
    pooled = sum(means)
    products = 2 * PIXELS * COLUMNS + 2 * 2 * half * half * COLUMNS  # of a sigma: rows, then two halves of columns
    dense = increments = 0
    for bins in (_lomo.HSV_BINS, *[_lomo.SILTP_BINS] * radii):
        for height, width in scales:
            bands, blocks = _lomo._blocks(height), _lomo._blocks(width)
            increments += _lomo.STEP**2 * (bands + 1) * (blocks + 1)
            # Cells set to 0, added in pairs, the pairs in pairs, and the largest of them.
            dense += bins * ((blocks + 1) * (bands + 1) + 3 * (blocks + 1) * bands + 4 * blocks * bands + bands)
    return {
        "planes": {"bytes": 6 * PIXELS},
        "retinex: surrounds": {"flops": len(_lomo.SIGMAS) * products, "bytes": 96 * PIXELS},
        "retinex: quantiles": {"sorted": PIXELS, "searched": 2 * PIXELS, "bytes": 60 * PIXELS},
        "retinex: the rest": {"logs": PIXELS, "divided": 5 * PIXELS, "bytes": 246 * PIXELS},
        "HSV codes": {"divided": PIXELS, "bytes": (207 + 57) * PIXELS},  # two divisions of half the width
        "grey levels, pooled": {"divided": PIXELS, "bytes": (148 + 36) * PIXELS},
        "SILTP codes": {"bytes": (23 + 4 * 17 * radii) * levels + (48 + 4 * 45 * radii) * pooled},
        "counts and maxima": {"increments": increments, "bytes": 34 * increments + dense},
        "logarithm and norm": {
            "searched": length, "gathered": 2 * filled, "divided": filled, "placed": filled,
            "bytes": 8 * length + 52 * filled,
        },
    }  # fmt: skip


def kernels() -> dict[str, tuple[float, Callable[[], object]]]:
    """By kind of work: how much of it a call does, and the call."""
    rng = np.random.default_rng(0)
    one, two = rng.uniform(1, 2, (2, 4 * PIXELS))
    out, square = np.empty_like(one), rng.standard_normal((256, 256))
    keys = rng.integers(0, 2**16, (16, PIXELS), dtype=np.uint16)
    cells = np.zeros(225 * _lomo.HSV_BINS, np.uint8)
    bins = rng.integers(0, len(cells), PIXELS)
    mask = rng.random(2**16) < 0.2
    found, values = np.flatnonzero(mask), np.ones(mask.sum(), np.float32)
    target, table = np.zeros(len(mask), np.float32), np.zeros(len(mask), np.uint8)
    return {
        "bytes": (3 * one.nbytes, lambda: np.add(one, two, out=out)),
        "flops": (2 * 256**3, lambda: square @ square),
        "logs": (one.size, lambda: np.log(one, out=out)),
        "divided": (one.size, lambda: np.divide(one, two, out=out)),
        "sorted": (keys.size, lambda: np.sort(keys, axis=1, kind="stable")),
        "increments": (PIXELS, lambda: np.add.at(cells, bins, np.uint8(1))),
        "searched": (len(mask), lambda: np.flatnonzero(mask)),
        "gathered": (len(found), lambda: table.take(found)),
        "placed": (len(found), lambda: target.__setitem__(found, values)),
    }


def seconds(call: Callable[[], object], least: float = 0.004) -> float:
    """Processor seconds of one call, over as many as take `least`."""
    calls, start = 0, time.process_time()
    while (spent := time.process_time() - start) < least:
        call()
        calls += 1
    return spent / calls


def staged(extract: Callable[[], object]) -> tuple[dict[str, float], float]:
    """Processor seconds of each function's own lines during one extraction, and of all."""
    own: dict[str, float] = defaultdict(float)
    inner = [0.0]  # of the functions called by each that runs

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            inner.append(0.0)
            start = time.process_time()
            result = function(*given, **named)
            result = list(result) if name == "_quantiles" else result
            spent = time.process_time() - start
            own[name] += spent - inner.pop()
            inner[-1] += spent
            return result

        return run

    with ExitStack() as patches:
        for name in (name for names in STAGES.values() for name in names):
            patches.enter_context(mock.patch.object(_lomo, name, timed(name, getattr(_lomo, name))))
        start = time.process_time()
        extract()
        return own, time.process_time() - start


def limit(work: Mapping[str, float], cost: Mapping[str, float]) -> float:
    return sum(count * cost[kind] for kind, count in work.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--retinex", choices=("msrcp", "none"), default="msrcp")
    given = parser.parse_args()
    alone = kernels()  # before all else: arrays made later lie in the way of LOMO's, whose memory is then paged anew
    images = drawn_images(IMAGES) if no_viper() else viper_images(IMAGES)
    ours = _lomo.LOMO(given.retinex)
    work = counted(np.count_nonzero(ours(images)) / IMAGES)
    if given.retinex == "none":
        work = {stage: done for stage, done in work.items() if not stage.startswith("retinex")}
    rounds: dict[str, list[float]] = defaultdict(list)
    with threadpool_limits(1):
        for _ in range(given.rounds):
            for kind, (amount, call) in alone.items():
                rounds[kind].append(seconds(call) / amount)
            for _ in range(2):  # leave their arrays' memory to the next one, as in a longer run
                ours(images)
            own, whole = staged(lambda: ours(images))
            for stage, names in STAGES.items():
                rounds[stage].append(sum(own[name] for name in names) / IMAGES)
            rounds["all"].append(whole / IMAGES)
            start = time.process_time()
            for image in images[:8]:
                literal_lomo.lomo(image, given.retinex)
            rounds["literal"].append((time.process_time() - start) / 8)
    median = {name: float(np.median(values)) for name, values in rounds.items()}

    print(f"{machine()}, one thread; {IMAGES} {'drawn images' if no_viper() else 'images of VIPeR'}, an image:\n")
    print("| stage | us | share | KB | operations | limit, us | limit / time |\n|---|---|---|---|---|---|---|")
    for stage, done in work.items():
        least, spent = limit(done, median), median[stage]
        others = ", ".join(f"{count:,.0f} {kind}" for kind, count in done.items() if kind != "bytes")
        shares = f"{1e6 * spent:.0f} | {100 * spent / median['all']:.0f} % | {done['bytes'] / 1000:,.0f}"
        print(f"| {stage} | {shares} | {others} | {1e6 * least:.0f} | {100 * least / spent:.0f} % |")
    least, spent = sum(limit(done, median) for done in work.values()), median["all"]
    print(f"| all | {1e6 * spent:.0f} | 100 % | | | {1e6 * least:.0f} | {100 * least / spent:.0f} % |")
    print("\n| kind | an image | a second | us |\n|---|---|---|---|")
    for kind in sorted({kind for done in work.values() for kind in done}):
        count = sum(done.get(kind, 0) for done in work.values())
        print(f"| {kind} | {count:,.0f} | {1 / median[kind]:.3g} | {1e6 * count * median[kind]:.0f} |")
    literal = median["literal"]
    print(
        f"\nliteral version: {1e6 * literal:,.0f} us, {literal / spent:.1f} times ours, {literal / least:.1f} the limit"
    )


if __name__ == "__main__":
    main()
