from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from bench.errors import NotApplicable
from bench.learning.checkpoints import Curves
from bench.learning.compute import Batch, Compute, seeded
from bench.learning.device import resolve_device
from bench.learning.pixels import cut, draw_looks, recolour, resident
from bench.learning.schedules import parameter_groups, poly
from bench.learning.training import train
from bench.plugin.base import Train, Trained
from bench.plugin.weights_files import describe, initial_weights, sha256
from methods._camera_statistics import CameraStatistics, Show
from methods._dgd import DGD_FILE, INPUT, PART, SMOKE_WIDTH, DGDNetwork, load_dgd, normalise
from methods._finetuning import (
    CENTRE,
    CHECKPOINT_EVERY,
    FineTuned,
    Stage,
    centre_of,
    extract,
)

if TYPE_CHECKING:
    from bench.protocol.extractors import Extractor
    from bench.protocol.images import Images

# paper: the iterations of SING's baselines on VIPeR.  quick: chosen on held-out training people (methods/README.md).
FINE_TUNING = {
    "smoke": Stage(4, 8, 1, 0.01, poly),
    "quick": Stage(50, 10, 1, 0.03, poly),
    "paper": Stage(500, 20, 2, 0.01, poly),
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
    version = 2
    uses = ("camera_statistics", "dgd", "pixels", "training")
    note = "started from Market-1501 unless its name says scratch or its profile is smoke (a narrow network)"

    def files(self, profile: str) -> tuple[str, ...]:
        return () if self.scratch or profile == "smoke" else (DGD_FILE,)

    def fit(self, train: Train) -> "DGD":
        people, labels = np.unique(np.concatenate([train.gallery.identity, train.probe.identity]), return_inverse=True)
        self.compute_ = self.compute(train)
        self.network_ = self._start(train, len(people))
        stage = self.stage(FINE_TUNING, train.profile)
        self.network_.frozen = stage.batch_statistics == "frozen"
        self.curves_ = self._train(train, labels, stage) if stage.steps else None
        self.statistics_ = None
        if stage.batch_statistics == "camera":
            sides = {"gallery": train.gallery, "probe": train.probe}
            roles = {role: (self._shower(images), images.camera) for role, images in sides.items()}
            self.statistics_ = CameraStatistics.of(self.network_, roles, self.compute_)
        self.network_.eval()
        return self

    def _shower(self, images: "Images") -> Show:
        pixels = resident([images.array()], self.compute_)
        return lambda network, rows: network.features(centre_of(pixels, rows))

    def embed(self, images: "Images", side: str) -> np.ndarray:
        # Without fine-tuning all splits share one network: its features are computed once and kept.
        if self.pretrained_ and self.curves_ is None and self.statistics_ is None:
            return images.features(self.pretrained_)
        shares = self.statistics_ and self.statistics_.shares(side, images.camera)
        return extract(self.network_, images.array(), self.compute_, shares=shares)

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

    def descriptors(self, weights: Path | None, device: str) -> "Sequence[Extractor]":
        if self.steps != 0 or self.scratch or self.batch_statistics == "camera":
            raise NotApplicable(
                f"{self.name} is fine-tuned on labelled people of a data set; {self.name}[steps=0] describes pictures"
                " as the pre-trained network sees them"
            )
        (path,) = initial_weights(self, weights, "paper")
        return [self.recipe()(precision=self.precision).zero_shot(path, resolve_device(device)).extractor]

    @classmethod
    def recipe(cls) -> type[Trained]:
        from methods._dgd_pretraining import Recipe

        return Recipe

    def _train(self, given: Train, labels: np.ndarray, stage: Stage) -> Curves:
        """Fine-tune the network; labels: the people of the gallery images, then of the probes."""
        pixels = resident([given.gallery.array(), given.probe.array()], self.compute_)
        parameters = parameter_groups(self.network_, "dgd", stage.lr, self.weight_decay, bias_lr=2.0)

        def loss(network: DGDNetwork, batch: Batch) -> dict[str, torch.Tensor]:
            rgb = cut(pixels, batch["rows"], batch["corner"], INPUT, batch["mirror"])
            images = normalise(recolour(rgb, batch.get("colour")))
            scores = torch.cat([network(stream) for stream in stage.normalised_together(images)])
            return {"total": cross_entropy(scores.float(), batch["people"])}

        return train(
            self.network_,
            in_turn([len(given.gallery), len(given.probe)], labels, stage, given.seed),
            loss,
            torch.optim.SGD(parameters, momentum=self.momentum, fused=self.compute_.cuda),
            stage.schedule(stage.steps),
            stage.steps,
            compute=self.compute_,
            accumulate=stage.accumulate,
            seed=given.seed,
            checkpoint=given.workspace and given.workspace / "dgd.pt",
            checkpoint_every=CHECKPOINT_EVERY,
        )


def in_turn(sides: Sequence[int], people: np.ndarray, stage: Stage, seed: int) -> Callable[[int], Batch]:
    """Batch number -> so many random images of each side, each as a random crop.

    sides: how many images each has, one side after the other; people: of every image.
    """
    ends = np.cumsum([0, *sides])

    def batches(i: int) -> Batch:
        rng = np.random.default_rng([seed, i])
        rows = np.concatenate([rng.integers(*side, size=stage.batch) for side in pairwise(ends)])
        looks = draw_looks(rng, len(rows), stage.augmentation)
        corner = looks.pop("shift") + np.array(CENTRE)
        drawn = {"rows": rows, "people": people[rows], "corner": corner, **looks}
        return {name: torch.from_numpy(values) for name, values in drawn.items()}

    return batches
