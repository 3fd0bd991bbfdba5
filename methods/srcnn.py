from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt

from bench.base import FrontEnd, Size, Upscaling
from bench.errors import DataError
from bench.resize import resize_all, shrink
from bench.training import Compute, Curves, constant, seeded, train
from bench.weights import find_weights, sha256
from methods._srcnn import BORDER, SRCNN, load_srcnn, rgb_to_ycbcr, squared_error

STEPS = {"smoke": 5, "quick": 100, "paper": 200}
SMOKE_WIDTH = 1 / 8


class SuperResolution(FrontEnd):
    """SRCNN (Dong et al., ECCV 2014; TPAMI 2016), 9-5-5, after bicubic up-scaling, fine-tuned for each ratio.

    Starts from the release's ImageNet weights of the ratio, x2.mat, x3.mat or x4.mat, and is fine-tuned on the training
    people's gallery images: input, the image shrunk by the ratio and up-scaled to the method's size; target, the image
    itself at that size.  Solver of the release's training package: SGD, loss sum of squares / (2 x batch), `lr` for the
    weights of conv1 and conv2, a tenth of it for conv3 and all biases; random sub-images, mirrored half the time,
    through valid convolutions.  Borders are replicated when images are up-scaled, as in the release's test code.

    scratch: start from random weights around the identity instead, which needs no file.
    steps: updates; by default of the profile: smoke 5, quick 100, paper 200.  How many was chosen on held-out
    training people (methods/README.md).
    lr, momentum: of SGD.  batch: sub-images an update; the package's 128 would make each take four times as long.
    sub_image: their side in pixels.
    The smoke profile trains a network of an eighth of the filters from scratch.
    """

    name = "srcnn"
    ratio_dependent = True
    learns = True
    profiles = True

    def __init__(
        self,
        scratch: bool = False,
        steps: Annotated[int, Ge(0)] | None = None,
        lr: Annotated[float, Gt(0)] = 1e-4,
        momentum: Annotated[float, Ge(0)] = 0.9,
        batch: Annotated[int, Ge(1)] = 32,
        sub_image: Annotated[int, Ge(2 * BORDER + 1)] = 33,
    ):
        self.scratch = scratch
        self.steps = steps
        self.lr = lr
        self.momentum = momentum
        self.batch = batch
        self.sub_image = sub_image

    def available(self, weights: Path | None, profile: str) -> str | None:
        missing = [name for name in self._files(profile) if not (weights and find_weights(name, weights))]
        if not missing:
            return None
        where = f"are not below {weights}" if weights else "need a folder of weights (--weights or BENCH_WEIGHTS)"
        return f"SRCNN's weights {', '.join(missing)} {where}; srcnn[scratch] trains without"

    def initial_weights(self, weights: Path | None, profile: str) -> list[Path]:
        return [path for name in self._files(profile) if weights and (path := find_weights(name, weights))]

    def _files(self, profile: str) -> list[str]:
        return [] if self.scratch or profile == "smoke" else ["x2.mat", "x3.mat", "x4.mat"]

    def fit(self, train: Upscaling) -> "SuperResolution":
        width = SMOKE_WIDTH if train.profile == "smoke" else 1.0
        with seeded(train.seed):
            model = SRCNN("valid", width).pass_through()
        self.initialisation_ = f"from scratch, {width:g} of the filters, seed {train.seed}"
        name = f"x{train.ratio.denominator}.mat"
        if name in self._files(train.profile):
            path = find_weights(name, train.weights) if train.weights else None
            if path is None:
                raise DataError(str(self.available(train.weights, train.profile)))
            load_srcnn(model, path)
            self.initialisation_ = f"{name} sha256 {sha256(path)[:12]}"
        steps = STEPS[train.profile] if self.steps is None else self.steps
        self.curves_ = self._train(model, train, steps) if steps else None
        self.network_ = SRCNN("replicate", width).to(train.device)
        self.network_.load_state_dict(model.state_dict())
        return self

    def upscale(self, images: Sequence[np.ndarray], size: Size) -> np.ndarray:
        return self.network_.super_resolve(resize_all(images, size, "bicubic"))

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

        def loss(network: SRCNN, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"total": squared_error(network(batch["input"]), batch["target"])}

        optimiser = torch.optim.SGD(model.parameter_groups(self.lr), momentum=self.momentum)
        checkpoint = given.workspace and given.workspace / "srcnn.pt"
        compute = Compute(given.device)
        return train(
            model, batches, loss, optimiser, constant, steps, compute=compute, seed=given.seed, checkpoint=checkpoint
        )


def luma(images: np.ndarray) -> torch.Tensor:
    """Y in [0, 1], float (n, 1, h, w), of uint8 RGB images (n, h, w, 3)."""
    return rgb_to_ycbcr(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)[:, :1].contiguous()
