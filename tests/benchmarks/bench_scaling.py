"""How XQDA's and NFST's fits grow with the training set: seconds and peak memory at three sizes, and what more need.

``python -m tests.benchmarks.bench_scaling [--per-view 1 2 3] [--wanted 13600 26000]``, one thread, a process for each
measurement; seconds are the processor's.  With BENCH_DATA set: training rows of camera pair 1 of CUHK03 (split 0,
bilinear), so many images per person and view; otherwise drawn features of as many people.  Seconds grow with the cube
of the rows and memory with the square, as all steps are dense factorisations and products of matrices of rows x rows:
what is wanted is extrapolated so from the largest size measured; how well the law holds is shown between the sizes.
"""

import argparse
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.engine.cache import Cache, cache_folder
from bench.engine.data import load
from bench.engine.provenance import described, peak_memory, reset_peak_memory
from bench.engine.view import build_view
from bench.plugin.spec import dataset_spec, method_spec
from methods.nfst import bandwidth, fit_nfst, rbf
from methods.xqda import fit_xqda

PEOPLE = 743
METHODS = ("nfst", "xqda")
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def real_rows(per_view: int, root: Path) -> Rows:
    """Gram matrix of the training rows, gallery rows first, and the labels of both sides."""
    cache, spec = Cache(cache_folder()), method_spec("bilinear+xqda")
    data = load(dataset_spec(f"mlr_cuhk03[images_per_view={per_view},pairs=1]"), root, 0, cache)
    train = data.split(0, 0).train
    view = build_view(data, spec, cache, 0, 0, train, ratios=(None,))
    gallery, probe = (view.images(side, None, train, train=True) for side in ("gallery", "probe"))
    rows = gallery + probe
    return rows.gram(rows, spec.build().extractors()[0]), gallery.identity, probe.identity


def drawn_rows(per_view: int) -> Rows:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(PEOPLE), per_view)
    width = 4 * 2 * len(labels)
    people = rng.normal(size=(PEOPLE, width))
    features = np.concatenate([people[labels] + rng.normal(size=(len(labels), width)) for _ in range(2)])
    return features @ features.T / width, labels, labels


def measure(method: str, per_view: int, root: Path | None, results: "multiprocessing.Queue[tuple[int, float, float]]"):
    """Rows, seconds and MiB above what the Gram matrix of the training rows and all libraries take."""
    with threadpool_limits(1):
        gram, gallery, probe = real_rows(per_view, root) if root else drawn_rows(per_view)
        reset_peak_memory()
        before, start = peak_memory(), time.process_time()
        if method == "xqda":
            fit_xqda(gram, gallery, probe)
        else:
            squares = gram.diagonal().copy()
            fit_nfst(rbf(gram, squares, squares, bandwidth(gram)), np.concatenate([gallery, probe]))
        seconds = time.process_time() - start
        results.put((len(gram), seconds, peak_memory() - before + gram.nbytes / 2**20))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--per-view", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--wanted", type=int, nargs="+", default=[13_600, 26_000])
    options = parser.parse_args()
    root = Path(os.environ["BENCH_DATA"]) if os.environ.get("BENCH_DATA") else None
    print(described())
    print("camera pair 1 of CUHK03" if root else "drawn features", flush=True)
    context = multiprocessing.get_context("spawn")
    for method in METHODS:
        last = None
        for per_view in options.per_view:
            results = context.Queue()
            process = context.Process(target=measure, args=(method, per_view, root, results))
            process.start()
            rows, seconds, mib = results.get()
            process.join()
            grown = ""
            if last:
                exponent = np.log([seconds / last[1], mib / last[2]]) / np.log(rows / last[0])
                grown = f" (rows^{exponent[0]:.1f}, rows^{exponent[1]:.1f})"
            print(f"{method}: {rows:,} rows: {seconds:.1f} s, {mib:,.0f} MiB{grown}", flush=True)
            last = rows, seconds, mib
        for rows in options.wanted:
            factor = rows / last[0]
            print(f"{method}: {rows:,} rows: about {last[1] * factor**3:,.0f} s, {last[2] * factor**2:,.0f} MiB")


if __name__ == "__main__":
    main()
