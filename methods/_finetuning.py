"""What every method whose network is, or ends in, DGD has in common: parameters, where it starts, and matching."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from scipy.spatial.distance import cdist
from torch import Tensor

from bench.learning.compute import Compute
from bench.learning.pixels import Augmentation, resident
from bench.learning.precision import precision_for
from bench.learning.schedules import Schedule
from bench.plugin.base import Method, Pretraining, Train
from bench.plugin.sigma import SigmaRule
from methods._camera_statistics import Moments
from methods._dgd import INPUT, RESIZED, DGDNetwork, normalise

CHECKPOINT_EVERY = 25  # updates
SIGMA = {"smoke": SigmaRule(fixed=0.25), "quick": SigmaRule(fixed=0.25), "paper": SigmaRule(held_out=1)}
CENTRE = (RESIZED[0] - INPUT[0]) // 2, (RESIZED[1] - INPUT[1]) // 2  # first row and column

Statistics = Literal["batch", "frozen", "camera"]


@dataclass(frozen=True)
class Stage:
    """A training: updates, images a stream and batch, batches an update, base rate, and the rate's course.

    augmentation, batch_statistics: as in `FineTuned`.
    """

    steps: int
    batch: int
    accumulate: int
    lr: float
    schedule: Callable[[int], Schedule]
    augmentation: Augmentation = "crop"
    batch_statistics: Statistics = "batch"

    def normalised_together(self, images: Tensor) -> Sequence[Tensor]:
        """A batch's images in the parts that share statistics of batch normalisation: all, or each stream by itself."""
        return images.split(self.batch) if self.batch_statistics == "camera" else [images]


@dataclass(kw_only=True, eq=False, repr=False)
class FineTuned(Method):
    """A method whose network is, or ends in, DGD: where it starts from, its solver, SGD, and its matching.

    scratch: start from random weights.
    steps: updates.  batch: images of each stream in a batch.  accumulate: batches an update.  lr: base rate.
    augmentation: of training images: ``mirror``, half of them; ``crop``, also moved by up to 8 pixels; ``colour``, also
    seven in ten in other colours.
    batch_statistics: what batch normalisation learns and matches with: ``batch``, the statistics of each batch in
    training and their running mean in matching; ``frozen``, those of pre-training; ``camera``, in training those of
    each stream by itself, in matching for each camera those of the training people's images of it.
    Where these six are not given they are the profile's.
    distance: between features, ``l2`` or ``cosine``.
    momentum, weight_decay, dropout: as named; biases learn at twice the rate, biases and norms have no weight decay.
    precision: ``auto`` is bfloat16 where the machine is faster in it, on most GPUs and on a CPU with AMX, else float32.
    """

    input_size = RESIZED
    ratio_dependent = True
    profiles = True

    scratch: bool = False
    steps: Annotated[int, Ge(0)] | None = None
    batch: Annotated[int, Ge(1)] | None = None
    accumulate: Annotated[int, Ge(1)] | None = None
    lr: Annotated[float, Gt(0)] | None = None
    augmentation: Augmentation | None = None
    batch_statistics: Statistics | None = None
    distance: Literal["l2", "cosine"] = "l2"
    momentum: Annotated[float, Ge(0)] = 0.9
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    dropout: Annotated[float, Ge(0), Le(1)] = 0.5
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def stage(self, profiles: Mapping[str, Stage], profile: str) -> Stage:
        """A profile's training, with what the parameters say instead."""
        names = ("steps", "batch", "accumulate", "lr", "augmentation", "batch_statistics")
        given = {name: getattr(self, name) for name in names}
        return replace(profiles[profile], **{name: value for name, value in given.items() if value is not None})

    def compute(self, given: Train | Pretraining) -> Compute:
        return Compute.of(given, precision_for(self.precision, given.device), channels_last=True)

    def sigma_rule(self, profile: str) -> SigmaRule:
        return SIGMA[profile]

    def between(self, probe: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        """Distances (n_probe, n_gallery) of features."""
        return cdist(probe, gallery, "cosine" if self.distance == "cosine" else "euclidean")


def centre(rgb: Tensor) -> Tensor:
    """The INPUT-sized centre of RESIZED images, (n, 3, 160, 72) to (n, 3, 144, 56)."""
    top, left = CENTRE
    return rgb[:, :, top : top + INPUT[0], left : left + INPUT[1]]


def centre_of(images: Tensor, rows: Tensor) -> Tensor:
    """Normalised input of the centres of some images, uint8 (n, 160, 72, 3) on the device."""
    return normalise(centre(images[rows].permute(0, 3, 1, 2) / 255))


@torch.no_grad()
def extract(
    network: DGDNetwork,
    images: np.ndarray,
    compute: Compute,
    prepare: Callable[[Tensor], Tensor] = centre,
    shares: Iterable[tuple[np.ndarray, Moments]] | None = None,
) -> np.ndarray:
    """Features (n, 256), float32, of uint8 RGB images (n, 160, 72, 3); the network is left as it is.

    prepare: what brings RGB in [0, 1], float (n, 3, 160, 72), to 144x56 on the network's device.
    shares: which of the images are seen with which statistics, in place of the network's own.
    """
    batch = 256 if compute.cuda else 32
    features = np.empty((len(images), network.fc7.out_features), np.float32)
    with compute.active():
        for rows, moments in [(np.arange(len(images)), None)] if shares is None else shares:
            folded = network.folded(moments)
            compute.place(folded)
            pixels = resident([images if len(rows) == len(images) else images[rows]], compute)
            found = []
            for some in pixels.split(batch):
                rgb = some.permute(0, 3, 1, 2) / 255
                with compute.autocast():
                    found.append(folded.features(normalise(prepare(rgb))).float())
            features[rows] = torch.cat(found).cpu().numpy()
    return features
