"""Memory of a run over many images: 100,000 of 160x72, in the parent and all its workers together.

``python -m tests.benchmarks.bench_memory [--images 100000] [--jobs 2] [--folder /tmp]``.  Needs about 9 GB of
disk, which it frees again.  Half the images are probes, shrunk and up-scaled; every worker then looks at every pixel
of both sides.
Memory is the proportional set size (PSS): a page that two processes share counts half in each.  What the processes
with their libraries take before they look is measured first.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from PIL import Image

from bench.engine.cache import Cache
from bench.engine.data import Data, load
from bench.engine.provenance import described
from bench.engine.view import View, build_view
from bench.plugin.base import Dataset, Method, Photo
from bench.plugin.registry import Plugin, registry
from bench.plugin.spec import DatasetSpec, MethodSpec

DISTINCT = 100
HERE = "tests.benchmarks.bench_memory"  # by this name the workers import it too


class Many(Dataset):
    """Noise: two images of each person, one in each camera."""

    name = "many"
    folder = "many"
    low_resolution = "simulated"
    probe_camera = "a"

    def read(self, root: Path) -> Iterator[Photo]:
        for path in root.iterdir():
            person, camera = path.stem.split("_")
            yield Photo(path, person, camera)


class Look(Method):
    """A method at these images' size that, as every closed-form one, does without torch."""

    name = "look"
    input_size = (160, 72)


def write(folder: Path, images: int) -> None:
    """`DISTINCT` files under `images` names."""
    folder.mkdir()
    for i in range(DISTINCT):
        pixels = np.random.default_rng(i).integers(0, 256, (160, 72, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder.parent / f"{i}.bmp")
    for i in range(images):
        (folder / f"{i // 2:06d}_{'ab'[i % 2]}.bmp").hardlink_to(folder.parent / f"{i // 2 % DISTINCT}.bmp")


def view(data: Data, cache: Cache) -> View:
    plugin = Plugin("look", "method", HERE, "Look", "", "", {})
    spec = MethodSpec("bicubic+look", plugin, {}, registry().get("frontend", "bicubic"), {})
    return build_view(data, spec, cache, 0, 0, np.empty(0, np.int64), ratios=(None,))


def look(data: Data, cache: Cache, images: int, finished: Path, jobs: int) -> int:
    """Sum of the pixels of so many images of each side; kept in view until every worker has seen all."""
    sources = [view(data, cache).sources[side, None].array[:images] for side in ("gallery", "probe")]
    total = sum(int(array[i : i + 1000].sum()) for array in sources for i in range(0, len(array), 1000))
    mark = finished / str(os.getpid())
    mark.touch()
    while len(list(finished.iterdir())) < jobs:
        time.sleep(0.1)
    time.sleep(8)
    mark.unlink()
    return total


def memory(pid: int) -> tuple[int, int]:
    """(PSS, private anonymous) bytes of a process and all its descendants."""
    pss = private = 0
    pending = [pid]
    while pending:
        pid = pending.pop()
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                pending += map(int, (task / "children").read_text().split())
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it ended meanwhile
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
        pss += sizes["Pss"]
        private += sizes["Pss_Anon"]
    return pss, private


@contextmanager
def watched(what: str, settled: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Print seconds and the peak of `memory` while the block runs.

    settled: what must hold before and after a sample for it to count.  Processes are looked at one after the other:
    while they map or leave pages that they share, their sizes are of different moments and do not add up.
    """
    peak, done, start = [0, 0], threading.Event(), time.perf_counter()

    def sample() -> None:
        while not done.wait(0.2):
            before, sizes = settled(), memory(os.getpid())
            if before and settled():
                peak[:] = [max(pair) for pair in zip(peak, sizes, strict=True)]

    thread = threading.Thread(target=sample)
    thread.start()
    yield
    done.set()
    thread.join()
    seconds = time.perf_counter() - start
    print(f"{what}: {seconds:.0f} s, peak {peak[0] / 1e9:.2f} GB, {peak[1] / 1e9:.2f} GB not of files", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    print(described())
    print(f"{options.images:,} images of 160x72: {options.images * 160 * 72 * 3 / 1e9:.2f} GB of pixels")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write(folder / "many", options.images)
        cache = Cache(folder / "cache")
        plugin = Plugin("many", "dataset", HERE, "Many", "", "", {"low_resolution": "simulated"})
        with watched("hash, decode and shrink"):
            data = load(DatasetSpec("many", plugin, {}), folder, 0, cache)
        with watched("resize both sides"):
            for side in ("gallery", "probe"):
                view(data, cache).sources[side, None].array.shape  # noqa: B018  # made when asked for
        for what, images in (("no image", 0), ("every image", options.images)):
            finished = folder / what
            finished.mkdir()

            def all_have(finished: Path = finished) -> bool:
                return len(list(finished.iterdir())) == options.jobs

            with watched(f"{options.jobs} workers have seen {what}", all_have):
                arguments = data, cache, images, finished, options.jobs
                totals = Parallel(n_jobs=options.jobs)(delayed(look)(*arguments) for _ in range(options.jobs))
        print("all workers saw the same" if len(set(totals)) == 1 else f"WORKERS DIFFER: {totals}")


if __name__ == "__main__":
    main()
