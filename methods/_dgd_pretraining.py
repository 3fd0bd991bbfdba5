"""How the weights that DGD starts from are made: softmax over the people of a large set, on augmented images."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.transforms import InterpolationMode, v2

from bench.errors import UsageError
from bench.learning.ahead import ahead, workers
from bench.learning.compute import Compute, seeded
from bench.learning.precision import precision_for
from bench.learning.progress import follow
from bench.learning.schedules import parameter_groups, plateau
from bench.learning.training import train
from bench.learning.weights import load_weights, read_weights
from bench.plugin.base import Trained
from bench.plugin.pretraining import Pretraining, ZeroShot
from bench.plugin.weights_files import sha256
from bench.protocol.resize import resize_all
from methods._dgd import DGD_FILE, INPUT, MEAN, RESIZED, SMOKE_WIDTH, DGDNetwork, normalise

Probability = Annotated[float, Ge(0), Le(1)]

SMALL = (96, 40)  # inputs of the first images; INPUT afterwards
LOW_RESOLUTIONS = ((64, 32), (43, 21), (32, 16))  # 1/2, 1/3 and 1/4 of Market-1501's 128x64
CAST = (0.8, 1.2)
JITTER = {"brightness": 0.35, "contrast": 0.35, "saturation": 0.5}
ERASED = (0.03, 0.2)  # of the area
FULL_RATE, AT_SMALL = Fraction(256, 420), Fraction(320, 420)  # of all images
CHECKPOINT_EVERY = 100  # updates


@dataclass(frozen=True)
class Length:
    """What a profile sets: images in all, updates of warm-up, people a batch, images of each."""

    images: int
    warm_up: int
    people: int
    shots: int


LENGTHS = {
    "smoke": Length(48, 2, 4, 2),
    "quick": Length(105_000, 200, 16, 4),
    "paper": Length(420_000, 200, 16, 4),
}


@dataclass(kw_only=True, eq=False, repr=False)
class Recipe(Trained):
    """How DGD is pre-trained, on 160x72 images of which each input is a random 144x56 crop, mirrored half the time.

    images: how many are shown in all.  people, shots: of a batch, so many people drawn at random and so many images of
    each.  balanced: false draws as many images from all alike.
    lr: rises over `warm_up` updates, is constant up to `constant_until` images, then falls in a straight line to zero.
    small_until: up to so many images inputs are shrunk to 96x40.
    By default of the profile images, warm_up, people, shots are: smoke 48, 2, 4, 2; quick 105,000, 200, 16, 4; paper
    420,000, 200, 16, 4.  By default constant_until and small_until are 256/420 and 320/420 of the images.
    shrink: probability that an image is shrunk to 1/2, 1/3 or 1/4 of 128x64 and back (bicubic, anti-aliased).
    colour: probability of a colour cast (each channel x 0.8-1.2) with brightness and contrast x 0.65-1.35 and
    saturation x 0.5-1.5.  erase: probability that 3-20 % of the area are filled with the mean.  With shrink, colour,
    erase and label_smoothing 0 and balanced=false the plain recipe is left: crop and mirror.
    average: the result is the exponential average of weights and statistics, which keeps this share of itself an
    update.
    momentum (Nesterov's), weight_decay (not of biases and norms), label_smoothing, dropout: as named.
    precision: as of `FineTuned`.
    start: a weights file to go on from, in place of random weights; fc8 too where it is of as many people.
    The smoke profile trains a network of an eighth of the width.
    """

    name = "dgd"

    images: Annotated[int, Ge(1)] | None = None
    constant_until: Annotated[int, Ge(0)] | None = None
    small_until: Annotated[int, Ge(0)] | None = None
    warm_up: Annotated[int, Ge(0)] | None = None
    people: Annotated[int, Ge(1)] | None = None
    shots: Annotated[int, Ge(1)] | None = None
    balanced: bool = True
    lr: Annotated[float, Gt(0)] = 0.04
    momentum: Annotated[float, Gt(0)] = 0.9
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    dropout: Probability = 0.5
    label_smoothing: Probability = 0.1
    average: Probability = 0.9995
    shrink: Probability = 0.5
    colour: Probability = 0.7
    erase: Probability = 0.3
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    start: Path | None = None

    def length(self, profile: str) -> Length:
        """A profile's, with what the parameters say instead."""
        given = {field.name: getattr(self, field.name) for field in fields(Length)}
        return replace(LENGTHS[profile], **{name: value for name, value in given.items() if value is not None})

    def pretrain(self, given: Pretraining) -> dict[str, DGDNetwork]:
        if given.identity is None:
            raise UsageError("DGD learns to tell people apart: give it a data set (--dataset), not a folder of images")
        length = self.length(given.profile)
        people = int(given.identity.max()) + 1
        if self.balanced and length.people > people:
            raise UsageError(f"batches are of {length.people} people and there are {people}: give people={people}")
        batch = length.people * length.shots
        steps = -(-length.images // batch)
        compute = Compute.of(given, precision_for(self.precision, given.device), channels_last=True)
        network = self.initial(people, given)
        averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(self.average), use_buffers=True)
        groups = parameter_groups(network, "dgd", self.lr, self.weight_decay)
        train(
            network,
            ahead(self.batches(given, length), steps, workers(compute)),
            self.loss,
            torch.optim.SGD(groups, momentum=self.momentum, nesterov=True, fused=compute.cuda),
            plateau(length.images / batch, length.warm_up, self.point(self.constant_until, FULL_RATE, length) / batch),
            steps,
            compute=compute,
            seed=given.seed,
            checkpoint=given.workspace / "dgd.pt",
            checkpoint_every=CHECKPOINT_EVERY,
            identity=self.identity(length),
            progress=follow(given, batch),
            averaged=averaged,
        )
        return {Path(DGD_FILE).stem: averaged.module.eval()}

    def zero_shot(self, weights: Path, device: str) -> ZeroShot:
        from methods.dgd import Pretrained

        precision = precision_for(self.precision, device)
        compute = Compute(device, precision, channels_last=True)
        return ZeroShot(Pretrained(sha256(weights), precision, weights, compute), "bicubic")

    def point(self, images: int | None, share: Fraction, length: Length) -> float:
        """After how many images a phase ends."""
        return float(share * length.images) if images is None else images

    def identity(self, length: Length) -> str:
        """What a checkpoint must agree on: every parameter, and the content of the file that was started from."""
        start = self.start and sha256(self.start)
        return f"{length} {sorted({**self.get_params(), 'start': start}.items())}"

    def initial(self, people: int, given: Pretraining) -> DGDNetwork:
        """The network before training."""
        with seeded(given.seed):
            network = DGDNetwork(people, SMOKE_WIDTH if given.profile == "smoke" else 1.0, self.dropout)
        if self.start is not None:
            tensors = read_weights(self.start)
            classifier = tensors.get("fc8.weight")
            others = classifier is None or len(classifier) != people
            load_weights(network, tensors, self.start, skip=("fc8.",) if others else ())
        return network

    def loss(self, network: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        scores = network(normalise(batch["images"] / 255)).float()
        return {
            "total": cross_entropy(scores, batch["people"], label_smoothing=self.label_smoothing),
            "accuracy": (scores.argmax(1) == batch["people"]).float().mean(),
        }

    def batches(self, given: Pretraining, length: Length) -> Callable[[int], dict[str, Tensor]]:
        """Batch number -> augmented uint8 RGB images (n, 3, h, w) and people, by the seed and the number alone."""
        images, people = resize_all(given.images, RESIZED), given.identity
        size = length.people * length.shots
        rows_of = [np.flatnonzero(people == person) for person in range(int(people.max()) + 1)]
        small_until = self.point(self.small_until, AT_SMALL, length)
        augment = self.augmentation()

        def batches(i: int) -> dict[str, Tensor]:
            rng = np.random.default_rng([given.seed, i])
            if self.balanced:
                rows = balanced_rows(rows_of, length.people, length.shots, rng)
            else:
                rows = rng.integers(len(images), size=size)
            with seeded(given.seed, i, 1):
                rgb = torch.stack([augment(torch.tensor(images[row]).permute(2, 0, 1)) for row in rows])
            if i * size < small_until:
                rgb = resize(SMALL)(rgb)
            return {"images": rgb, "people": torch.from_numpy(people[rows])}

        return batches

    def augmentation(self) -> v2.Transform:
        """uint8 RGB (3, 160, 72) -> uint8 RGB (3, 144, 56), by torch's global random numbers."""
        shrunk = [v2.Compose([resize(size), resize(RESIZED)]) for size in LOW_RESOLUTIONS]
        colours = [ColourCast(CAST), v2.ColorJitter(**JITTER)]
        return v2.Compose(
            [
                v2.RandomApply([v2.RandomChoice(shrunk)], self.shrink),
                v2.RandomCrop(INPUT),
                v2.RandomHorizontalFlip(),
                v2.RandomApply([to(torch.float32), *colours, to(torch.uint8)], self.colour),
                v2.RandomErasing(self.erase, ERASED, value=[round(255 * value) for value in MEAN]),
            ]
        )


class ColourCast(v2.Transform):
    """Multiply each channel of float images in [0, 1] by a random number of a range."""

    def __init__(self, factors: tuple[float, float]) -> None:
        super().__init__()
        self.factors = factors

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"factors": torch.empty(3, 1, 1).uniform_(*self.factors)}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        return (inpt * params["factors"]).clamp(0, 1)


def to(dtype: torch.dtype) -> v2.ToDtype:
    """Grey levels 0..255 from and to [0, 1]."""
    return v2.ToDtype(dtype, scale=True)


def resize(size: tuple[int, int]) -> v2.Resize:
    return v2.Resize(size, InterpolationMode.BICUBIC, antialias=True)


def balanced_rows(rows_of: list[np.ndarray], people: int, shots: int, rng: np.random.Generator) -> np.ndarray:
    """(people * shots,) rows: different people drawn at random, different images of each as far as there are any.

    rows_of: every person's rows.
    """
    chosen = rng.choice(len(rows_of), people, replace=False)
    return np.concatenate(
        [rng.choice(rows_of[person], shots, replace=len(rows_of[person]) < shots) for person in chosen]
    )
