"""Scoring galleries that do not fit in memory:  python -m tests.benchmarks.bench_gallery [--whole]

Drawn features of 256 numbers, in a memory-mapped file; blocks of Euclidean distances are computed, scored and let go.
Time beside that of the matrix products alone, in the same blocks, in turns; growth with the gallery and with the
probes, at four sizes each.  --whole: 1,000,000 gallery images x 10,000 probes.  One BLAS thread in each of --threads.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from bench.engine.cache import Cache
from bench.engine.provenance import machine, peak_memory, reset_peak_memory
from bench.protocol.blocks import GALLERY, PROBES, Part, cut
from bench.protocol.scoring import Trial
from bench.protocol.streaming import Side, score_stream
from methods._distances import euclidean
from tests.benchmarks.growth import keep

DIMENSION = 256
NOISE = 4.0  # of a probe beside its person's image: about half of them are first
CHUNK = 10_000


def drawn(folder: Path, gallery: int, probes: int) -> tuple[np.ndarray, np.ndarray, Trial]:
    """Features (gallery, 256) and (probes, 256) float32 and who they show: one image of each person."""

    def blocks(seed: int, count: int):  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(seed)
        for start in range(0, count, CHUNK):
            yield rng.standard_normal((min(CHUNK, count - start), DIMENSION), np.float32)

    images = Cache(folder).rows(f"gallery {gallery}", lambda: blocks(0, gallery))
    shown = np.sort(np.random.default_rng(1).choice(gallery, probes, replace=False))
    noise = np.concatenate(list(blocks(2, probes)))
    return images, images[shown] + NOISE * noise, Trial(shown, np.arange(gallery), [np.arange(gallery)])


def measure(folder: Path, gallery: int, probes: int, threads: int) -> tuple[float, float, float]:
    """Seconds of the matrix products alone and of the whole, and rank 1."""
    images, rows, trial = drawn(folder, gallery, probes)
    side = Side(trial.probe, np.arange(probes), cut(np.arange(probes), PROBES))
    other = Side(trial.gallery, np.arange(gallery), cut(np.arange(gallery), GALLERY, trial.gallery))

    def products(some: Part) -> None:
        for others in other.parts:
            rows[some.asked] @ images[others.asked].T

    def compute(some: Part, others: Part):  # type: ignore[no-untyped-def]
        yield "all", euclidean(rows[some.asked], images[others.asked])

    start = time.perf_counter()
    Parallel(n_jobs=threads, prefer="threads")(delayed(products)(some) for some in side.parts)
    alone = time.perf_counter() - start
    start = time.perf_counter()
    score, _ = score_stream(trial, side, other, compute, "all", threads)["all"]
    return alone, time.perf_counter() - start, float(score.cmc[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true", help="1,000,000 gallery images x 10,000 probes alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (default: 3; 1 with --whole)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="keep the times there, for tests.benchmarks.growth")
    given = parser.parse_args()
    print(f"{machine()}, {given.threads} threads; blocks of {PROBES} x {GALLERY}, {DIMENSION} float32 numbers an image")
    print("gallery    probes  products    all    products/all  rank-1  peak MiB")
    gallery, probes = [62_500, 125_000, 250_000, 500_000, 1_000_000], [1_250, 2_500, 5_000, 10_000]
    sizes = [(g, 2_048) for g in gallery] + [(125_000, p) for p in probes]
    seconds = {}
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        for size in [(1_000_000, 10_000)] if given.whole else sizes:
            reset_peak_memory()
            rounds = [measure(Path(name), *size, given.threads) for _ in range(1 if given.whole else given.rounds)]
            alone, whole = (min(one[i] for one in rounds) for i in (0, 1))
            seconds[size] = whole
            ratio, rank1 = f"{100 * alone / whole:.0f} %", f"{100 * rounds[0][2]:.1f} %"
            memory = f"{peak_memory():8,.0f}"
            print(f"{size[0]:9,} {size[1]:7,}  {alone:7.2f}  {whole:7.2f}  {ratio:>8}  {rank1:>7} {memory}", flush=True)
    if not given.whole:
        keep(given.csv, "streamed scores, 2,048 probes", "gallery", {g: seconds[g, 2_048] for g in gallery})
        keep(given.csv, "streamed scores, gallery of 125,000", "probes", {p: seconds[125_000, p] for p in probes})


if __name__ == "__main__":
    main()
