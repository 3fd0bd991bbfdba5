from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt
from scipy.spatial.distance import cdist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bench.errors import BenchError
from bench.learning.checkpoints import Curves
from bench.learning.compute import seeded
from bench.learning.schedules import parameter_groups, poly
from bench.learning.training import train
from bench.plugin.base import Train
from bench.plugin.weights_files import describe, initial_weights
from methods._dgd import (
    CHECKPOINT_EVERY,
    DGD_FILE,
    SMOKE_WIDTH,
    DGDNetwork,
    FineTuned,
    Stage,
    as_tensor,
    centre,
    extract,
    load_dgd,
    normalise,
)
from methods._srcnn import SRCNN, SRCNN_FILES, load_srcnn

if TYPE_CHECKING:
    from bench.protocol.images import Images

# paper: the author's iterations on both data sets.  quick: chosen on held-out training people (methods/README.md).
TRAINING = {
    "smoke": Stage(4, 6, 1, 0.01, poly),
    "quick": Stage(50, 10, 1, 0.01, poly),
    "paper": Stage(1000, 20, 2, 0.01, poly),
}
AUTHOR_SR_LR = (1e-8, 1e-9)  # of conv1 and conv2, of conv3 and all biases, as multiples of `lr`

Batch = dict[str, Tensor]


class SINGNetwork(nn.Module):
    """F_sr and F_fe: SRCNN with valid convolutions on low-resolution images, then one DGD for all streams."""

    def __init__(self, identities: int, width: float, dropout: float, colour: str):
        super().__init__()
        self.sr = SRCNN("valid", width).pass_through() if width < 1 else SRCNN("valid")
        self.reid = DGDNetwork(identities, width, dropout)
        self.colour = colour

    def enhance(self, rgb: Tensor) -> Tensor:
        """F_sr: RGB in [0, 1], float (n, 3, 160, 72), to (n, 3, 144, 56), clamped to [0, 1]."""
        if self.colour == "y":
            return self.sr.enhance(rgb)
        return torch.stack([self.sr(rgb[:, c : c + 1])[:, 0] for c in range(3)], dim=1).float().clamp(0, 1)

    def forward(self, hr: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        """Softmax scores of the HR images and of the super-resolved `low`, in one pass; and the latter as images.

        One pass: batch normalisation then has the same statistics for all streams.
        """
        enhanced = self.enhance(low)
        return self.reid(normalise(torch.cat([hr, enhanced]))), enhanced


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
    50, 10, 1; paper 1,000, 20, 2; and lr is 0.01, falling as (1 - t / steps)^0.5.  SR layers have no weight decay.
    The author's lr is 0.01 on CAVIAR and 0.001 on MLR-VIPeR.
    The smoke profile trains networks of an eighth of the width from scratch.
    """

    name = "sing"
    version = 1
    uses = ("dgd", "srcnn", "training")
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
        self.curves_ = self._train(train, labels, stage) if stage.steps else None
        self.compute_.place(self.network_.eval())
        return self

    def distances(self, probe: "Images", gallery: "Images") -> np.ndarray:
        """Eq. 1: L2 between F_fe(F_sr(probe)) and F_fe(gallery)."""
        network, compute = self.network_, self.compute_
        enhanced = extract(network.reid, probe.array(), compute, prepare=network.enhance)
        return cdist(enhanced, extract(network.reid, gallery.array(), compute))

    def loss(self, network: SINGNetwork, batch: Batch) -> Batch:
        """Every term of Eq. 5 on one batch, with ``total`` the one that is minimised.

        batch: RGB in [0, 1]: hr (n, 3, 144, 56); low (m, 3, 160, 72), n synthetic images, if any, then genuine ones;
        people: of hr, then of low.
        """
        hr, people, n = batch["hr"], batch["people"], len(batch["hr"])
        scores, enhanced = network(hr, batch["low"])
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

    def _train(self, given: Train, labels: np.ndarray, stage: Stage) -> Curves:
        hr, lr = centre(given.gallery.array()), given.probe.array()
        synthetic = None if self.no_synthetic_lr else given.synthetic.array()
        hr_people, lr_people = np.split(labels, [len(hr)])
        partners = [np.flatnonzero(lr_people == person) for person in range(labels.max() + 1)]

        def mirrored(images: np.ndarray, flip: np.ndarray) -> np.ndarray:
            return np.where(flip[:, None, None, None], images[:, :, ::-1], images)

        def batches(i: int) -> Batch:
            """`batch` random HR images, each also as synthetic LR, and as many genuine LR ones; mirrored at random."""
            rng = np.random.default_rng([given.seed, i])
            rows = rng.integers(len(hr), size=stage.batch)
            others = rng.integers(len(lr), size=stage.batch)
            if self.pairing == "identity":
                others = np.array([rng.choice(partners[person]) for person in hr_people[rows]])
            flip, flip_others = rng.integers(2, size=(2, stage.batch)).astype(bool)
            low, people = [mirrored(lr[others], flip_others)], [hr_people[rows], lr_people[others]]
            if synthetic is not None:
                low.insert(0, mirrored(synthetic[rows], flip))
                people.insert(0, hr_people[rows])
            return {
                "hr": as_tensor(mirrored(hr[rows], flip)),
                "low": as_tensor(np.concatenate(low)),
                "people": torch.from_numpy(np.concatenate(people)),
            }

        fast, slow = (f * stage.lr for f in AUTHOR_SR_LR) if self.author else (self.sr_lr, self.sr_lr / 10)
        groups = self.network_.sr.parameter_groups(fast)
        groups[1]["lr"] = slow
        groups += parameter_groups(self.network_.reid, "dgd", stage.lr, self.weight_decay, bias_lr=2.0)
        return train(
            self.network_,
            batches,
            self.loss,
            torch.optim.SGD(groups, lr=stage.lr, momentum=self.momentum),
            stage.schedule(stage.steps),
            stage.steps,
            compute=self.compute_,
            accumulate=stage.accumulate,
            seed=given.seed,
            checkpoint=given.workspace and given.workspace / "sing.pt",
            checkpoint_every=CHECKPOINT_EVERY,
            term_gradients=("sr",),
        )
