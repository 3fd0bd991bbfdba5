"""bfloat16 against float32: the same trained network must match people alike.

It takes minutes on a processor without bfloat16 instructions.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from bench.engine.cache import Cache
from bench.engine.data import load
from bench.engine.view import View, build_view
from bench.learning.compute import Compute
from bench.plugin.spec import dataset_spec, method_spec
from bench.protocol import scoring as cmc
from methods._dgd import DGD_FILE, DGDNetwork, load_dgd
from methods._finetuning import extract

PEOPLE = 316


def rank_one(network: DGDNetwork, view: View, people: np.ndarray, compute: Compute) -> float:
    probe, gallery = (view.images(side, None, people) for side in ("probe", "gallery"))
    distances = cdist(*(extract(network, images.array(), compute) for images in (probe, gallery)))
    return float(cmc.cmc(*cmc.match_positions(distances, probe.identity, gallery.identity), 1)[0])


@pytest.mark.data
@pytest.mark.slow
def test_rank_one_in_bfloat16_is_within_a_point_of_float32(data_root: Path, tmp_path: Path) -> None:
    file = data_root.parent / "weights" / DGD_FILE
    if not file.is_file():
        pytest.skip(f"no pre-trained weights {file}")
    network = DGDNetwork().eval()
    load_dgd(network, file)
    data = load(dataset_spec("viper"), data_root, 0, Cache(tmp_path))
    people = data.split(0, 0).test
    view = build_view(data, method_spec("dgd"), Cache(tmp_path), 0, 0, people, ratios=(None,))
    assert len(people) == PEOPLE
    full, half = (rank_one(network, view, people, Compute("cpu", p, True)) for p in ("float32", "bfloat16"))
    assert full > 10 / PEOPLE, "far above chance"
    assert abs(full - half) < 0.01
