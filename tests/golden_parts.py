"""Small cells of the steps and shared parts, each a list of numbers."""

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from bench.protocol import fusion as fusing
from bench.protocol import lowres as shrinking
from bench.protocol import resize as resizing
from bench.protocol import scoring as scores
from bench.protocol import splits as drawing
from tests.golden_data import picture, project

TRAINED = {"training", "dgd", "camera_statistics", "pixels", "srcnn"}


def resize() -> list[float]:
    image = picture(0, 0, (40, 20))
    sizes = [(16, 9), (60, 33), (40, 21)]
    made = [resizing.resize(image, size, kind) for size in sizes for kind in ("bilinear", "bicubic")]
    lengths = [resizing.scaled_length(n, Fraction(1, k)) for n in (1, 5, 7, 50, 127) for k in (2, 3, 4)]
    return [x for part in (*made, resizing.shrink(image, Fraction(1, 3))) for x in project(part)] + lengths


def lowres() -> list[float]:
    ratios = shrinking.balanced_ratios(10, 3)
    images = [picture(k, 0, (40, 20)) for k in range(4)]
    shrunk = shrinking.simulate(images, np.array([True, False, True, True]), ratios)
    return [float(r) for r in ratios] + [x for image in shrunk for x in (*image.shape, *project(image))]


def splits() -> list[float]:
    people = [str(i) for i in range(11)]
    identity, camera = np.arange(12) // 3, np.array(["a", "b", "b"] * 4)
    drawn = [drawing.make_split(people, i, seed) for i in (0, 7) for seed in (0, 3)]
    found = [part for split in drawn for part in (split.train, split.test)]
    found += [part for fold in drawing.folds(np.arange(10) * 2, 5, 1, 2) for part in fold]
    found += drawing.gallery_draws(identity, 3, 1, 2)
    found.append(drawing.training_rows(identity, camera, camera == "b", 1, 5))
    found.append(np.array([len(drawing.gallery_draws(identity, "auto", 0, 0))]))
    return [float(x) for part in found for x in part]


def fusion() -> list[float]:
    area = np.array([100.0, 220.0, 430.0, 6000.0])
    r = fusing.resolution_ratio(area, np.array([900.0, 1100.0, 1700.0]))
    distances = {m: np.abs(np.cos(np.arange(20.0).reshape(4, 5) * (i + 1))) for i, m in enumerate(fusing.ANCHORS)}
    fused = [fusing.fuse(distances, r, sigma, normal) for sigma in (0.1, 0.25, 1.0) for normal in (False, True)]
    best = fusing.best_sigma({0.1: (0.5, 0.2), 0.2: (0.5, 0.3), 0.4: (0.5, 0.3), 1.0: (0.4, 0.9)})
    return [*r, *(x for part in fused for x in project(part)), best, *map(float, fusing.SIGMA_GRID)]


def scoring() -> list[float]:
    distances = np.round(np.cos(np.arange(42.0)).reshape(6, 7) * 2) / 2
    first, ties = scores.match_positions(distances, np.arange(6), np.arange(7))
    precision, rank = scores.average_precision(first, ties), scores.expected_rank(first, ties)
    return [float(x) for part in (first, ties, scores.cmc(first, ties, 7), precision, rank) for x in part]


def decode() -> list[float]:
    from bench.engine.decode import decode as read
    from bench.plugin.base import Photo

    image = Image.fromarray(picture(1, 0, (24, 12)))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for mode, name in (("RGB", "a.png"), ("L", "b.png"), ("P", "c.png"), ("RGB", "d.jpg"), ("RGB", "e.bmp")):
            image.convert(mode).save(Path(folder) / name, quality=90)
            found += project(read(Photo(Path(folder) / name, "1", "a"), "golden"))
    return found


def matching() -> list[float]:
    from bench.engine.view import model_seed

    return [model_seed(0, 3, ratio, fold) for ratio in (None, *fusing.ANCHORS) for fold in (0, 2)]


def lomo() -> list[float]:
    from methods import _lomo

    small, large = (np.stack([picture(k, 0, size) for k in range(3)]) for size in ((128, 48), (37, 30)))
    found = [_lomo.LOMO(retinex)(images) for retinex in ("msrcp", "none") for images in (small, large)]
    return [x for part in found for x in (part.shape[1], *project(part))]


def gram() -> list[float]:
    from methods import _gram

    rows = np.cos(np.outer(np.arange(1.0, 13), np.sqrt(np.arange(1.0, 31))))
    inner = rows @ rows.T
    axes, coef, offset = _gram.principal_coordinates(inner)
    found = [axes @ axes.T, (inner @ coef - offset) @ axes.T]
    for smoothing in (0.5, 3.0):
        whitened = _gram.Whitening(_gram.principal_coordinates(inner[:8, :8]), smoothing, np.arange(8))(inner)
        found.append(whitened @ whitened.T)
    return [_gram.DIMENSION, *(x for part in found for x in project(part))]


def distances() -> list[float]:
    from methods._distances import euclidean

    rows = np.cos(np.outer(np.arange(1.0, 10), np.sqrt(np.arange(1.0, 6))))
    return project(euclidean(rows[:4], rows[2:]))


def scales() -> list[float]:
    from methods._scales import AtScale

    def raw(images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), -1).astype(np.float32)

    images = np.stack([picture(k, 0, (32, 14)) for k in range(2)])
    cases = [(Fraction(1, n), restored) for n in (2, 3) for restored in (True, False)]
    return [x for case in cases for x in project(AtScale(raw, *case)(images))]


def selection() -> list[float]:
    from methods import _selection

    probe, gallery = np.repeat(np.arange(9), 2), np.repeat(np.arange(9), [1, 2, 3] * 3)
    matrix = np.cos(np.arange(18.0 * 18)).reshape(18, 18)
    score = _selection.single_shot(matrix, probe, gallery, 1)
    seen: list[float] = []

    def held_out(people: np.ndarray, others: np.ndarray) -> list[np.ndarray]:
        seen.extend([*people, *others])
        part = matrix[np.ix_(np.isin(probe, others), np.isin(gallery, others))]
        return [part, part**2, -part]

    return [score, *(_selection.best_of([0, 1, 2], probe, gallery, 4, held_out, n) for n in (1, 3)), *map(float, seen)]


def dictionaries() -> list[float]:
    from methods import _dictionaries as learning

    random = np.cos(np.outer(np.arange(1.0, 13), np.sqrt(np.arange(1.0, 9))))
    x, genuine = random[:6], random[6:]
    y, pair = np.concatenate([x * 0.9, genuine]), np.concatenate([np.arange(6), np.full(6, -1)])
    labels = np.repeat(np.arange(3), 2)
    found: list[float] = []
    for terms, clusters in ((learning.Terms(atoms=5), 1), (learning.Terms(atoms=4, mapping=False, low_rank=0.0), 1)):
        made = learning.fit_clusters(x, y, pair, labels, np.concatenate([labels, labels]), terms, clusters)
        found += made[0].objective + project(learning.restore(genuine, made, terms))
    return found


def training() -> list[float]:
    import torch

    from bench.learning import compute, schedules
    from bench.learning import training as loop

    with compute.seeded(3):
        model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.2), torch.nn.Linear(3, 1))
    groups = schedules.parameter_groups(model, "net", 0.1, weight_decay=0.01, bias_lr=2.0)

    def batches(i: int) -> dict[str, torch.Tensor]:
        return {"x": torch.cos(torch.arange(20.0) * (i + 1)).reshape(5, 4)}

    def loss(network: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"total": (network(batch["x"]) - 1).square().mean()}

    solver = torch.optim.SGD(groups, momentum=0.9)
    curves = loop.train(model, batches, loss, solver, schedules.poly(6), 6, accumulate=2, seed=1, log_every=2)
    schedules = [[schedule(t) for t in range(0, 10, 3)] for schedule in (schedules.poly(10), schedules.one_cycle(10))]
    weights = [x for p in model.parameters() for x in p.detach().flatten().tolist()]
    return [*curves["loss"]["total"], *curves["lr"]["net.bias"], *weights, *schedules[0], *schedules[1]]


def dgd() -> list[float]:
    import torch

    from bench.learning.compute import Compute, seeded
    from methods import _dgd, _finetuning

    images = np.stack([picture(k, 0, (160, 72)) for k in range(2)])
    with seeded(0):
        network = _dgd.DGDNetwork(5)
    network.eval()
    features = _finetuning.extract(network, images, Compute())
    with torch.no_grad():
        scores = network.classify(torch.from_numpy(features)).numpy()
    rules = [x for rule in _finetuning.SIGMA.values() for x in (rule.fixed or 0.0, rule.folds, rule.held_out)]
    return [*project(features), *project(scores), network.dropout, _dgd.SMOKE_WIDTH, *rules]


def camera_statistics() -> list[float]:
    import torch

    from bench.learning.compute import PLAIN, seeded
    from methods import _camera_statistics, _dgd, _finetuning

    images = np.stack([picture(k, 0, (160, 72)) for k in range(12)])
    cameras = np.array([*"aaaabbbbbbcc"])
    with seeded(0):
        network = _dgd.DGDNetwork(width=1 / 8)
    pixels = torch.from_numpy(images)
    roles = {"probe": (lambda copy, rows: copy.features(_finetuning.centre_of(pixels, rows)), cameras)}
    found = _camera_statistics.CameraStatistics.of(network, roles, PLAIN)
    shares = found.shares("probe", cameras)
    features = project(_finetuning.extract(network, images, PLAIN, shares=shares))
    moments = [*found.moments.values(), found.others]
    return [*features, *(float(x.sum()) for group in moments for pair in group.values() for x in pair)]


def pixels() -> list[float]:
    import torch

    from bench.learning import pixels as cutting

    images = torch.from_numpy(np.stack([picture(k, 0, (40, 20)) for k in range(3)]))
    found = []
    for augmentation in ("mirror", "crop", "colour"):
        looks = {
            name: torch.from_numpy(values)
            for name, values in cutting.draw_looks(np.random.default_rng(1), 4, augmentation).items()
        }
        rows = torch.tensor([0, 2, 1, 0])
        windows = cutting.cut(images, rows, looks["shift"] + 4, (32, 12), looks["mirror"])
        found += project(cutting.recolour(windows, looks.get("colour")).numpy())
    return found


def srcnn() -> list[float | str]:
    import torch

    from bench.learning.compute import seeded
    from methods import _srcnn

    images = np.stack([picture(k, 0, (48, 40)) for k in range(2)])
    rgb = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    found = []
    for padding in ("replicate", "valid"):
        with seeded(0):
            network = _srcnn.SRCNN(padding).pass_through()
        found += [f"{group['lr']:.9g} {len(group['params'])}" for group in network.parameter_groups()]
        found += project(network.super_resolve(images))
        with torch.no_grad():
            found += project(network.enhance(rgb).numpy())
    return [*found, *project(_srcnn.rgb_to_ycbcr(rgb).numpy()), float(_srcnn.squared_error(rgb, rgb**2))]


PARTS = {
    f.__name__: f
    for f in (
        resize, lowres, splits, fusion, scoring, decode, matching, lomo, gram, distances, scales, selection,
        dictionaries, training, dgd, camera_statistics, pixels, srcnn,
    )
}  # fmt: skip
