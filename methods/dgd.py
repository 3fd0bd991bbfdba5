from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch.nn.functional import cross_entropy

from bench.errors import UsageError
from bench.learning.checkpoints import Curves
from bench.learning.compute import Compute, seeded
from bench.learning.schedules import one_cycle, parameter_groups, poly
from bench.learning.training import as_line, train
from bench.plugin.base import Pretraining, Train
from bench.plugin.weights_files import describe, initial_weights, sha256
from bench.protocol.resize import resize_all
from methods._dgd import (
    CHECKPOINT_EVERY,
    DGD_FILE,
    INPUT,
    PART,
    RESIZED,
    SMOKE_WIDTH,
    DGDNetwork,
    FineTuned,
    Stage,
    as_tensor,
    extract,
    load_dgd,
    normalise,
)

if TYPE_CHECKING:
    from bench.protocol.images import Images

# paper: the iterations of SING's baselines on VIPeR.  quick: chosen on held-out training people (methods/README.md).
FINE_TUNING = {
    "smoke": Stage(4, 8, 1, 0.01, poly),
    "quick": Stage(50, 10, 1, 0.03, poly),
    "paper": Stage(500, 20, 2, 0.01, poly),
}
# paper: the iterations of SING's initialisation, at the release's batch and rate from scratch.  quick: 21 epochs of
# Market-1501.
PRETRAINING = {
    "smoke": Stage(4, 8, 1, 0.05, poly),
    "quick": Stage(4250, 64, 1, 0.12, one_cycle),
    "paper": Stage(10_000, 100, 2, 0.1, poly),
}


@dataclass(frozen=True)
class Pretrained:
    """Features of a pre-trained network as it is: uint8 RGB (n, 160, 72, 3) to float32 (n, 256).

    sha256: of the weights file.
    """

    version: ClassVar[int] = PART[1]
    sha256: str
    precision: str
    path: Path = field(repr=False)
    compute: Compute = field(repr=False)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        network = DGDNetwork()
        load_dgd(network, self.path)
        return extract(network, images, self.compute)


@dataclass(kw_only=True, eq=False, repr=False)
class DGD(FineTuned):
    """DGD (Xiao et al., CVPR 2016) with plain dropout, pre-trained on Market-1501, fine-tuned on each split.

    One softmax over the training people for high-resolution images and low-resolution images behind the front-end:
    random 144x56 crop of 160x72, mirrored half the time.  Images are matched by the Euclidean distance of fc7 after
    batch normalisation, before ReLU, of their centre crops.  Solver of the release's fine-tuning: SGD, base rate `lr`
    falling as (1 - t / steps)^0.5, biases at twice the rate; no weight decay on biases and norms.  The three anchors
    of a front-end that does not know its ratio differ in their seed only.

    steps 0 takes the pre-trained network as it is.  By default of the profile steps, batch, accumulate are: smoke 4, 8,
    1; quick 50, 10, 1; paper 500, 20, 2; and lr is 0.01, in the quick profile 0.03.  Parameters: those of `FineTuned`.
    The smoke profile trains a network of an eighth of the width from scratch.
    """

    name = "dgd"
    version = 1
    uses = ("dgd", "training")
    note = "started from Market-1501 unless its name says scratch or its profile is smoke (a narrow network)"

    def files(self, profile: str) -> tuple[str, ...]:
        return () if self.scratch or profile == "smoke" else (DGD_FILE,)

    def fit(self, train: Train) -> "DGD":
        people, labels = np.unique(np.concatenate([train.gallery.identity, train.probe.identity]), return_inverse=True)
        self.compute_ = self.compute(train)
        self.network_ = self._start(train, len(people))
        stage = self.stage(FINE_TUNING, train.profile)
        self.curves_ = self._train(train, labels, stage) if stage.steps else None
        self.network_.eval()
        return self

    def distances(self, probe: "Images", gallery: "Images") -> np.ndarray:
        return cdist(self._features(probe), self._features(gallery))

    def _features(self, images: "Images") -> np.ndarray:
        # Without fine-tuning all splits share one network: its features are computed once and kept.
        if self.pretrained_ and self.curves_ is None:
            return images.features(self.pretrained_)
        return extract(self.network_, images.array(), self.compute_)

    def _start(self, train: Train, people: int) -> DGDNetwork:
        """The network before training; says in `initialisation_` where it comes from."""
        width = SMOKE_WIDTH if train.profile == "smoke" else 1.0
        with seeded(train.seed):
            network = DGDNetwork(people, width, self.dropout)
        self.pretrained_ = None
        self.initialisation_ = f"from scratch, width {width:g}, seed {train.seed}"
        if self.files(train.profile):
            (path,) = initial_weights(self, train.weights, train.profile)
            load_dgd(network, path)
            self.initialisation_ = f"{describe(path)}, fc8 new"
            self.pretrained_ = Pretrained(sha256(path), self.compute_.precision, path, self.compute_)
        return network

    def pretrain(self, given: Pretraining) -> dict[str, DGDNetwork]:
        """Softmax over the people of a large set, from random weights; file name without suffix -> network."""
        if given.identity is None:
            raise UsageError("DGD learns to tell people apart: give it a data set (--dataset), not a folder of images")
        stage = self.stage(PRETRAINING, given.profile)
        with seeded(given.seed):
            network = DGDNetwork(
                int(given.identity.max()) + 1, SMOKE_WIDTH if given.profile == "smoke" else 1.0, self.dropout
            )
        self._optimise(
            network,
            random_crops([resize_all(given.images, RESIZED)], [given.identity], stage.batch, given.seed),
            given,
            stage,
            self.compute(given),
        )
        return {Path(DGD_FILE).stem: network}

    def _train(self, given: Train, labels: np.ndarray, stage: Stage) -> Curves:
        sides = [given.gallery.array(), given.probe.array()]
        batches = random_crops(sides, np.split(labels, [len(sides[0])]), stage.batch, given.seed)
        return self._optimise(self.network_, batches, given, stage, self.compute_)

    def _optimise(
        self,
        network: DGDNetwork,
        batches: Callable[[int], dict[str, torch.Tensor]],
        given: Train | Pretraining,
        stage: Stage,
        compute: Compute,
    ) -> Curves:
        groups = parameter_groups(network, "dgd", stage.lr, self.weight_decay, bias_lr=2.0)
        return train(
            network,
            batches,
            softmax_loss,
            torch.optim.SGD(groups, momentum=self.momentum),
            stage.schedule(stage.steps),
            stage.steps,
            compute=compute,
            accumulate=stage.accumulate,
            seed=given.seed,
            checkpoint=given.workspace and given.workspace / "dgd.pt",
            checkpoint_every=CHECKPOINT_EVERY,
            progress=as_line(given.report) if isinstance(given, Pretraining) else None,
        )


def random_crops(
    sides: Sequence[np.ndarray], people: Sequence[np.ndarray], size: int, seed: int
) -> Callable[[int], dict[str, torch.Tensor]]:
    """Batch number -> `size` random images of each side, cropped to 144x56 and mirrored at random.

    sides: uint8 RGB (n, 160, 72, 3) each; people: their labels.
    """

    def batches(i: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([seed, i])
        crops, labels = [], []
        for images, persons in zip(sides, people, strict=True):
            for k in rng.integers(len(images), size=size):
                top, left = (int(rng.integers(a - b + 1)) for a, b in zip(RESIZED, INPUT, strict=True))
                crop = images[k, top : top + INPUT[0], left : left + INPUT[1]]
                crops.append(crop[:, ::-1] if rng.integers(2) else crop)
                labels.append(persons[k])
        return {"images": normalise(as_tensor(np.stack(crops))), "people": torch.tensor(labels)}

    return batches


def softmax_loss(network: DGDNetwork, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"total": cross_entropy(network(batch["images"]).float(), batch["people"])}
