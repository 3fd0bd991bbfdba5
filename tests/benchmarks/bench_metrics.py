"""Fit and match one VIPeR split, literal against ours, side by side:  python -m tests.benchmarks.bench_metrics

The literal implementations get features (26,960-dimensional rows); ours get the Gram matrices, which all splits share
and whose one-off cost is printed apart.  LOMO features of VIPeR when BENCH_DATA is set, synthetic features otherwise.
BLAS runs on one thread; times are the best of several rounds.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from bench.engine.provenance import machine
from methods.nfst import bandwidth, euclidean, fit_nfst, rbf
from methods.xqda import fit_xqda, mahalanobis
from tests.benchmarks import literal_metrics

PEOPLE = 632
DIMENSION = 26_960


def synthetic_features() -> np.ndarray:
    """(2, 632, 26960): what a person looks like, plus noise and an offset per view, around a mean that dominates."""
    random = np.random.default_rng(0)
    person = random.normal(size=(PEOPLE, DIMENSION)) * 0.6
    views = [person + random.normal(size=person.shape) * 0.5 + random.normal(size=DIMENSION) for _ in range(2)]
    features = np.stack(views) + 2
    return features * np.sqrt(3 / np.einsum("vij,vij->vi", features, features))[..., None]


def viper_features(root: Path) -> np.ndarray:
    """(2, 632, 26960): LOMO of VIPeR's cam_a and cam_b, people in the order of their numbers."""
    from PIL import Image

    from methods._lomo import LOMO

    views = []
    for camera in ("cam_a", "cam_b"):
        paths = sorted((root / "VIPeR" / camera).glob("*.bmp"))
        images = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
        views.append(np.concatenate([LOMO()(images[i : i + 64]) for i in range(0, len(images), 64)]))
    return np.stack(views).astype(np.float64)


def best_of(
    rounds: int, contestants: dict[str, Callable[[], np.ndarray]]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Least seconds and last result of each contestant, which take turns."""
    seconds = dict.fromkeys(contestants, float("inf"))
    results: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            results[name] = run()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds, results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    root = os.environ.get("BENCH_DATA")
    features = viper_features(Path(root)) if root else synthetic_features()
    order = np.random.default_rng(1).permutation(PEOPLE)
    train, test = np.sort(order[: PEOPLE // 2]), np.sort(order[PEOPLE // 2 :])
    probe_train, gallery_train = features[0][train], features[1][train]
    probe_test, gallery_test = features[0][test], features[1][test]
    rows, labels = np.concatenate([gallery_train, probe_train]), np.concatenate([train, train])

    def literal_xqda() -> np.ndarray:
        projection, metric = literal_metrics.xqda(gallery_train, probe_train, train, train)
        return literal_metrics.xqda_distances(probe_test, gallery_test, projection, metric)

    def literal_nfst() -> np.ndarray:
        return literal_metrics.nfst_distances(rows, labels, probe_test, gallery_test)

    with threadpool_limits(1):
        sqnorm, sqnorm_probe, sqnorm_gallery = ((x**2).sum(axis=1) for x in (rows, probe_test, gallery_test))
        gram, gram_probe, gram_gallery = (x @ rows.T for x in (rows, probe_test, gallery_test))

        def xqda(solver: Literal["svd", "eigh"]) -> np.ndarray:
            coef, metric = fit_xqda(gram, train, train, solver=solver)
            return mahalanobis(gram_probe @ coef, gram_gallery @ coef, metric)

        def nfst() -> np.ndarray:
            mu = bandwidth(gram)
            coef = fit_nfst(rbf(gram, sqnorm, sqnorm, mu), labels)
            p = rbf(gram_probe, sqnorm_probe, sqnorm, mu) @ coef
            return euclidean(p, rbf(gram_gallery, sqnorm_gallery, sqnorm, mu) @ coef)

        contestants = {
            "gram": lambda: np.vstack([x @ rows.T for x in (rows, probe_test, gallery_test)]),
            "xqda literal": literal_xqda,
            "xqda": lambda: xqda("svd"),
            "xqda eigh": lambda: xqda("eigh"),
            "nfst literal": literal_nfst,
            "nfst": nfst,
        }
        seconds, distances = best_of(rounds, contestants)

    print(f"{machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    source = "LOMO of VIPeR" if root else "synthetic features"
    print(f"{source}, {len(rows)} training rows, best of {rounds} rounds, one BLAS thread")
    print(f"Gram matrices of this split: {seconds['gram']:.2f} s, shared by both methods")
    for name in ("xqda", "nfst"):
        literal = distances[f"{name} literal"]
        difference = np.abs(distances[name] - literal).max() / np.abs(literal).max()
        slow, fast = seconds[f"{name} literal"], seconds[name]
        print(
            f"{name}: literal {slow:.3f} s, ours {fast:.3f} s: {slow / fast:.1f}x "
            f"(with the Gram matrices {slow / (fast + seconds['gram']):.1f}x), distances differ by {difference:.1e}"
        )
    print(f"xqda, solver='eigh': ours {seconds['xqda eigh']:.3f} s")


if __name__ == "__main__":
    main()
