"""``pretrain --check``: zero-shot figures against a literal evaluation, and those known of the weights used here."""

import numpy as np
import pytest
import torch
from PIL import Image

from bench.engine.cache import Cache, cache_folder
from bench.engine.data import load
from bench.learning import zero_shot
from bench.learning.compute import seeded
from bench.learning.weights import save_weights
from bench.plugin.spec import dataset_spec
from methods._dgd import DGDNetwork, normalise

pytestmark = pytest.mark.usefixtures("one_thread")

DRAWN = "synthetic[identities=24]"
NAME = "dgd[precision=float32]"


@pytest.fixture(scope="module")
def network() -> DGDNetwork:
    with seeded(1):
        return DGDNetwork().eval()


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(path, network)
    return path


def features(network: DGDNetwork, image: np.ndarray) -> np.ndarray:
    enlarged = np.asarray(Image.fromarray(image).resize((72, 160), Image.Resampling.BICUBIC))[8:152, 8:64]
    with torch.no_grad():
        x = normalise(torch.tensor(enlarged).permute(2, 0, 1)[None] / 255)
        return network.features(x)[0].double().numpy()


def test_figures_are_those_of_a_literal_evaluation(network, weights) -> None:
    data = load(dataset_spec(DRAWN), None, 3, Cache(cache_folder()))
    seen = np.array([features(network, np.array(image)) for image in data.images])
    hits = {"L2": [], "cosine": []}
    for split in range(10):
        tested = data.split(split, 3).test
        gallery = [int(np.flatnonzero((data.identity == person) & ~data.probe)[0]) for person in tested]
        for row in np.flatnonzero(np.isin(data.identity, tested) & data.probe):
            for metric in hits:
                if metric == "L2":
                    distances = [np.linalg.norm(seen[row] - seen[other]) for other in gallery]
                else:
                    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
                    distances = [1 - unit[row] @ unit[other] for other in gallery]
                nearest = [int(tested[place]) for place in np.argsort(distances)]
                hits[metric].append(nearest.index(int(data.identity[row])))
    found = list(zero_shot.measure(NAME, weights, DRAWN, None, 3, "cpu", Cache(cache_folder())))
    assert [(f.dataset, f.distance, f.splits) for f in found] == [
        (f"{DRAWN} behind bicubic", metric, 10) for metric in hits
    ]
    for figures in found:
        rank = np.array(hits[figures.distance])
        expected = [100 * float((rank < k).mean()) for k in (1, 5, 10)]
        assert figures.percent[:3] == pytest.approx(expected, abs=0.9), "one probe of 120 may tip"
        assert figures.percent[3] is None, "twelve people have no rank 20"


def test_the_command(bench, weights) -> None:
    output = bench("pretrain", NAME, "--check", weights, "-d", DRAWN, "--seed", 3)
    assert output.code == 0, output.err
    assert output.out.startswith("random.safetensors sha256 ")
    assert len(output.out.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("dgd", "--check", "nowhere.pt"), 3, "nowhere.pt"),
        (("dgd", "--check", "{weights}"), 2, "no data set is there to check weights on"),
        (("dgd", "--check", "{weights}", "-d", "viper"), 3, "viper needs its images"),
        (("dgd", "--check", "{weights}", "--output", "."), 2, "--check trains nothing"),
        (("srcnn", "--check", "{weights}"), 2, "srcnn has no features"),
        (("dgd", "--check", "README.md", "-d", DRAWN), 3, "README.md is not a weights file"),
        (("dgd", "-d", DRAWN), 2, "say where to put the weights: --output DIR"),
    ],
)
def test_what_cannot_be_checked_is_one_line(bench, weights, arguments, code, message) -> None:
    output = bench("pretrain", *(a.format(weights=weights) for a in arguments))
    assert (output.code, output.err.count("\n")) == (code, 1)
    assert message in output.err


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dgd_market1501", {"mlr_viper": {"L2": (15.3, 27.1, 33.8, 41.7)}, "caviar": {"L2": (5.7, 26.4, 48.1, 84.8)}}),
        (
            "dgd_market1501_v2",
            {
                "mlr_viper": {"L2": (23.1, 41.3, 49.1, 59.0), "cosine": (24.4, 42.2, 49.8, 59.7)},
                "viper": {"cosine": (24.6, 44.1, 51.8, 60.2)},
                "caviar": {"L2": (10.3, 37.1, 60.9, 90.9), "cosine": (10.9, 41.6, 66.1, 93.8)},
            },
        ),
    ],
)
def test_figures_known_of_weights(data_root, name, expected) -> None:
    path = data_root.parent / "weights" / f"{name}.safetensors"
    if not path.is_file():
        pytest.skip(f"no such weights: {path}")
    for dataset, by_distance in expected.items():
        found = {
            f.distance: f.percent
            for f in zero_shot.measure("dgd", path, dataset, data_root, 0, "cpu", Cache(cache_folder()))
        }
        for distance, percent in by_distance.items():
            assert found[distance] == pytest.approx(percent, abs=1.6), (dataset, distance)
