from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt

from bench.errors import DataError
from bench.learning.checkpoints import Curves
from bench.learning.compute import Compute, seeded
from bench.learning.precision import auto_precision
from bench.learning.progress import follow
from bench.learning.schedules import constant, one_cycle
from bench.learning.training import train
from bench.plugin.base import FrontEnd, Size, Upscaling
from bench.plugin.pretraining import Pretraining
from bench.plugin.weights_files import describe, initial_weights
from bench.protocol.fusion import ANCHORS
from bench.protocol.resize import resize_all, shrink
from methods._srcnn import BORDER, SRCNN, SRCNN_FILES, load_srcnn, rgb_to_ycbcr, squared_error

STEPS = {"smoke": 5, "quick": 100, "paper": 200}
PRETRAINING = {"smoke": 5, "quick": 5000, "paper": 200_000}  # updates for each ratio
DETAIL_BATCHES = 8  # that principal components are measured on
SMOKE_WIDTH = 1 / 8


@dataclass(kw_only=True, eq=False, repr=False)
class SuperResolution(FrontEnd):
    """SRCNN (Dong et al., ECCV 2014; TPAMI 2016), 9-5-5, after bicubic up-scaling, fine-tuned for each ratio.

    Starts from the release's ImageNet weights of the ratio, x2.mat, x3.mat or x4.mat, where they are found, otherwise
    from those that travel with this file (methods/weights/README.md), and is fine-tuned on the training people's
    gallery images: input, the image shrunk by the ratio and up-scaled to the method's size; target, the image itself at
    that size.  Solver of the release's training package: SGD, loss sum of squares / (2 x batch), `lr` for the
    weights of conv1 and conv2, a tenth of it for conv3 and all biases; random sub-images, mirrored half the time,
    through valid convolutions.  Borders are replicated when images are up-scaled, as in the release's test code.

    scratch: start from random weights around the identity instead, which needs no file.
    steps: updates; by default of the profile: smoke 5, quick 100, paper 200.  How many was chosen on held-out
    training people (methods/README.md).  0: the weights as they are, whatever the profile, one network for all splits.
    lr, momentum: of SGD.  batch: sub-images an update; the package's 128 would make each take four times as long.
    sub_image: their side in pixels.
    The smoke profile trains a network of an eighth of the filters from scratch.
    """

    name = "srcnn"
    version = 1
    uses = ("srcnn", "training")
    ratio_dependent = True
    profiles = True

    scratch: bool = False
    steps: Annotated[int, Ge(0)] | None = None
    lr: Annotated[float, Gt(0)] = 1e-4
    momentum: Annotated[float, Ge(0)] = 0.9
    batch: Annotated[int, Ge(1)] = 32
    sub_image: Annotated[int, Ge(2 * BORDER + 1)] = 33

    @property
    def learns(self) -> bool:
        return self.scratch or self.steps != 0

    def files(self, profile: str) -> tuple[str, ...]:
        return () if self.scratch or (profile == "smoke" and self.learns) else SRCNN_FILES

    def fit(self, train: Upscaling) -> "SuperResolution":
        width = SMOKE_WIDTH if train.profile == "smoke" and self.learns else 1.0
        with seeded(train.seed):
            model = SRCNN("valid", width).pass_through()
        self.initialisation_ = f"from scratch, {width:g} of the filters, seed {train.seed}"
        if self.files(train.profile):
            path = initial_weights(self, train.weights, train.profile)[ANCHORS.index(train.ratio)]
            load_srcnn(model, path)
            self.initialisation_ = describe(path)
        self.compute_ = Compute.of(train)
        steps = self._steps(STEPS, train.profile)
        self.curves_ = self._train(model, train, steps) if steps else None
        self.network_ = SRCNN("replicate", width).to(train.device)
        self.network_.load_state_dict(model.state_dict())
        return self

    def upscale(self, images: Sequence[np.ndarray], size: Size) -> np.ndarray:
        with self.compute_.active():
            return self.network_.super_resolve(resize_all(images, size, "bicubic"))

    def _steps(self, profiles: Mapping[str, int], profile: str) -> int:
        return profiles[profile] if self.steps is None else self.steps

    def _train(self, model: SRCNN, given: Upscaling, steps: int) -> Curves:
        inputs = luma(resize_all([shrink(image, given.ratio) for image in given.images], given.size))
        targets = luma(resize_all(given.images, given.size))
        side = [min(self.sub_image, length) for length in given.size]

        def batches(i: int) -> dict[str, torch.Tensor]:
            rng = np.random.default_rng([given.seed, i])
            pairs = []
            for k in rng.integers(len(inputs), size=self.batch):
                top, left = (int(rng.integers(n - s + 1)) for n, s in zip(given.size, side, strict=True))
                window = np.s_[:, top : top + side[0], left : left + side[1]]
                pair = inputs[k][window], targets[k][window][:, BORDER:-BORDER, BORDER:-BORDER]
                pairs.append([p.flip(2) for p in pair] if rng.integers(2) else pair)
            x, y = (torch.stack(part) for part in zip(*pairs, strict=True))
            return {"input": x, "target": y}

        return train(
            model,
            batches,
            half_squares,
            torch.optim.SGD(model.parameter_groups(self.lr), momentum=self.momentum),
            constant,
            steps,
            compute=self.compute_,
            seed=given.seed,
            checkpoint=given.workspace and given.workspace / "srcnn.pt",
        )

    def pretrain(self, given: Pretraining) -> dict[str, SRCNN]:
        """A network for each ratio from any images, from random weights; file name without suffix -> network.

        Sub-images at random places of random images, shown at half their size to their own, turned and mirrored:
        target, the sub-image; input, it shrunk and up-scaled with a margin around it, so that its borders are like the
        rest.  Adam, at ten times `lr` for all layers, which rises over the first updates and falls as half a cosine.
        The training package's way, SGD at `lr`, takes millions of updates.
        """
        networks = {}
        steps = self._steps(PRETRAINING, given.profile)
        for ratio, name in zip(ANCHORS, SRCNN_FILES, strict=True):
            stem = Path(name).stem
            batches = self._sub_images(given, ratio)
            with seeded(given.seed, ratio.denominator):
                model = SRCNN("valid", SMOKE_WIDTH if given.profile == "smoke" else 1.0)
                model.see_detail(torch.cat([batches(i)["input"] for i in range(DETAIL_BATCHES)]))

            def report(line: str, stem: str = stem) -> None:
                given.report(f"{stem}: {line}")

            def log(record: Mapping[str, Any], stem: str = stem) -> None:
                given.log({"network": stem, **record})

            group = {"name": "sr", "params": list(model.parameters())}
            train(
                model,
                batches,
                half_squares,
                torch.optim.Adam([group], lr=10 * self.lr),
                one_cycle(steps, rise=0.02),
                steps,
                compute=Compute.of(given, auto_precision(given.device), channels_last=True),
                seed=given.seed,
                checkpoint=given.workspace / name / "srcnn.pt",
                progress=follow(replace(given, report=report, log=log), self.batch),
            )
            networks[stem] = model
        return networks

    def _sub_images(self, given: Pretraining, ratio: Fraction) -> Callable[[int], dict[str, torch.Tensor]]:
        margin = 2 * ratio.denominator
        side = -(-(self.sub_image + 2 * margin) // ratio.denominator) * ratio.denominator
        large = [i for i, image in enumerate(given.images) if min(image.shape[:2]) >= side]
        if not large:
            raise DataError(f"SRCNN needs images of at least {side}x{side} pixels to be trained on, and there is none")
        inner = np.s_[:, :, margin : margin + self.sub_image, margin : margin + self.sub_image]

        def batches(i: int) -> dict[str, torch.Tensor]:
            rng = np.random.default_rng([given.seed, ratio.denominator, i])
            patches = []
            for k in rng.choice(large, size=self.batch):
                image = given.images[k]
                shown = min(round(side * rng.uniform(1, 2)), *image.shape[:2])
                top, left = (int(rng.integers(n - shown + 1)) for n in image.shape[:2])
                patch = np.rot90(image[top : top + shown, left : left + shown], rng.integers(4))
                patches.append(np.ascontiguousarray(patch[:, ::-1] if rng.integers(2) else patch))
            sharp = resize_all(patches, (side, side))
            blurred = resize_all([shrink(patch, ratio) for patch in sharp], (side, side))
            target = luma(sharp)[inner][:, :, BORDER:-BORDER, BORDER:-BORDER]
            return {"input": luma(blurred)[inner], "target": target}

        return batches


def half_squares(network: SRCNN, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"total": squared_error(network(batch["input"]), batch["target"])}


def luma(images: np.ndarray) -> torch.Tensor:
    """Y in [0, 1], float (n, 1, h, w), of uint8 RGB images (n, h, w, 3)."""
    return rgb_to_ycbcr(torch.tensor(images).permute(0, 3, 1, 2) / 255)[:, :1].contiguous()
