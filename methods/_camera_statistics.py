"""Batch normalisation's statistics for each camera, from images of the training people alone.

Two cameras differ in colour and blur; statistics over both, or those of another data set, misread each.  Known since
AdaBN (Li et al., 2017, arXiv 1603.04779): replace the statistics, keep the weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.learning.compute import Compute

PART = ("camera_statistics", 1)

BATCH = 32  # images at a time, about
FEWEST = 4
"""Images of a camera that statistics may be taken from."""
Moments = Mapping[str, tuple[Tensor, Tensor]]
"""Mean and variance (channels,) of every batch normalisation, by its name in the network."""
Show = Callable[[nn.Module, Tensor], object]
"""Shows a network the images of some rows (int64, on the device)."""


@dataclass(frozen=True)
class CameraStatistics:
    """What a network's batch normalisations see of each camera's images in each role, such as ``gallery``.

    moments: by role and camera.  others: of all these images together, for a camera that is not among them.
    """

    moments: Mapping[tuple[str, str], Moments]
    others: Moments

    @classmethod
    def of(
        cls, network: nn.Module, roles: Mapping[str, tuple[Show, np.ndarray]], compute: Compute
    ) -> "CameraStatistics":
        """Statistics of the training images; BenchError where every camera has fewer than `FEWEST` of them.

        roles: what shows a network some of a role's images, and the camera (n,) of each.
        """
        found: dict[tuple[str, str], Moments] = {}
        for role, (show, cameras) in roles.items():
            for camera in np.unique(cameras).tolist():
                rows = torch.from_numpy(np.flatnonzero(cameras == camera)).to(compute.device)
                if len(rows) >= FEWEST:
                    found[role, camera] = moments_of(
                        network, lambda copy, k, show=show, rows=rows: show(copy, rows[k]), len(rows), compute
                    )
        if not found:
            raise BenchError(f"statistics per camera need {FEWEST} training images of one, and no camera has as many")
        return cls(found, together(list(found.values())))

    def shares(self, role: str, cameras: np.ndarray) -> Iterator[tuple[np.ndarray, Moments]]:
        """Which images, rows (k,) of a role's images with these cameras, have which statistics; each once."""
        keys = np.array([list(self.moments).index((role, c)) if (role, c) in self.moments else -1 for c in cameras])
        for key in np.unique(keys):
            moments = self.others if key < 0 else list(self.moments.values())[key]
            yield np.flatnonzero(keys == key), moments


def norms_of(network: nn.Module) -> dict[str, nn.Module]:
    """The batch normalisations of a network by name."""
    return {name: m for name, m in network.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}


@torch.no_grad()
def moments_of(network: nn.Module, show: Show, n: int, compute: Compute) -> Moments:
    """Statistics of every batch normalisation while a network looks at n images, each layer after those before it.

    The network is left as it is, on the device.
    """
    copy = deepcopy(network)
    compute.place(copy)
    norms = norms_of(copy)
    copy.eval()
    for norm in norms.values():
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
        norm.train()
    batches = max(1, n // BATCH)
    with compute.active():
        # Neighbours are of one person, and a batch of few people varies too little: each takes every so many-th image.
        for first in range(batches):
            with compute.autocast():
                show(copy, torch.arange(first, n, batches, device=compute.device))
    return {name: (norm.running_mean, norm.running_var) for name, norm in norms.items()}


def together(groups: Sequence[Moments]) -> Moments:
    """The moments of all groups' images, each group counting alike."""
    found = {}
    for name in groups[0]:
        means, variances = (torch.stack([group[name][k] for group in groups]) for k in (0, 1))
        mean = means.mean(0)
        found[name] = mean, (variances + means.square()).mean(0) - mean.square()
    return found
