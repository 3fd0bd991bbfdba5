from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bench.errors import BenchError
from bench.learning.checkpoints import Curves
from bench.learning.compute import Batch, device_constant, seeded
from bench.learning.pixels import cut, draw_looks, recolour, resident
from bench.learning.schedules import parameter_groups, poly
from bench.learning.training import train
from bench.plugin.base import Train
from bench.plugin.weights_files import describe, initial_weights
from bench.protocol.resize import resize_all
from methods._camera_statistics import CameraStatistics
from methods._dgd import DGD_FILE, INPUT, RESIZED, SMOKE_WIDTH, DGDNetwork, load_dgd, normalise
from methods._finetuning import (
    CENTRE,
    CHECKPOINT_EVERY,
    FineTuned,
    Stage,
    centre,
    centre_of,
    extract,
)
from methods._srcnn import SRCNN, SRCNN_FILES, load_srcnn, restored

if TYPE_CHECKING:
    from bench.protocol.images import Images

# paper: the author's iterations on both data sets.  quick: chosen on held-out training people (methods/README.md).
TRAINING = {
    "smoke": Stage(4, 6, 1, 0.01, poly, "mirror"),
    "quick": Stage(100, 10, 1, 0.01, poly, "mirror"),
    "paper": Stage(1000, 20, 2, 0.01, poly, "mirror"),
}
AUTHOR_SR_LR = (1e-8, 1e-9)  # of conv1 and conv2, of conv3 and all biases, as multiples of `lr`


Parts = Callable[[Tensor], Sequence[Tensor]]


class SINGNetwork(nn.Module):
    """F_sr and F_fe: SRCNN with valid convolutions on low-resolution images, then one DGD for all streams."""

    def __init__(self, identities: int, width: float, dropout: float, colour: str):
        super().__init__()
        self.sr = SRCNN("valid", width).pass_through() if width < 1 else SRCNN("valid")
        self.reid = DGDNetwork(identities, width, dropout)
        self.colour = colour

    def enhance(self, rgb: Tensor) -> Tensor:
        """F_sr: RGB in [0, 1], float (n, 3, 160, 72), to (n, 3, 144, 56), clamped to [0, 1]."""
        return super_resolved(self.sr, rgb, self.colour)

    def forward(self, hr: Tensor, low: Tensor, parts: Parts = lambda images: [images]) -> tuple[Tensor, Tensor]:
        """Softmax scores of the HR images and of the super-resolved `low`; and the latter as images.

        parts: of a batch that share the statistics of batch normalisation.
        """
        enhanced = self.enhance(low)
        images = normalise(torch.cat([hr, enhanced]))
        return torch.cat([self.reid(part) for part in parts(images)]), enhanced


def super_resolved(sr: SRCNN, rgb: Tensor, colour: str) -> Tensor:
    """RGB in [0, 1], float (n, 3, h, w), behind an SRCNN for Y or for each colour, clamped to [0, 1]."""
    if colour == "y":
        return sr.enhance(rgb)
    return torch.stack([sr(rgb[:, c : c + 1])[:, 0] for c in range(3)], dim=1).float().clamp(0, 1)


@dataclass(kw_only=True, eq=False, repr=False)
class SING(FineTuned):
    """SING (Jiao et al., AAAI 2018): super-resolution and re-identification trained as one network.

    L = L_reid + alpha L_sr (Eq. 5).  L_reid is the sum over three streams, HR, synthetic LR after SR and genuine LR
    after SR, of each stream's mean softmax loss, one classifier for all (Eq. 3); L_sr is the squared error of the
    super-resolved synthetic LR image against its HR image (Eq. 2).  Matching: L2 between F_fe(F_sr(probe)) and
    F_fe(gallery) (Eq. 1).  F_sr is SRCNN from ImageNet weights of the anchor's ratio; F_fe is DGD from Market-1501.

    alpha: weight of L_sr.
    sr_range: largest grey level in L_sr, ``1`` or ``255``.  sr_reduction: ``sum`` over pixels and channels, mean over
    images, as Eq. 2; ``half``, half of that (the author's); ``mean`` over pixels too.
    sr_scale: L_sr is multiplied by this before alpha, so that the sum over 24,192 values and the softmax losses are of
    one order of magnitude.
    sr_lr: learning rate of SRCNN's conv1 and conv2, a tenth of it for conv3 and all biases.  The default lets both
    terms move the SR network; rates a hundred times as large make it diverge.
    colour: SR of ``y`` alone, Cb and Cr passed through, or of each of ``rgb``.
    pairing: genuine LR images drawn ``independent`` of the HR images, or of the same ``identity``.
    no_synthetic_lr: drop the synthetic stream and with it L_sr (Table 3).
    author: sr_range 255, sr_reduction half, sr_scale 1 and SR rates of 1e-8 and 1e-9 times `lr`, whatever else is given
    for these: then re-id hardly moves the SR network.
    The others are those of `FineTuned`.  By default of the profile steps, batch, accumulate are: smoke 4, 6, 1; quick
    100, 10, 1; paper 1,000, 20, 2; and lr is 0.01, falling as (1 - t / steps)^0.5.  SR layers have no weight decay.
    The author's lr is 0.01 on CAVIAR and 0.001 on MLR-VIPeR.
    The smoke profile trains networks of an eighth of the width from scratch.
    """

    name = "sing"
    version = 3
    uses = ("camera_statistics", "dgd", "pixels", "srcnn", "training")
    scales = "own"
    note = "started from pre-trained SRCNN and Market-1501 DGD unless it says scratch or its profile is smoke (narrow)"

    alpha: Annotated[float, Ge(0)] = 1.0
    sr_range: Literal["1", "255"] = "1"
    sr_reduction: Literal["sum", "half", "mean"] = "sum"
    sr_scale: Annotated[float, Gt(0)] = 1e-3
    sr_lr: Annotated[float, Ge(0)] = 1e-5
    colour: Literal["y", "rgb"] = "y"
    pairing: Literal["independent", "identity"] = "independent"
    no_synthetic_lr: bool = False
    author: bool = False

    def files(self, profile: str) -> tuple[str, ...]:
        return () if self.scratch or profile == "smoke" else (DGD_FILE, *SRCNN_FILES)

    def fit(self, train: Train) -> "SING":
        people, labels = np.unique(np.concatenate([train.gallery.identity, train.probe.identity]), return_inverse=True)
        if train.synthetic is None or len(train.synthetic) != len(train.gallery):
            raise BenchError("SING has a synthetic stream of its own: run it without synthetic_lr")
        self.network_ = self._start(train, len(people))
        self.compute_ = self.compute(train)
        stage = self.stage(TRAINING, train.profile)
        self.network_.reid.frozen = stage.batch_statistics == "frozen"
        self.curves_ = self._train(train, labels, stage) if stage.steps else None
        self.compute_.place(self.network_.eval())
        self.statistics_ = self._camera_statistics(train) if stage.batch_statistics == "camera" else None
        return self

    def embed(self, images: "Images", side: str) -> np.ndarray:
        """Eq. 1: F_fe(F_sr(probe)) and F_fe(gallery)."""
        shares = self.statistics_ and self.statistics_.shares(side, images.camera)
        prepare = self.network_.enhance if side == "probe" else centre
        return extract(self.network_.reid, images.array(), self.compute_, prepare, shares)

    def enhancer(self) -> dict[str, np.ndarray]:
        """F_sr: the state of an `SRCNN`, float32."""
        return {name: value.detach().float().cpu().numpy() for name, value in self.network_.sr.state_dict().items()}

    @torch.no_grad()
    def enhance(self, images: Sequence[np.ndarray], enhancer: Mapping[str, np.ndarray]) -> np.ndarray:
        """F_sr(images), uint8 (n, 144, 56, 3)."""
        sr = restored(enhancer, "valid")
        shown = torch.from_numpy(resize_all(images, self.input_size)).permute(0, 3, 1, 2) / 255
        enhanced = torch.cat([super_resolved(sr, some, self.colour) for some in shown.split(16)])
        return (enhanced * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()

    def loss(self, network: SINGNetwork, batch: Batch, parts: Parts = lambda images: [images]) -> dict[str, Tensor]:
        """Every term of Eq. 5 on one batch, with ``total`` the one that is minimised.

        batch: RGB in [0, 1]: hr (n, 3, 144, 56); low (m, 3, 160, 72), n synthetic images, if any, then genuine ones;
        people: of hr, then of low.  parts: as of `SINGNetwork.forward`.
        """
        hr, people, n = batch["hr"], batch["people"], len(batch["hr"])
        scores, enhanced = network(hr, batch["low"], parts)
        sizes = [n, len(scores) - n] if self.no_synthetic_lr else [n, n, len(scores) - 2 * n]
        names = ["hr", "lr"] if self.no_synthetic_lr else ["hr", "synthetic", "lr"]
        streams = zip(names, scores.float().split(sizes), people.split(sizes), strict=True)
        terms = {name: cross_entropy(score, person) for name, score, person in streams}
        terms["reid"] = sum(terms.values(), torch.zeros((), device=hr.device))
        terms["total"] = terms["reid"]
        if not self.no_synthetic_lr:
            terms["sr"] = self.sr_loss(enhanced[:n], hr)
            terms["total"] = terms["reid"] + self.alpha * terms["sr"]
        return terms

    def sr_loss(self, enhanced: Tensor, hr: Tensor) -> Tensor:
        """L_sr (Eq. 2) of RGB images in [0, 1], (n, 3, h, w), in the reduction and range of the parameters."""
        scale, grey, reduction = self.sr_scale, float(self.sr_range), self.sr_reduction
        if self.author:
            scale, grey, reduction = 1.0, 255.0, "half"
        error = (grey * (enhanced - hr)).square()
        per_image = error.mean((1, 2, 3)) if reduction == "mean" else error.sum((1, 2, 3))
        return scale * per_image.mean() / (2 if reduction == "half" else 1)

    def _start(self, train: Train, people: int) -> SINGNetwork:
        """The networks before training; says in `initialisation_` where they come from."""
        width = SMOKE_WIDTH if train.profile == "smoke" else 1.0
        with seeded(train.seed):
            network = SINGNetwork(people, width, self.dropout, self.colour)
            if self.scratch and width == 1:
                network.sr.pass_through()
        self.initialisation_ = f"from scratch, width {width:g}, seed {train.seed}"
        if self.files(train.profile):
            dgd, *srcnn = initial_weights(self, train.weights, train.profile)
            sr = srcnn[train.ratio.denominator - 2]
            load_dgd(network.reid, dgd)
            load_srcnn(network.sr, sr)
            self.initialisation_ = f"{describe(sr)}; {describe(dgd)}; fc8 new"
        return network

    def _camera_statistics(self, given: Train) -> CameraStatistics:
        hr, low = (resident([images.array()], self.compute_) for images in (given.gallery, given.probe))

        def enhanced(network: DGDNetwork, rows: Tensor) -> Tensor:
            return network.features(normalise(self.network_.enhance(low[rows].permute(0, 3, 1, 2) / 255)))

        roles = {
            "gallery": (lambda network, rows: network.features(centre_of(hr, rows)), given.gallery.camera),
            "probe": (enhanced, given.probe.camera),
        }
        return CameraStatistics.of(self.network_.reid, roles, self.compute_)

    def _train(self, given: Train, labels: np.ndarray, stage: Stage) -> Curves:
        """Train both networks; labels: the people of the HR images, then of the genuine LR ones."""
        compute, network = self.compute_, self.network_
        hr = resident([given.gallery.array()], compute)
        low = resident([given.probe.array(), given.synthetic.array()], compute)

        def high(batch: Batch) -> Tensor:
            if "colour" not in batch:
                return cut(hr, batch["rows"], batch["corner"], INPUT, batch["mirror"])
            # Contrast is about the mean of a window: of the one that the synthetic image is seen in.
            corner = batch["corner"] - device_constant(CENTRE, batch["corner"])
            return centre(recolour(cut(hr, batch["rows"], corner, RESIZED, batch["mirror"]), batch["colour"]))

        def loss(network: SINGNetwork, batch: Batch) -> dict[str, Tensor]:
            images = {
                "hr": high(batch),
                "low": recolour(
                    cut(low, batch["low.rows"], batch["low.corner"], RESIZED, batch["low.mirror"]),
                    batch.get("low.colour"),
                ),
            }
            return self.loss(network, {**batch, **images}, stage.normalised_together)

        fast, slow = (f * stage.lr for f in AUTHOR_SR_LR) if self.author else (self.sr_lr, self.sr_lr / 10)
        parameters = network.sr.parameter_groups(fast)
        parameters[1]["lr"] = slow
        parameters += parameter_groups(network.reid, "dgd", stage.lr, self.weight_decay, bias_lr=2.0)
        return train(
            network,
            self._batches(given.seed, np.split(labels, [len(hr)]), stage),
            loss,
            torch.optim.SGD(parameters, lr=stage.lr, momentum=self.momentum, fused=compute.cuda),
            stage.schedule(stage.steps),
            stage.steps,
            compute=compute,
            accumulate=stage.accumulate,
            seed=given.seed,
            checkpoint=given.workspace and given.workspace / "sing.pt",
            checkpoint_every=CHECKPOINT_EVERY,
            term_gradients=("sr",),
        )

    def _batches(self, seed: int, people: list[np.ndarray], stage: Stage) -> Callable[[int], Batch]:
        """Batch number -> `batch` random HR images, each also as synthetic LR, and as many genuine LR ones.

        people: of the HR images and of the genuine LR ones, after which the synthetic ones stand.
        """
        hr, lr = people
        partners = [np.flatnonzero(lr == person) for person in range(max(hr.max(), lr.max()) + 1)]

        def batches(i: int) -> dict[str, Tensor]:
            rng = np.random.default_rng([seed, i])
            rows, others = rng.integers(len(hr), size=stage.batch), rng.integers(len(lr), size=stage.batch)
            if self.pairing == "identity":
                others = np.array([rng.choice(partners[person]) for person in hr[rows]])
            looks, other_looks = (draw_looks(rng, stage.batch, stage.augmentation) for _ in range(2))
            drawn = {"rows": rows, "corner": looks["shift"] + np.array(CENTRE)}
            drawn |= {name: values for name, values in looks.items() if name != "shift"}
            # A synthetic image is seen exactly as its HR image is.
            synthetic = not self.no_synthetic_lr
            low_looks = {
                name: np.concatenate([looks[name], values]) if synthetic else values
                for name, values in other_looks.items()
            }
            drawn["low.rows"] = np.concatenate([len(lr) + rows, others]) if synthetic else others
            drawn["low.corner"] = low_looks.pop("shift")
            drawn |= {f"low.{name}": values for name, values in low_looks.items()}
            same = [hr[rows]] if synthetic else []
            drawn["people"] = np.concatenate([hr[rows], *same, lr[others]])
            return {name: torch.from_numpy(values) for name, values in drawn.items()}

        return batches
