"""How XQDA's and NFST's fits grow with the training set, the way of few rows and that of many side by side.

``python -m tests.benchmarks.bench_scaling [--rows 600 1200 2000 3000] [--wanted 13600 26000] [--whole ROWS]
[--csv FILE]``, one thread, a process for each measurement; seconds are the processor's, memory is that with the Gram
matrix of the rows.  One row in twenty repeats another one of its person, as 1,145 of CUHK03's 7,239 labelled boxes do.
With BENCH_DATA set: training rows of camera pair 1 of CUHK03 (split 0, bilinear), of as many people as make so many
rows; otherwise drawn features with the spectrum of LOMO.  What is wanted is extrapolated from the largest size, seconds
by the cube and memory by the square; how well these laws hold is shown by the exponents over all sizes.

``--whole``: fit both methods on so many rows of 26,960 drawn numbers, which lie on disk; their Gram matrix included.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.engine.cache import Cache, cache_folder
from bench.engine.data import load
from bench.engine.provenance import described, peak_memory, reset_peak_memory
from bench.engine.view import build_view
from bench.plugin.base import Train
from bench.plugin.spec import dataset_spec, method_spec
from bench.protocol import images as images_module
from bench.protocol.images import Images, Source
from bench.protocol.products import inner_products
from methods import nfst, xqda
from tests.benchmarks.growth import keep

DIMENSION = 26_960
BLOCK = 500
A_PERSON = 8
"""Rows, of both views together."""
Rows = tuple[np.ndarray, np.ndarray]


def real_rows(count: int, root: Path) -> Rows:
    """Features of training rows, gallery and probe rows in turn, and whose they are."""
    cache, spec = Cache(cache_folder()), method_spec("bilinear+xqda")
    data = load(dataset_spec("mlr_cuhk03[pairs=1]"), root, 0, cache)
    train = data.split(0, 0).train
    view = build_view(data, spec, cache, 0, 0, train, ratios=(None,))
    lomo = spec.build().extractors()[0]
    gallery, probe = (view.images(side, None, train, train=True) for side in ("gallery", "probe"))
    each = [np.flatnonzero(np.isin(side.identity, train[: count // A_PERSON])) for side in (gallery, probe)]
    each = [rows[: count // 2] for rows in each]
    features = [side.select(rows).features(lomo) for side, rows in zip((gallery, probe), each, strict=True)]
    length = min(map(len, features))
    labels = [side.identity[rows[:length]] for side, rows in zip((gallery, probe), each, strict=True)]
    return np.stack([f[:length] for f in features], 1).reshape(2 * length, -1), np.stack(labels, 1).ravel()


def drawn_rows(labels: np.ndarray, dimension: int, seed: int = 0) -> np.ndarray:
    """A mean, a little of each person and much noise, whose spectrum falls."""
    spectrum = 1 / np.sqrt(np.arange(4, dimension + 4, dtype=np.float32))
    spectrum /= np.linalg.norm(spectrum)
    known, place = np.unique(labels, return_inverse=True)
    people = np.stack([np.random.default_rng([0, k]).standard_normal(dimension, np.float32) for k in known])
    rows = np.random.default_rng([1, seed]).standard_normal((len(labels), dimension), np.float32)
    return 1.3 / np.sqrt(dimension, dtype=np.float32) + (0.28 * people[place] + 1.12 * rows) * spectrum


def measure(
    method: str, many: bool, count: int, root: Path | None, results: "multiprocessing.Queue[tuple[int, float, float]]"
) -> None:
    """Rows, seconds and MiB above what all libraries take."""
    with threadpool_limits(1):
        labels = np.arange(count) // A_PERSON
        features, labels = real_rows(count, root) if root else (drawn_rows(labels, 2 * count), labels)
        again = np.arange(0, len(labels) - 2, 20)
        features[again + 2] = np.where(
            (labels[again] == labels[again + 2])[:, None], features[again], features[again + 2]
        )
        order = np.concatenate([np.arange(0, len(labels), 2), np.arange(1, len(labels), 2)])
        features, gallery, probe = features[order], labels[::2], labels[1::2]
        first = np.unique(features, axis=0, return_index=True, return_inverse=True)
        gram = inner_products(features, features, symmetric=True)
        del features
        reset_peak_memory()
        before, start = peak_memory(), time.process_time()
        size = gram.nbytes / 2**20
        if method == "xqda":
            xqda.MANY = 0 if many else count
            coef, _ = xqda.fit_xqda(gram, gallery, probe)
        else:
            squares = gram.diagonal().copy()
            mu = nfst.bandwidth(gram)
            kernel = nfst.rbf(gram, squares, squares, mu, out=gram if many else None)
            coef = nfst.fit_nfst(kernel, labels[order], first[1][first[2].ravel()] if many else None)
        seconds = time.process_time() - start
        print(f"  {coef.shape[1]} directions, {len(np.unique(first[1][first[2]])):,} different rows", flush=True)
        results.put((len(labels), seconds, peak_memory() - before + size))


class Drawn(Source):
    """Features that are drawn block by block and lie on disk."""

    def features(self, extractor: object, jobs: int = 1) -> np.ndarray:
        path = self.cache.folder / f"{self.key}.npy"  # type: ignore[attr-defined]
        if not path.exists():
            identity = np.asarray(self.make())
            out = np.lib.format.open_memmap(path, "w+", np.float32, (len(identity), DIMENSION))
            for start in range(0, len(identity), BLOCK):
                some = identity[start : start + BLOCK]
                out[start : start + len(some)] = drawn_rows(some, DIMENSION, 2 * start + (self.key == "probe"))
            out.flush()
        return np.load(path, mmap_mode="r")


def whole(method: str, count: int, folder: Path, results: "multiprocessing.Queue[tuple[int, float, float]]") -> None:
    """Rows, seconds of the processor and peak MiB of a whole fit, the Gram matrix included."""
    images_module.GRAM_BUDGET = 0
    sides = []
    for side in ("gallery", "probe"):
        rows = np.arange(count // 2)
        identity = rows // (A_PERSON // 2)
        source = Drawn(side, lambda identity=identity: identity, Cache(folder))  # type: ignore[misc]
        source.features(None)
        sides.append(
            Images(((source, rows),), identity, np.full(len(rows), side), np.ones(len(rows)), range(len(rows)))
        )
    with threadpool_limits(1):
        reset_peak_memory()
        start = time.process_time()
        {"xqda": xqda.XQDA, "nfst": nfst.NFST}[method]().fit(Train(*sides, None, None, 0, "paper", "cpu"))
        results.put((count, time.process_time() - start, peak_memory()))


def alone(target: object, *arguments: object) -> tuple[int, float, float]:
    """What a function puts into a queue, from a process of its own."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=target, args=(*arguments, results))  # type: ignore[arg-type]
    process.start()
    while process.is_alive() and results.empty():
        time.sleep(0.2)
    found = results.get(timeout=1)
    process.join()
    return found  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[600, 1200, 2000, 3000])
    parser.add_argument("--wanted", type=int, nargs="+", default=[13_600, 26_000])
    parser.add_argument("--whole", type=int)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    root = Path(os.environ["BENCH_DATA"]) if os.environ.get("BENCH_DATA") else None
    print(described())
    if options.whole:
        with tempfile.TemporaryDirectory() as folder:
            for method in ("nfst", "xqda"):
                rows, seconds, mib = alone(whole, method, options.whole, Path(folder))
                print(f"{method}: {rows:,} rows of {DIMENSION:,} numbers: {seconds:,.0f} s, {mib:,.0f} MiB", flush=True)
        return
    print("camera pair 1 of CUHK03" if root else "drawn features", flush=True)
    for method in ("nfst", "xqda"):
        found = []
        for count in options.rows:
            few, many = (alone(measure, method, way, count, root) for way in (False, True))
            found.append((few[0], *few[1:], *many[1:]))
            ratio = f"{few[1] / many[1]:.1f} times the seconds, {few[2] / many[2]:.1f} times the memory of many's"
            print(f"{method}: {few[0]:,} rows: {few[1]:.1f} s, {few[2]:,.0f} MiB the way of few, {ratio}", flush=True)
        table = np.array(found)
        growth = np.polyfit(np.log(table[:, 0]), np.log(table[:, 1:]), 1)[0]
        for name, place in (("few", 0), ("many", 2)):
            seconds = dict(zip(table[:, 0].astype(int).tolist(), table[:, 1 + place].tolist(), strict=True))
            keep(options.csv, f"fit {method}, the way of {name}", "rows", seconds)
            print(f"  memory grows as rows^{growth[place + 1]:.2f}")
            for rows in options.wanted:
                factor = rows / table[-1, 0]
                time_then, mib = table[-1, 1 + place] * factor**3, table[-1, 2 + place] * factor**2
                print(f"  {rows:,} rows: about {time_then:,.0f} s, {mib:,.0f} MiB")


if __name__ == "__main__":
    main()
