"""What makes matching hard on a data set: resolution, the camera, or the images; with DGD as pre-trained.

``python -m tests.benchmarks.what_is_hard caviar mlr_viper``

Rank 1 in percent on the training people of each split, never on a test person, ``--people`` of them at a time, one
gallery image a person, mean over draws and splits.  Batch statistics are each side's own, distances cosines.  A is the
gallery's side of the data set, B the probes'.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from bench.engine.cache import Cache, cache_folder
from bench.engine.data import Data, load
from bench.learning.compute import Compute
from bench.learning.pixels import resident
from bench.learning.precision import auto_precision
from bench.plugin.spec import dataset_spec
from bench.protocol.resize import resize_all, shrink
from methods._camera_statistics import moments_of
from methods._dgd import DGD_FILE, RESIZED, DGDNetwork, load_dgd
from methods._finetuning import centre_of, extract
from tests.benchmarks import data_folder

RATIOS = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)]
WEIGHTS = Path(__file__).parents[2] / "methods/weights" / DGD_FILE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--people", type=int, default=25)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument(
        "--pretrained-statistics", action="store_true", help="those of pre-training, for all images alike"
    )
    options = parser.parse_args()
    for name in options.datasets:
        data = load(dataset_spec(name), data_folder(), 0, Cache(cache_folder()))
        rows: dict[str, list[float]] = {}
        for split in range(options.splits):
            for title, value in measure(data, split, options):
                rows.setdefault(title, []).append(value)
        print(f"\n{name}, {options.people} people, {options.splits} splits")
        for title, values in rows.items():
            print(f"  {title:<58} {np.mean(values):5.1f}", flush=True)


def measure(data: Data, split: int, options: argparse.Namespace) -> list[tuple[str, float]]:
    train = np.isin(data.identity, data.split(split, 0).train)
    native = {"A": [data.images[i] for i in np.flatnonzero(train & ~data.probe)]}
    native["B"] = [data.images[i] for i in np.flatnonzero(train & data.probe)]
    people = {"A": data.identity[train & ~data.probe], "B": data.identity[train & data.probe]}
    rng = np.random.default_rng(split)
    native["A shrunk"] = [shrink(image, RATIOS[rng.integers(3)]) for image in native["A"]]
    people["A shrunk"] = people["A"]
    shown = {side: resize_all(images, RESIZED, "bicubic") for side, images in native.items()}
    shown["B recoloured"] = like(shown["B"], shown["A"])
    people["B recoloured"] = people["B"]
    features = {side: features_of(images, options.pretrained_statistics) for side, images in shown.items()}
    area = np.array([image.shape[0] * image.shape[1] for image in native["B"]])
    for half, rows in {"B large": area > np.median(area), "B small": area < np.median(area)}.items():
        features[half], people[half] = features["B"][rows], people["B"][rows]

    def rank_1(probe: str, gallery: str) -> float:
        return single_shot(features, people, probe, gallery, options, np.random.default_rng(split))

    within = {
        "A to A: neither camera nor resolution changes": ("A", "A"),
        "A shrunk to A: the resolution changes": ("A shrunk", "A"),
        "A shrunk to A shrunk: both low, one camera": ("A shrunk", "A shrunk"),
        "B to B: neither changes": ("B", "B"),
    }
    across = {
        "B to A: the task": ("B", "A"),
        "B to A shrunk: the camera changes, both low": ("B", "A shrunk"),
        "B to A, the larger half of B's images": ("B large", "A"),
        "B to A, the smaller half": ("B small", "A"),
        "B in the colours of A to A": ("B recoloured", "A"),
    }
    several = min(np.bincount(people["A"])[np.unique(people["A"])]) > 1
    return [(title, rank_1(*sides)) for title, sides in ({**within, **across} if several else across).items()]


def features_of(images: np.ndarray, pretrained_statistics: bool) -> np.ndarray:
    compute = Compute("cpu", auto_precision("cpu"), channels_last=True)
    network = DGDNetwork()
    load_dgd(network, WEIGHTS)
    if pretrained_statistics:
        return extract(network, images, compute)
    pixels = resident([images], compute)
    moments = moments_of(network, lambda copy, rows: copy.features(centre_of(pixels, rows)), len(images), compute)
    return extract(network, images, compute, shares=[(np.arange(len(images)), moments)])


def like(images: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Images with each channel's mean and deviation, over all images, of the target's."""
    source, wanted = images.astype(float), target.astype(float)
    axes = (0, 1, 2)
    moved = (source - source.mean(axes)) / source.std(axes) * wanted.std(axes) + wanted.mean(axes)
    return moved.clip(0, 255).round().astype(np.uint8)


def single_shot(features, people, probe, gallery, options, rng) -> float:  # type: ignore[no-untyped-def]
    """Rank 1 in percent; a probe's own picture is never in the gallery where both sides show the same pictures."""
    same = probe[0] == gallery[0]
    distances = cdist(features[probe], features[gallery], "cosine")
    of_gallery = [np.flatnonzero(people[gallery] == person) for person in np.unique(people[gallery])]
    right = []
    for _ in range(options.draws):
        chosen = rng.choice(len(of_gallery), min(options.people, len(of_gallery)), replace=False)
        shots = np.array([rng.choice(of_gallery[k]) for k in chosen])
        probes = np.flatnonzero(np.isin(people[probe], people[gallery][shots]))
        if same:
            probes = np.setdiff1d(probes, shots)
        best = shots[distances[np.ix_(probes, shots)].argmin(1)]
        right.append(np.mean(people[gallery][best] == people[probe][probes]))
    return 100 * float(np.mean(right))


if __name__ == "__main__":
    main()
