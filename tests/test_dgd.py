"""DGD: sizes, counts and initial values of the release, and its blocks on cases worked by hand."""

import pytest
import torch
from torch import nn

from bench.errors import BenchError, DataError
from bench.learning.weights import read_weights, save_weights
from bench.plugin.registry import ROOT
from methods._dgd import DGD_FILE, MEAN, STD, DGDNetwork, Inception, load_dgd, normalise
from methods._srcnn import SRCNN


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return DGDNetwork(identities=5, width=1 / 16)


def meta_dgd(identities=None):
    """The full network without storage: shapes and counts only."""
    with torch.device("meta"):
        return DGDNetwork(identities)


def count_macs(model, size):
    """Multiply-accumulates of convolutions and linear layers for one image, by hooks on a forward pass."""
    counted = []

    def hook(layer, _, output):
        counted.append(output[0].numel() * layer.weight[0].numel())

    handles = [m.register_forward_hook(hook) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    model(torch.zeros(2, 3, *size, device="meta"))
    for handle in handles:
        handle.remove()
    return sum(counted)


def test_parameters_and_macs_of_the_published_network():
    assert sum(p.numel() for p in meta_dgd().parameters()) == 6_753_920
    model = meta_dgd(identities=751)  # the reference counts those of Market-1501's classifier, 0.0002 GMAC
    assert round(count_macs(model, (144, 56)) / 1e9, 3) == 1.578
    assert round(count_macs(model, (160, 72)) / 1e9, 3) == 2.252


BLOCKS = {
    "conv3": (32, 144, 56),
    "inception_1a": (256, 72, 28),
    "inception_1b": (384, 36, 14),
    "inception_2a": (512, 36, 14),
    "inception_2b": (768, 18, 7),
    "inception_3a": (1024, 18, 7),
    "inception_3b": (1536, 9, 4),
    "fc7": (256,),
    "fc8": (11,),
}


def test_output_sizes_of_every_block():
    model = meta_dgd(identities=11)
    seen = {}
    for name in BLOCKS:
        model.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out.shape[1:]})
        )
    model(torch.zeros(2, 3, 144, 56, device="meta"))
    assert {name: tuple(shape) for name, shape in seen.items()} == BLOCKS


def test_valid_srcnn_before_it_gives_the_size_it_takes(small):
    luma = torch.rand(2, 3, 160, 72)
    enhanced = SRCNN("valid").enhance(luma)
    assert enhanced.shape == (2, 3, 144, 56)
    assert small.features(normalise(enhanced)).shape == (2, 16)
    assert small(normalise(luma)).shape == (2, 5)


@pytest.mark.parametrize("size", [(128, 48), (160, 64)])
def test_sizes_whose_branches_do_not_fit_together_are_refused(small, size):
    with pytest.raises(BenchError, match=rf"DGD cannot take {size[0]}x{size[1]} images; bring them to 144x56"):
        small(torch.zeros(1, 3, *size))


def does(error, call, x):
    """Whether a call on a meta tensor ends in that error."""
    try:
        call(x)
    except error:
        return True
    return False


def test_refused_are_the_sizes_whose_branches_do_not_concatenate():
    model = meta_dgd()
    for height in (33, 48, 64, 79):
        for width in (24, 25, 32, 39, 40, 41, 55):
            x = torch.zeros(2, 3, height, width, device="meta")
            unfit = does(RuntimeError, lambda x: forward_without_check(model, x), x)
            assert does(BenchError, model.features, x) == unfit, (height, width)


def forward_without_check(model, x):
    for name in ("conv1", "conv2", "conv3"):
        x = model.unit(name, x)
    x = nn.functional.max_pool2d(x, 2, 2, ceil_mode=True)
    for name in ("1a", "1b", "2a", "2b", "3a", "3b"):
        x = model.get_submodule(f"inception_{name}")(x)
    return x


def test_feature_is_fc7_after_batch_norm_and_before_relu(small):
    seen = {}
    handle = small.fc7_bn.register_forward_hook(lambda _, __, out: seen.update(bn=out))
    small.eval()
    x = torch.rand(3, 3, 144, 56)
    with torch.no_grad():
        features, scores = small.features(x), small(x)
    handle.remove()
    assert torch.equal(features, seen["bn"])
    assert (features < 0).any()
    torch.testing.assert_close(scores, features.clamp(min=0) @ small.fc8.weight.T + small.fc8.bias)
    small.train()


def test_dropout_drops_half_of_the_rectified_feature():
    model = DGDNetwork(identities=1, width=1 / 4)
    nn.init.ones_(model.fc8.weight)
    torch.manual_seed(0)
    scores = model.classify(torch.ones(2000, 64)).detach()
    kept = scores / 2  # what is kept is doubled
    assert float(kept.mean()) == pytest.approx(32, abs=0.5)
    assert torch.equal(model.eval().classify(torch.full((1, 64), -1.0)), torch.zeros(1, 1))


def test_initial_values():
    torch.manual_seed(0)
    model = DGDNetwork(identities=100)
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            assert torch.all(layer.bias == 0.2)
            bound = (3 / (layer.in_channels * layer.kernel_size[0] ** 2)) ** 0.5
        elif name == "fc7":
            assert not layer.bias.any()
            bound = (3 / 1536) ** 0.5
        else:
            continue
        largest = float(layer.weight.detach().abs().max())
        assert 0.98 * bound < largest <= bound
    assert not model.fc8.bias.any()
    assert float(model.fc8.weight.detach().std()) == pytest.approx(1e-3, rel=0.05)
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)):
        assert (norm.eps, norm.momentum) == (1e-5, 0.1)


def pass_through(block):
    """Make every unit of a block return channel 0 of its input: batch norm and all biases off, kernels' centres 1."""
    for name, layer in block.named_modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
            layer.weight.data[:, 0, layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = 1
        elif name.endswith("_bn"):
            layer.eps = 0.0
    return block.eval()


def test_a_reducing_block_by_hand():
    """Rows of four and columns of seven: windows hang over the end, and count only what is there."""
    x = torch.arange(28.0).reshape(1, 1, 4, 7)
    strided = [[0, 2, 4, 6], [14, 16, 18, 20]]
    # Without padding: windows start at columns 0, 2, 4.  With one column of padding they start at -1, 1, 3, 5.
    unpadded = [[16, 18, 20], [23, 25, 27]]
    padded = [[15, 17, 19, 20], [22, 24, 26, 27]]
    with torch.no_grad():
        out = pass_through(Inception(1, 1, reduce=True, pool_padding=(0, 1)))(x)
        assert out.tolist() == [[strided, strided, padded]]
        pool = nn.functional.max_pool2d(x, 3, 2, ceil_mode=True)
    assert pool.tolist() == [[unpadded]]


def test_an_ordinary_block_by_hand():
    """The average pool divides by nine at the borders too."""
    x = torch.ones(1, 1, 3, 4)
    mean = torch.tensor([[4.0, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]]) / 9
    with torch.no_grad():
        out = pass_through(Inception(1, 1))(x)
    torch.testing.assert_close(out[0], torch.stack([x[0, 0], x[0, 0], x[0, 0], mean]))


def test_first_pool_rounds_up():
    """Of 143 rows the 72nd pooled one sees a single row."""
    torch.manual_seed(0)
    model = DGDNetwork(width=1 / 32).eval()
    seen = []
    model.inception_1a.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[2:]))
    model.features(torch.zeros(1, 3, 143, 55))
    assert seen == [(72, 28)]


def test_normalisation_by_hand():
    x = torch.tensor(MEAN).reshape(1, 3, 1, 1) + torch.tensor([1.0, 0.0, -1.0]).reshape(1, 3, 1, 1)
    expected = torch.tensor([1 / STD[0], 0.0, -1 / STD[2]]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(normalise(x), expected)


def warmed_up(width):
    torch.manual_seed(0)
    model = DGDNetwork(identities=5, width=width)
    for _ in range(3):
        model(torch.randn(4, 3, 64, 24))
    return model.eval()


def test_folded_network_has_the_same_features():
    model = warmed_up(1 / 8)
    folded = model.folded()
    x = torch.randn(3, 3, 64, 24)
    with torch.no_grad():
        torch.testing.assert_close(folded.features(x), model.features(x), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d) for m in folded.modules())
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules())


def test_pretrained_weights_load_but_for_the_classifier(tmp_path):
    source = warmed_up(1 / 16)
    path = tmp_path / "dgd.safetensors"
    save_weights(path, source)
    target = DGDNetwork(identities=9, width=1 / 16).eval()
    classifier = target.fc8.weight.detach().clone()
    load_dgd(target, path)
    x = torch.randn(2, 3, 64, 24)
    with torch.no_grad():
        assert torch.equal(target.features(x), source.features(x))
    assert torch.equal(target.fc8.weight, classifier)
    with pytest.raises(DataError, match=r"conv1\.bias: got \(2,\), expected \(4,\)"):
        load_dgd(DGDNetwork(width=1 / 8), path)


def test_features_only_network_has_no_classifier(small):
    with pytest.raises(BenchError, match="no classifier"):
        DGDNetwork(width=1 / 16)(torch.zeros(2, 3, 144, 56))


def test_the_market1501_weights_are_complete():
    path = ROOT / "methods" / "weights" / DGD_FILE
    model = DGDNetwork()
    load_dgd(model, path)
    names = set(read_weights(path))
    assert names - set(model.state_dict()) == {"fc8.weight", "fc8.bias"}
    assert all(name.endswith("num_batches_tracked") for name in set(model.state_dict()) - names)
