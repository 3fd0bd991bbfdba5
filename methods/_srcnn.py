"""SRCNN, a super-resolution network of three convolutions (Dong, Loy, He and Tang, TPAMI 2016), in its 9-5-5 form.

It sees the luma Y of Matlab's rgb2ycbcr in [0, 1] of an image that bicubic interpolation has brought to its final size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import relu, unfold

from bench.errors import DataError
from bench.learning.compute import device_constant
from bench.learning.weights import load_weights, read_weights

PART = ("srcnn", 1)

FILTERS = (1, 64, 32, 1)
KERNELS = (9, 5, 5)  # pixels
SRCNN_FILES = ("x2.mat", "x3.mat", "x4.mat")  # of the ratios 1/2, 1/3 and 1/4
SEEN = 1e-6  # variance of a principal component that 8-bit pixels still show
INITIAL_DEVIATION = 0.3  # of what conv1's filters return, before training from scratch
BORDER = sum(kernel // 2 for kernel in KERNELS)  # pixels that valid convolutions cut from each side

# ITU-R BT.601 in Matlab's scaling: Y in 16/255..235/255, Cb and Cr in 16/255..240/255 for RGB in [0, 1].
YCBCR = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
OFFSET = (16.0, 128.0, 128.0)
# Inverted in double precision: float32 would cost the last digits of a constant.
INVERSE = tuple(map(tuple, np.linalg.inv(np.array(YCBCR) / 255).tolist()))


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """Matlab's rgb2ycbcr: float (n, 3, h, w), R, G, B in [0, 1], to Y, Cb, Cr in [0, 1]; differentiable."""
    matrix, offset = (device_constant(values, rgb) / 255 for values in (YCBCR, OFFSET))
    return torch.einsum("ij,njhw->nihw", matrix, rgb) + offset[:, None, None]


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """The inverse of `rgb_to_ycbcr`; not clamped: colours outside the RGB cube stay outside [0, 1]."""
    inverse, offset = device_constant(INVERSE, ycbcr), device_constant(OFFSET, ycbcr) / 255
    return torch.einsum("ij,njhw->nihw", inverse, ycbcr - offset[:, None, None])


class SRCNN(nn.Module):
    """9x9, 5x5 and 5x5 convolutions with 64, 32 and 1 filters, ReLU after the first two; 57,281 parameters.

    padding: ``"replicate"``: the output is as large as the input, each layer's borders replicated (the release's test
    code, and the SRCNN front-end); ``"valid"``: no padding, 8 pixels less on each side (SING: 160x72 to 144x56).
    width: scales the 64 and 32 filters; 1 is the published network, less a narrower one for smoke tests.
    Initial weights: Gaussian of standard deviation 0.001, biases 0 (the release's training package).
    """

    def __init__(self, padding: Literal["replicate", "valid"] = "replicate", width: float = 1.0):
        super().__init__()
        self.border = BORDER if padding == "valid" else 0
        layers = []
        filters = [n if n == 1 else max(1, round(n * width)) for n in FILTERS]
        for inputs, outputs, kernel in zip(filters[:-1], filters[1:], KERNELS, strict=True):
            same = {"padding": kernel // 2, "padding_mode": "replicate"} if padding == "replicate" else {}
            layer = nn.Conv2d(inputs, outputs, kernel, **same)
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)
            layers.append(layer)
        self.conv1, self.conv2, self.conv3 = layers

    def forward(self, luma: Tensor) -> Tensor:
        """Y, float (n, 1, h, w) in [0, 1], to its super-resolved version, not clamped; 16 less each way if valid."""
        return self.conv3(relu(self.conv2(relu(self.conv1(luma)))))

    def enhance(self, rgb: Tensor) -> Tensor:
        """RGB, float (n, 3, h, w) in [0, 1], to the same with Y super-resolved, clamped to [0, 1]; differentiable.

        Cb and Cr pass through; valid convolutions crop them to the size of Y.  Colour arithmetic stays in float32 under
        autocast: bf16 has fewer levels than an 8-bit image.
        """
        with torch.autocast(rgb.device.type, enabled=False):
            ycbcr = rgb_to_ycbcr(rgb.float())
        luma = self(ycbcr[:, :1])
        with torch.autocast(rgb.device.type, enabled=False):
            b, (h, w) = self.border, ycbcr.shape[2:]
            chroma = ycbcr[:, 1:, b : h - b, b : w - b]
            return ycbcr_to_rgb(torch.cat([luma.float(), chroma], dim=1)).clamp(0, 1)

    def pass_through(self) -> "SRCNN":
        """Let one filter of each layer copy its input's centre, on top of the initial weights; returns self.

        The network then starts at its input instead of at black, which spares a short training from scratch the
        millions of updates that the release took from Gaussian weights alone.
        """
        with torch.no_grad():
            for layer in (self.conv1, self.conv2, self.conv3):
                centre = layer.kernel_size[0] // 2
                layer.weight[0, 0, centre, centre] += 1
        return self

    @torch.no_grad()
    def see_detail(self, luma: Tensor) -> "SRCNN":
        """Initial weights to be trained from scratch in thousands of updates instead of millions; returns self.

        Neighbouring pixels are nearly equal, so that random filters of conv1 see the mean of a patch and next to
        nothing of its edges.  These are random turns of a patch's principal components, each scaled to the same
        variance; conv2's are He's.  The first filter of each layer passes the image through.

        luma: (n, 1, h, w) in [0, 1], inputs to measure the components on.  Random numbers: torch's.
        """
        first, second = self.conv1.weight, self.conv2.weight
        patches = unfold(luma.double(), KERNELS[0]).transpose(1, 2).flatten(0, 1)
        patches -= patches.mean(1, keepdim=True)
        variance, components = torch.linalg.eigh(patches.T @ patches / len(patches))
        seen = variance > SEEN
        if seen.any():
            count, size = int(seen.sum()), max(int(seen.sum()), len(first))
            turn = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64)).Q[: len(first), :count]
            filters = turn * (size / count) ** 0.5 @ (components[:, seen] / variance[seen].sqrt()).T
            first.copy_(INITIAL_DEVIATION * filters.reshape(first.shape))
        nn.init.kaiming_normal_(second).mul_(INITIAL_DEVIATION)
        for weight in (first[0], second[0], second[:, 0]):
            weight.zero_()
        return self.pass_through()

    @torch.no_grad()
    def super_resolve(self, images: np.ndarray, batch: int = 16) -> np.ndarray:
        """Up-scaled images, uint8 RGB (n, h, w, 3), to super-resolved ones, rounded to uint8; same size if replicating.

        batch: images at a time; the result does not depend on it beyond the rounding of float32.
        """
        device = self.conv1.weight.device
        cut = 2 * self.border
        out = np.empty((len(images), images.shape[1] - cut, images.shape[2] - cut, 3), np.uint8)
        for start in range(0, len(images), batch):
            rgb = torch.tensor(images[start : start + batch], device=device).permute(0, 3, 1, 2).contiguous() / 255
            enhanced = (self.enhance(rgb) * 255).round().to(torch.uint8)
            out[start : start + batch] = enhanced.permute(0, 2, 3, 1).cpu().numpy()
        return out

    def parameter_groups(self, lr: float = 1e-4) -> list[dict[str, Any]]:
        """Groups for an optimiser at the training package's rates: `lr`, a tenth of it for conv3 and all biases."""
        fast = [self.conv1.weight, self.conv2.weight]
        slow = [self.conv1.bias, self.conv2.bias, self.conv3.weight, self.conv3.bias]
        return [
            {"name": "sr", "params": fast, "lr": lr, "weight_decay": 0.0},
            {"name": "sr.slow", "params": slow, "lr": lr / 10, "weight_decay": 0.0},
        ]


def restored(state: Mapping[str, np.ndarray], padding: Literal["replicate", "valid"]) -> SRCNN:
    """An SRCNN of any width with this state; DataError where it is no SRCNN's."""
    first = state.get("conv1.weight", np.empty(0))
    model = SRCNN(padding, max(1, len(first)) / FILTERS[1])
    load_weights(model, {name: torch.tensor(array) for name, array in state.items()}, "the stored state")
    return model


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """The training package's loss: the sum of squared differences over all pixels, over twice the batch size."""
    return (output.float() - target).square().sum() / (2 * len(output))


def read_srcnn(path: Path) -> dict[str, Tensor]:
    """State of an `SRCNN` from a file: the release's ``.mat`` layout, or its own names in any other weights format.

    The release stores conv1 as (9 * 9, 64), conv2 as (64, 5 * 5, 32) and conv3 as (32, 5 * 5), kernels column by
    column; biases are for inputs in [0, 1].  DataError when the file cannot be read or has other contents.
    """
    tensors = read_weights(path)
    return _from_release(tensors, path) if path.suffix.lower() == ".mat" else tensors


def _from_release(stored: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    shapes = {
        "weights_conv1": (81, 64),
        "biases_conv1": (64, 1),
        "weights_conv2": (64, 25, 32),
        "biases_conv2": (32, 1),
        "weights_conv3": (32, 25),
        "biases_conv3": (1, 1),
    }
    for name, shape in shapes.items():
        if name not in stored:
            raise DataError(f"{path} is not an SRCNN 9-5-5 release file: {name!r} is missing")
        if stored[name].shape != shape:
            raise DataError(f"{path}: {name!r} got {tuple(stored[name].shape)}, expected {shape} of SRCNN 9-5-5")
    kernels = {
        "conv1": stored["weights_conv1"].T.reshape(64, 1, 9, 9),
        "conv2": stored["weights_conv2"].permute(2, 0, 1).reshape(32, 64, 5, 5),
        "conv3": stored["weights_conv3"].reshape(1, 32, 5, 5),
    }
    # Reshaped row by row what was stored column by column: rows and columns of each kernel are exchanged.
    weights = {f"{name}.weight": kernel.transpose(2, 3) for name, kernel in kernels.items()}
    return weights | {f"{name}.bias": stored[f"biases_{name}"].reshape(-1) for name in kernels}


def load_srcnn(model: SRCNN, path: Path) -> None:
    """Load a weights file into `model`; DataError when it does not fit."""
    load_weights(model, read_srcnn(path), path)
