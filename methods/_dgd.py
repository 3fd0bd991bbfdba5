"""DGD, the re-identification network of Xiao, Li, Ouyang and Wang (CVPR 2016), without domain-guided dropout.

Layers, sizes and initial values are those of the release (`Cysu/dgd_person_reid`), the modules' names its layer names
with ``/`` as ``.``.
"""

from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from bench.errors import BenchError
from bench.learning.compute import device_constant
from bench.learning.weights import load_weights, read_weights
from methods._camera_statistics import Moments, norms_of

PART = ("dgd", 1)

INPUT = (144, 56)  # height and width in pixels, the centre (in training: a crop) of RESIZED
RESIZED = (160, 72)
FEATURES = 256
# Of RGB in [0, 1]; the pre-trained weights expect inputs normalised with these.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

# Of every method that trains this network.
DGD_FILE = "dgd_market1501_v2.safetensors"
SMOKE_WIDTH = 1 / 8


def normalise(rgb: Tensor) -> Tensor:
    """RGB, float (n, 3, h, w) in [0, 1], to the network's input: minus MEAN, over STD, per channel; differentiable."""
    mean, std = (device_constant(values, rgb)[:, None, None] for values in (MEAN, STD))
    return (rgb - mean) / std


class _Units(nn.Module):
    """A module made of units: a convolution ``name`` and its batch normalisation ``name_bn``, then ReLU."""

    def add(self, name: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        """Convolution of `kernel` x `kernel` with half of it as zero padding."""
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
        _xavier(conv.weight)
        nn.init.constant_(conv.bias, 0.2)
        self.add_module(name, conv)
        self.add_module(f"{name}_bn", nn.BatchNorm2d(outputs))

    def unit(self, name: str, x: Tensor) -> Tensor:
        return relu(getattr(self, f"{name}_bn")(getattr(self, name)(x)), inplace=True)


class Inception(_Units):
    """Parallel branches, concatenated: 1x1, 3x3, two 3x3 and a pool; 4 x `channels` outputs.

    reduce: halve height and width by stride 2; then there is no 1x1 branch, the pool is a maximum that rounds up and
    keeps all inputs, and there are 2 x `channels` + `inputs` outputs.
    pool_padding: of the maximum, in height and width.
    """

    def __init__(self, inputs: int, channels: int, reduce: bool = False, pool_padding: tuple[int, int] = (0, 0)):
        super().__init__()
        self.reduce, self.pool_padding = reduce, pool_padding
        stride = 2 if reduce else 1
        if not reduce:
            self.add("1x1", inputs, channels, 1)
        self.add("3x3_reduce", inputs, channels, 1)
        self.add("3x3", channels, channels, 3, stride)
        self.add("double_3x3_reduce", inputs, channels, 1)
        self.add("double_3x3_1", channels, channels, 3)
        self.add("double_3x3_2", channels, channels, 3, stride)
        if not reduce:
            self.add("pool_proj", inputs, channels, 1)
        self.outputs = 2 * channels + inputs if reduce else 4 * channels

    def forward(self, x: Tensor) -> Tensor:
        single = self.unit("3x3", self.unit("3x3_reduce", x))
        double = self.unit("double_3x3_1", self.unit("double_3x3_reduce", x))
        double = self.unit("double_3x3_2", double)
        if self.reduce:
            return torch.cat([single, double, max_pool2d(x, 3, 2, self.pool_padding, ceil_mode=True)], dim=1)
        pool = self.unit("pool_proj", avg_pool2d(x, 3, 1, 1, count_include_pad=True))
        return torch.cat([self.unit("1x1", x), single, double, pool], dim=1)


class DGDNetwork(_Units):
    """Three convolutions, six inception blocks, global average pooling and a 256-d feature; 6,753,920 parameters + fc8.

    identities: classes of the softmax layer fc8; None: features only.
    width: scales every layer; 1 is the published network, less a narrower one for smoke tests.
    dropout: share of the feature's units dropped before fc8.

    frozen: set to True, batch normalisation keeps its statistics while the network is trained.
    """

    def __init__(self, identities: int | None = None, width: float = 1.0, dropout: float = 0.5):
        super().__init__()
        stem, first, second, third, features = (max(1, round(n * width)) for n in (32, 64, 128, 256, FEATURES))
        self.add("conv1", 3, stem, 3)
        self.add("conv2", stem, stem, 3)
        self.add("conv3", stem, stem, 3)
        self.inception_1a = Inception(stem, first)
        self.inception_1b = Inception(self.inception_1a.outputs, first, reduce=True)
        self.inception_2a = Inception(self.inception_1b.outputs, second)
        self.inception_2b = Inception(self.inception_2a.outputs, second, reduce=True)
        self.inception_3a = Inception(self.inception_2b.outputs, third)
        # Seven columns arrive here: without padding the maximum would see three windows, the convolutions four.
        self.inception_3b = Inception(self.inception_3a.outputs, third, reduce=True, pool_padding=(0, 1))
        self.fc7 = nn.Linear(self.inception_3b.outputs, features)
        self.fc7_bn = nn.BatchNorm1d(features)
        _xavier(self.fc7.weight)
        nn.init.zeros_(self.fc7.bias)
        self.dropout = dropout
        self.frozen = False
        self.fc8 = None if identities is None else nn.Linear(features, identities)
        if self.fc8 is not None:
            nn.init.normal_(self.fc8.weight, std=1e-3)
            nn.init.zeros_(self.fc8.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Softmax scores (n, identities) of normalised images (n, 3, h, w)."""
        return self.classify(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """What images are matched by: fc7 after batch normalisation, before ReLU, (n, 256), compared by L2 distance.

        x: float (n, 3, 144, 56) or (n, 3, 160, 72), or any size with ceil(h / 2) a multiple of 8 and ceil(w / 2) an odd
        multiple of 4, from `normalise`.  BenchError for another size: its branches would not fit together.
        """
        height, width = x.shape[2:]
        if -(-height // 2) % 8 or -(-width // 2) % 8 != 4:
            raise BenchError(f"DGD cannot take {height}x{width} images; bring them to 144x56 or 160x72")
        for name in ("conv1", "conv2", "conv3"):
            x = self.unit(name, x)
        x = max_pool2d(x, 2, 2, ceil_mode=True)
        x = self.inception_1b(self.inception_1a(x))
        x = self.inception_2b(self.inception_2a(x))
        x = self.inception_3b(self.inception_3a(x))
        return self.fc7_bn(self.fc7(x.mean((2, 3))))

    def classify(self, features: Tensor) -> Tensor:
        """Softmax scores (n, identities) of features (n, 256): ReLU, dropout, fc8."""
        if self.fc8 is None:
            raise BenchError("this DGD has no classifier: it was built without a number of identities")
        return self.fc8(nn.functional.dropout(relu(features), self.dropout, self.training))

    def train(self, mode: bool = True) -> "DGDNetwork":
        """Training or evaluation mode; frozen statistics stay as they are in both."""
        super().train(mode)
        if self.frozen:
            for norm in norms_of(self).values():
                norm.eval()
        return self

    def folded(self, moments: Moments | None = None) -> "DGDNetwork":
        """A copy for matching only, its batch normalisations folded into the layers before them.

        Its `features` are those of this network in evaluation mode, up to rounding, at less memory traffic.
        moments: in place of the batch normalisations' own.
        """
        copy = deepcopy(self).eval().requires_grad_(False)
        for name, norm in norms_of(copy).items():
            parent = copy.get_submodule(name.rpartition(".")[0])
            layer = copy.get_submodule(name.removesuffix("_bn"))
            fuse = fuse_linear_bn_weights if isinstance(layer, nn.Linear) else fuse_conv_bn_weights
            mean, variance = moments[name] if moments else (norm.running_mean, norm.running_var)
            layer.weight, layer.bias = fuse(layer.weight, layer.bias, mean, variance, norm.eps, norm.weight, norm.bias)
            setattr(parent, name.rpartition(".")[2], nn.Identity())
        return copy


def load_dgd(model: DGDNetwork, path: Path) -> None:
    """Load pre-trained weights, all but fc8, whose identities are the pre-training set's; DataError if they misfit."""
    load_weights(model, read_weights(path), path, skip=("fc8.",))


def _xavier(weight: Tensor) -> None:
    """Caffe's "xavier": uniform in +-sqrt(3 / inputs of one output)."""
    bound = (3 / weight[0].numel()) ** 0.5
    nn.init.uniform_(weight, -bound, bound)
