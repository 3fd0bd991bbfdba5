"""What a pre-training is given, and what a check of pre-trained weights is given back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bench.protocol.extractors import Extractor


@dataclass(frozen=True)
class Pretraining:
    """What a network is pre-trained on, before any re-id training.

    images: uint8 RGB at native sizes.  identity: (n,) int64 labels from 0 on, None for images of no people.
    seed, profile, device, compile, deterministic: as in `bench.plugin.base.Train`.
    workspace: a folder for checkpoints, which outlives a killed run.
    report: called now and then with a line on how far the training is; log: with a record of plain values, its
    ``update`` among them and, where there are several, the ``network``: `bench.learning.progress.follow` makes both.
    """

    images: Sequence[np.ndarray]
    identity: np.ndarray | None
    seed: int
    profile: str
    device: str
    workspace: Path
    report: Callable[[str], None]
    compile: bool = False
    deterministic: bool = False
    log: Callable[[Mapping[str, Any]], None] = lambda record: None


@dataclass(frozen=True)
class ZeroShot:
    """Images as a weights file's network sees them, without any training of ours.

    extractor: uint8 images (n, height, width, 3) at the method's input size to float32 (n, d).  frontend: the name of
    the front-end that low-resolution images come through.
    """

    extractor: "Extractor"
    frontend: str
