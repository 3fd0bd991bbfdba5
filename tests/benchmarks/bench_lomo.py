"""LOMO against its literal implementation: images per second side by side, on one core, in one run.

    python -m tests.benchmarks.bench_lomo [--images N] [--rounds K]

Images are VIPeR's when BENCH_DATA names the folder that holds it, else random procedural ones.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

# Read when BLAS is loaded, so before numpy.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np  # noqa: E402
import scipy  # noqa: E402
from PIL import Image  # noqa: E402

from methods._lomo import LOMO  # noqa: E402
from tests.benchmarks.literal_lomo import lomo  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, metavar="N", help="how many images (default 200)")
    parser.add_argument("--rounds", type=int, default=5, metavar="K", help="the median of K timings counts (default 5)")
    arguments = parser.parse_args()
    source, images = load_images(arguments.images)
    print(f"CPU {cpu_model()}, one thread; Python {platform.python_version()}, numpy {np.__version__}", end=", ")
    print(f"scipy {scipy.__version__}")
    print(f"{len(images)} {source} of {images.shape[1]}x{images.shape[2]}, median of {arguments.rounds} rounds")
    print("retinex  literal images/s  LOMO images/s  ratio  largest difference")
    for retinex in ("msrcp", "none"):
        (literal, expected), (fast, descriptors) = race(
            [partial(literal_descriptors, images, retinex), partial(LOMO(retinex), images)], arguments.rounds
        )
        difference = np.abs(descriptors - expected).max()
        rates = len(images) / literal, len(images) / fast
        print(f"{retinex:7}  {rates[0]:16.1f}  {rates[1]:13.1f}  {literal / fast:5.2f}  {difference:.2g}")


def literal_descriptors(images: np.ndarray, retinex: str) -> np.ndarray:
    return np.stack([lomo(image, retinex) for image in images])


def race(contestants: list[Callable[[], np.ndarray]], rounds: int) -> list[tuple[float, np.ndarray]]:
    """Median seconds and the result of each contestant; they take turns, so that a busy machine slows them alike."""
    seconds = np.empty((rounds, len(contestants)))
    for turn in seconds:
        results = []
        for i, contestant in enumerate(contestants):
            start = time.perf_counter()
            results.append(contestant())
            turn[i] = time.perf_counter() - start
    return list(zip(np.median(seconds, axis=0).tolist(), results, strict=True))


def load_images(n: int) -> tuple[str, np.ndarray]:
    """What the images are, and uint8 (n, 128, 48, 3)."""
    folder = os.environ.get("BENCH_DATA")
    if not folder:
        return "random procedural images", procedural_images(n)
    files = sorted((Path(folder) / "VIPeR").glob("cam_[ab]/*.bmp"))[:n]
    if not files:
        raise SystemExit(f"No cam_a/*.bmp or cam_b/*.bmp in {Path(folder) / 'VIPeR'}: BENCH_DATA must hold VIPeR.")
    return "VIPeR images", np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])


def procedural_images(n: int, height: int = 128, width: int = 48) -> np.ndarray:
    """Noisy colour gradients with a few rectangles of other colours, uint8 (n, height, width, 3)."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 255, (4, n, 1, 1, 3))
    down, right = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
    images = (corners[0] * (1 - down) + corners[1] * down + corners[2] * (1 - right) + corners[3] * right) / 2
    for image in images:
        for _ in range(6):
            top, left = rng.integers(0, height), rng.integers(0, width)
            image[top : top + height // 4, left : left + width // 3] = rng.uniform(0, 255, 3)
    return np.clip(images + rng.normal(0, 6, images.shape), 0, 255).astype(np.uint8)


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
