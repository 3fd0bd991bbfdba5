"""SLD2L at the size of MLR-CUHK03: seconds and peak memory of one fit on 26,000 drawn training images.

``python -m tests.benchmarks.bench_sld2l [--sizes 2000 4000] [--whole]``; one thread.  Half of the images are gallery
images, half are probes; with the shrunk copies at three ratios that makes 65,000 rows of 26,960 numbers at the whole
size, which lie on disk (7 GB) and are read as they are from the cache.  From 2,000 images on, inner products are taken
with 2,000 rows and time grows in proportion to the images: two sizes give the whole by a straight line.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.engine.cache import Cache
from bench.engine.provenance import described, peak_memory
from bench.plugin.base import Train
from bench.protocol.extractors import Extractor
from bench.protocol.images import Images, Source, digest
from methods._scales import AtScale
from methods.sld2l import RATIOS, SLD2L

WHOLE = 26_000
PEOPLE = 1_367
DIMENSION = 26_960
BLOCK = 500


class Drawn(Source):
    """Rows of non-negative noise about one row a person, written to disk block by block."""

    def features(self, extractor: Extractor, jobs: int = 1) -> np.ndarray:
        path = self.cache.folder / f"{digest(self.key, extractor)}.npy"
        if not path.exists():
            identity = self.make()
            random = np.random.default_rng(0)
            people = random.random((identity.max() + 1, DIMENSION), dtype=np.float32)
            random = np.random.default_rng(int(digest(self.key, extractor), 16))
            out = np.lib.format.open_memmap(path, "w+", np.float32, (len(identity), DIMENSION))
            for start in range(0, len(identity), BLOCK):
                block = people[identity[start : start + BLOCK]]
                block += random.random(block.shape, dtype=np.float32)
                out[start : start + BLOCK] = block * np.float32(np.sqrt(3) / np.linalg.norm(block[0]))
            out.flush()
        return np.load(path, mmap_mode="r")


def images(side: str, count: int, cache: Cache) -> Images:
    identity = np.arange(count) * min(PEOPLE, count // 2) // count
    source = Drawn(side, lambda: identity, cache)
    rows = np.arange(count)
    return Images(((source, rows),), identity, np.full(count, side), np.ones(count), range(count))


def fit(size: int, folder: Path) -> None:
    """Fit on `size` images and print seconds, peak memory (MiB), iterations and whether the objective ever rose."""
    cache = Cache(folder)
    gallery, probe = images("gallery", size // 2, cache), images("probe", size // 2, cache)
    method = SLD2L(smoothing=5.0)
    with threadpool_limits(1):
        start = time.perf_counter()
        method.fit(Train(gallery, probe, None, None, 0, "paper", "cpu"))
        seconds = time.perf_counter() - start
    objective = method.dictionaries_[0].objective
    print(seconds, peak_memory(), len(objective) - 1, all(b <= a for a, b in pairwise(objective)))


def draw(size: int, folder: Path) -> None:
    (lomo,) = SLD2L().extractors()
    for side in ("gallery", "probe"):
        drawn = images(side, size // 2, Cache(folder))
        for extractor in [lomo, *(AtScale(lomo, ratio, restored=True) for ratio in RATIOS if side == "gallery")]:
            drawn.features(extractor)


def measure(size: int) -> float:
    """Seconds of a fit in a process of its own; drawing the features is another's and not timed."""
    with tempfile.TemporaryDirectory() as folder:
        for step in ("draw", "fit"):
            command = [sys.executable, "-m", "tests.benchmarks.bench_sld2l", "--step", step, folder, str(size)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, peak, iterations, falling = out.split()
    print(f"{size} images: {float(seconds):.1f} s, peak {float(peak):.0f} MiB, {iterations} iterations", end="")
    print(", objective never rose" if falling == "True" else ", OBJECTIVE ROSE", flush=True)
    return float(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs=2, type=int, default=[2000, 4000])
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step, folder, size = options.step
        {"draw": draw, "fit": fit}[step](int(size), Path(folder))
        return
    print(f"{described()}, one thread")
    small, large = options.sizes
    first, second = measure(small), measure(large)
    slope = (second - first) / (large - small)
    print(f"{WHOLE} images, extrapolated: {second + slope * (WHOLE - large):.0f} s")
    if options.whole:
        measure(WHOLE)


if __name__ == "__main__":
    main()
