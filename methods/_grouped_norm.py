"""Batch normalisation with fixed statistics for each group of images, such as those of one camera.

Two cameras differ in colour and blur; statistics over both, or those of another data set, misread each.  Known since
AdaBN (Li et al., 2017, arXiv 1603.04779): replace the statistics, keep the weights.  Here they come from images of the
training people alone.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from bench.learning.compute import Compute

PART = ("grouped_norm", 1)

BATCH = 32  # images at a time, about
Moments = dict[str, tuple[Tensor, Tensor]]
"""Mean and variance (channels,) of every batch normalisation, by its name in the network."""


class GroupedNorm(nn.Module):
    """A batch normalisation whose gain and shift all groups share, and whose statistics are each group's own.

    Group -1, for images of no known group, has the statistics of all groups taken together.
    """

    def __init__(self, norm: nn.Module, groups: Sequence[tuple[Tensor, Tensor]]):
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        means, variances = (torch.stack(values) for values in zip(*groups, strict=True))
        mean = means.mean(0)
        variance = variances.mean(0) + means.var(0, correction=0)
        self.register_buffer("mean", torch.cat([means, mean[None]]))
        self.register_buffer("variance", torch.cat([variances, variance[None]]))

    def forward(self, x: Tensor, group: Tensor) -> Tensor:
        """x (n, channels) or (n, channels, h, w); group (n,), int64."""
        scale = self.weight * torch.rsqrt(self.variance + self.eps)
        shift = self.bias - self.mean * scale
        shape = (len(x), -1) + (1,) * (x.ndim - 2)
        scale, shift = (values[group].to(x.dtype).reshape(shape) for values in (scale, shift))
        return torch.addcmul(shift, x, scale)

    def moments(self, group: int) -> tuple[Tensor, Tensor]:
        """Mean and variance of a group."""
        return self.mean[group], self.variance[group]


def norms_of(network: nn.Module) -> dict[str, nn.Module]:
    """The batch normalisations of a network by name, grouped or not."""
    kinds = (GroupedNorm, nn.modules.batchnorm._BatchNorm)
    return {name: module for name, module in network.named_modules() if isinstance(module, kinds)}


@torch.no_grad()
def moments_of(network: nn.Module, run: Callable[[nn.Module, Tensor], object], n: int, compute: Compute) -> Moments:
    """Statistics of every batch normalisation while a network looks at n images, each layer after those before it.

    run: shows a network the images of some rows (int64, on the device).  The network is left as it is.
    """
    copy = deepcopy(network)
    compute.place(copy)
    norms = norms_of(copy)
    copy.eval()
    for norm in norms.values():
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
        norm.train()
    with compute.active():
        for rows in torch.arange(n, device=compute.device).tensor_split(max(1, n // BATCH)):
            with compute.autocast():
                run(copy, rows)
    return {name: (norm.running_mean, norm.running_var) for name, norm in norms.items()}


def group_norms(network: nn.Module, groups: Sequence[Moments]) -> None:
    """Give every batch normalisation of a network the statistics of these groups, in place."""
    for name, norm in norms_of(network).items():
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, GroupedNorm(norm, [group[name] for group in groups]))
