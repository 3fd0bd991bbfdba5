"""The three plug-in classes: a data set, a front-end and a re-id method.

One file in ``datasets/`` or ``methods/`` with one class of these is all that a plug-in needs.  Constructor parameters
are stored untouched under their own names (scikit-learn's convention) and carry type annotations: the annotation is
what a value given on the command line is read and checked by.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from sklearn.base import BaseEstimator

from bench.errors import NotApplicable, UsageError
from bench.plugin.pretraining import Pretraining, ZeroShot
from bench.plugin.sigma import SigmaRule

if TYPE_CHECKING:
    from torch import nn

    from bench.protocol.extractors import Extractor
    from bench.protocol.images import Images

Size = tuple[int, int]


@dataclass(frozen=True)
class Photo:
    """One person image as a data set declares it.

    image: path of a file, or a uint8 RGB array of shape (height, width, 3).
    identity: the person's label; labels that are all digits are ordered as numbers.
    camera: the camera's label.
    probe: True for the probe side (low resolution), False for the gallery side; None lets `Dataset.probe_camera` say.
    distractor: True for a gallery image of somebody who is nobody's match: in the gallery of every split, never in
    training and never a probe.
    """

    image: Path | np.ndarray
    identity: str
    camera: str
    probe: bool | None = None
    distractor: bool = False


class Dataset(BaseEstimator):
    """A set of person images seen by two sides, probe and gallery.

    low_resolution: ``"simulated"``: the harness shrinks every probe-side image by 1/2, 1/3 or 1/4;
    ``"genuine"``: probe-side images are of low resolution as they are; None: full resolution on both sides.
    version: raised whenever what `read` yields changes; uses: the parts (``PART`` lines) that it is built of.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ()
    low_resolution: ClassVar[Literal["simulated", "genuine"] | None] = None
    probe_camera: ClassVar[str | None] = None
    folder: ClassVar[str | None] = None
    """Folder below the data root; None for a data set that needs no files."""
    other_folders: ClassVar[tuple[str, ...]] = ()
    """Other names that the folder goes by.  Upper and lower case do not matter."""
    holds: ClassVar[tuple[str, ...]] = ()
    """What is in the folder, such as ``cam_a/*.bmp``: by this it is known where its name is another, or where it lies a
    level deeper."""
    obtain: ClassVar[str] = ""
    """Where to get the set, for the message that says it is missing."""
    terms: ClassVar[str] = ""
    """Under which terms it is given; for `doctor`."""
    cameras: ClassVar[int | None] = None
    """How many cameras its images are labelled with, officially; for `doctor`."""
    expected: ClassVar[dict[str, int]] = {}
    """Official counts of what `read` yields, ``{"images": ..., "identities": ...}``; checked when given."""
    note: ClassVar[str] = ""
    """What a reader of a table must know of this set, printed below every table that shows it."""
    profile: ClassVar[str] = "quick"
    """The training schedule of a run that names none, ``smoke``, ``quick`` or ``paper``."""
    listed_in: ClassVar[str | None] = None
    """For a set of anybody's images: the parameter that names their list, a CSV file of the columns path (relative to
    its folder, with slashes), person and camera, and optionally resolution and split; for `bench init-dataset`."""
    no_training: ClassVar[str] = ""
    """Why a run that names no method leaves those with a training schedule out on this set; empty where it does not."""
    variants: ClassVar[tuple[str, ...]] = ()
    """Methods with parameters, ``name[key=value,...]``, that a run that names no method has here besides."""
    small: ClassVar[str | None] = None
    """For a set that needs no files: parameters, ``key=value,...``, of a version small enough for `bench check`."""

    def read(self, root: Path) -> Iterable[Photo]:
        """Yield every image of the set.  root: the set's own folder (data root / `folder`)."""
        raise TypeError(f"data set {self.name!r} has no read(self, root) method")

    def training(self, root: Path) -> Iterable[Photo]:
        """The images that networks may be pre-trained on: all, or the official training part where there is one."""
        return self.read(root)

    def splits(self, root: Path) -> Sequence[tuple[Iterable[str], Iterable[str]]] | None:
        """The official splits: for each the labels of its training and of its test people, in the order of `Photo`s.

        None where there are none: then every split is a seeded random half of the people.  People in neither part are
        left out of a split.  root: as for `read`.
        """
        return None


@dataclass(frozen=True)
class Upscaling:
    """What one front-end F_i is fitted on.

    images: high-resolution images of one split's training people (uint8 RGB, native sizes), none for a front-end that
    does not learn.  size: (height, width) that it will be asked for.  ratio: the anchor m_i.  seed: this model's own.
    profile, device, weights, workspace, compile, deterministic: as in `Train`.
    """

    images: Sequence[np.ndarray]
    size: Size
    ratio: Fraction
    seed: int = 0
    profile: str = "paper"
    device: str = "cpu"
    weights: Path | None = None
    workspace: Path | None = None
    compile: bool = False
    deterministic: bool = False


class Trained(BaseEstimator):
    """What front-ends and methods say of their training.  One that trains nothing leaves all of it as it is.

    version: raised whenever its numbers change; uses: the parts (``PART`` lines) that it is built of.
    profiles: True when the training schedule (`Train.profile`) matters.

    Fitted, it may have ``initialisation_``, a text that names what the training started from, and ``curves_``, a
    dictionary of lists and dictionaries of finite numbers: both are stored with the result, for each anchor.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ()
    profiles: ClassVar[bool] = False

    def files(self, profile: str) -> tuple[str, ...]:
        """Names of the weights files that it starts from, if any: the one hook for weights.

        `bench.plugin.weights_files` says where they are looked for; `initial_weights` gives their paths in `fit`.
        """
        return ()

    @classmethod
    def recipe(cls) -> "type[Trained]":
        """The class that is asked to `pretrain`, whose parameters are those of ``bench pretrain``: by default this one.

        A class of its own keeps the parameters of pre-training from those of a method, which name its cells.
        """
        return cls

    def pretrain(self, given: Pretraining) -> "Mapping[str, nn.Module]":
        """Train the networks that it starts from; file name without suffix -> network."""
        raise UsageError(f"{self.name} has nothing to pre-train")

    def zero_shot(self, weights: Path, device: str) -> ZeroShot:
        """How images are matched by a weights file alone, for ``bench pretrain --check``; asked of the `recipe`."""
        raise UsageError(f"{self.name} has no features that people could be matched by without training")


class FrontEnd(Trained):
    """F_i of the protocol: brings low-resolution images to a method's input size.

    ratio_dependent: True when F_i differs between the anchor ratios; `fit` then tells it its ratio.
    learns: True when `fit` must see the training people's gallery images of each split; one model per anchor ratio. An
    instance whose parameters leave nothing to learn may say False: it is fitted once for all splits.
    """

    ratio_dependent: ClassVar[bool] = False
    learns: ClassVar[bool] = False

    def fit(self, train: Upscaling) -> "FrontEnd":
        """Learn from the training people's high-resolution images, without labels, for one anchor ratio; returns self.

        Not called for a front-end that neither `learns` nor is `ratio_dependent`.
        """
        return self

    def upscale(self, images: Sequence[np.ndarray], size: Size) -> np.ndarray:
        """Bring n uint8 RGB images of any size to (n, height, width, 3) uint8, each by itself."""
        raise TypeError(f"front-end {self.name!r} has no upscale(self, images, size) method")


@dataclass(frozen=True)
class Train:
    """What one model is fitted on: the images of one split's training people.

    gallery: high-resolution images (with `synthetic_lr`, their shrunk and up-scaled copies too); probe: low-resolution
    images behind the front-end; synthetic: the gallery images shrunk by `ratio` behind the front-end (built when used).
    ratio: the anchor m_i, None when one model serves all probes.  seed: this model's own seed.
    profile: the training schedule, ``smoke``, ``quick`` or ``paper``.  device: ``cpu`` or ``cuda``.
    weights: the folder of weights files that the user named, None where there is none.
    workspace: a folder of this model's own, which outlives a killed run and is removed once the cell is stored: for
    checkpoints; None where nothing is to be kept.  It need not exist yet.
    compile: let torch.compile work on networks.  deterministic: on a GPU, only algorithms that repeat to the last bit.
    """

    gallery: "Images"
    probe: "Images"
    synthetic: "Images | None"
    ratio: Fraction | None
    seed: int
    profile: str
    device: str
    weights: Path | None = None
    workspace: Path | None = None
    compile: bool = False
    deterministic: bool = False


class Method(Trained):
    """A re-id method: fitted once per anchor ratio, then asked for a distance matrix.

    input_size: (height, width) that every image is brought to.
    scales: ``"front-end"``: low-resolution images reach it through one, ``bicubic+name``; ``"own"``: the method deals
    with resolution itself and is run by its bare name.
    anchored: False when one model serves every resolution, so that there is nothing to fuse; ratio_dependent: True when
    models of different anchors differ even on the same images.
    transductive: True when a probe's distances depend on the other probes or on the whole gallery (re-ranking,
    whitening on test images); allowed, and said below every table.
    note: what a reader of a table must know of this method, printed below every table that shows it.
    """

    input_size: ClassVar[Size] = (128, 48)
    scales: ClassVar[Literal["front-end", "own"]] = "front-end"
    anchored: ClassVar[bool] = True
    ratio_dependent: ClassVar[bool] = False
    transductive: ClassVar[bool] = False
    note: ClassVar[str] = ""

    def sigma_rule(self, profile: str) -> SigmaRule:
        """How ``sigma=auto`` is chosen under a training schedule: five folds unless the method says otherwise."""
        return SigmaRule()

    def extractors(self) -> "Sequence[Extractor]":
        """Feature extractors whose results the harness may compute once for all splits, before the cells run."""
        return ()

    def descriptors(self, weights: Path | None, device: str) -> "Sequence[Extractor]":
        """What describes an image before any fitting, side by side, for ``bench features``.  weights: as in `Train`.

        By default the `extractors` of a method that leaves `fit` as it is; NotApplicable for others.  device: ``auto``,
        ``cpu`` or ``cuda``, to be asked of `bench.learning.device.resolve_device`.
        """
        if type(self).fit is not Method.fit or not (found := self.extractors()):
            raise NotApplicable(
                f"{self.name} is fitted on labelled people of a data set: it has no features of pictures without them"
            )
        return found

    def fit(self, train: Train) -> "Method":
        """Fit on training people; returns self.  A method that learns nothing leaves it as it is."""
        return self

    def enhancer(self) -> Mapping[str, np.ndarray]:
        """Of a fitted method that enhances images, arrays that `enhance` does so with: floating-point numbers by name.

        All models of a cell together under 1 MB.  They are kept beside the cell, so that a figure needs no training.
        """
        return {}

    def enhance(self, images: Sequence[np.ndarray], enhancer: Mapping[str, np.ndarray]) -> np.ndarray:
        """Low-resolution images, n uint8 RGB of any size, as a model with this `enhancer` compares them.

        Asked of a method that was not fitted.  Returns uint8 (n, height, width, 3) of `input_size` or of its centre,
        each image by itself.  DataError for arrays that are none of this method's.
        """
        raise TypeError(f"method {self.name!r} has no enhance(self, images, enhancer) method")

    def embed(self, images: "Images", side: str) -> np.ndarray:
        """What images of a side, ``"probe"`` or ``"gallery"``, are compared by: (n, ...), of each image alone."""
        raise TypeError(
            f"method {self.name!r} has neither distances(self, probe, gallery) nor embed(self, images, side)"
        )

    def between(self, probe: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        """Distances of some rows that `embed` gave to others, (n_probe, n_gallery), each of these two rows alone."""
        raise TypeError(f"method {self.name!r} has no between(self, probe, gallery) method")

    def distances(self, probe: "Images", gallery: "Images") -> np.ndarray:
        """Distances of every probe to every gallery image, (n_probe, n_gallery), smaller = more alike, all finite.

        Both sides come in orders of their own and without identities; cameras, native images and sizes are there.
        By default those `between` what `embed` gives.
        """
        return self.between(self.embed(probe, "probe"), self.embed(gallery, "gallery"))
