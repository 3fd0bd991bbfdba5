"""SRCNN: the network by naive loops, the release's weights, colour conversion and, on Set5, its published PSNR."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torch.nn.functional import interpolate

from bench.errors import DataError
from bench.plugin.registry import ROOT
from methods._srcnn import (
    SRCNN,
    load_srcnn,
    read_srcnn,
    rgb_to_ycbcr,
    squared_error,
    ycbcr_to_rgb,
)


def random_srcnn(padding, seed=0):
    """An SRCNN whose output is of the size of its input, unlike the tiny values of its initialisation."""
    torch.manual_seed(seed)
    model = SRCNN(padding)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return model


def naive_layer(image, weights, biases, replicate):
    """Cross-correlation of an image (channels, h, w), pixel by pixel."""
    size = weights.shape[-1]
    if replicate:
        image = np.pad(image, [(0, 0), (size // 2, size // 2), (size // 2, size // 2)], mode="edge")
    height, width = image.shape[1] - size + 1, image.shape[2] - size + 1
    out = np.empty((len(weights), height, width))
    for y in range(height):
        for x in range(width):
            patch = image[:, y : y + size, x : x + size]
            out[:, y, x] = (weights * patch).sum(axis=(1, 2, 3)) + biases
    return out


@pytest.mark.parametrize(("padding", "cut"), [("replicate", 0), ("valid", 16)])
def test_forward_equals_loops_over_pixels(padding, cut):
    model = random_srcnn(padding).double()
    image = np.random.default_rng(0).random((1, 18, 19))
    expected = image
    for layer in (model.conv1, model.conv2, model.conv3):
        weights, biases = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        expected = naive_layer(expected, weights, biases, padding == "replicate")
        if layer is not model.conv3:
            expected = np.maximum(expected, 0)
    actual = model(torch.from_numpy(image)[None])[0].detach().numpy()
    assert actual.shape == (1, 18 - cut, 19 - cut)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_it_has_57281_parameters_and_starts_small():
    torch.manual_seed(0)
    model = SRCNN()
    assert sum(p.numel() for p in model.parameters()) == 57_281 == 64 * 82 + 32 * (64 * 25 + 1) + 32 * 25 + 1
    assert float(model.conv2.weight.detach().std()) == pytest.approx(1e-3, rel=0.02)
    assert not any(layer.bias.any() for layer in (model.conv1, model.conv2, model.conv3))


def test_valid_convolutions_bring_160x72_to_144x56():
    assert SRCNN("valid")(torch.zeros(1, 1, 160, 72)).shape == (1, 1, 144, 56)


def test_the_three_layers_of_parameter_groups():
    model = SRCNN()
    fast, slow = model.parameter_groups(lr=1e-4)
    assert fast["lr"] == 1e-4
    assert slow["lr"] == pytest.approx(1e-5)
    assert [p.numel() for p in fast["params"]] == [81 * 64, 64 * 25 * 32]
    assert [p.numel() for p in slow["params"]] == [64, 32, 32 * 25, 1]


def test_the_loss_is_the_sum_of_squares_over_twice_the_images():
    output, target = torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 3, 4)
    output[0, 0, 1] = 3.0  # four pixels
    assert float(squared_error(output, target)) == 4 * 9 / 4


# Matlab: rgb2ycbcr of these colours, uint8, as its documentation's coefficients give and its rounding shows them.
COLOURS = {
    (0, 0, 0): (16, 128, 128),
    (255, 255, 255): (235, 128, 128),
    (255, 0, 0): (81, 90, 240),
    (0, 255, 0): (145, 54, 34),
    (0, 0, 255): (41, 240, 110),
}


@pytest.mark.parametrize(("rgb", "ycbcr"), COLOURS.items())
def test_primary_colours_in_ycbcr(rgb, ycbcr):
    converted = rgb_to_ycbcr(torch.tensor(rgb, dtype=torch.float64).reshape(1, 3, 1, 1) / 255)
    assert tuple((converted * 255).round().flatten().tolist()) == ycbcr


def test_colour_conversion_is_undone_and_differentiable():
    rgb = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(ycbcr_to_rgb(rgb_to_ycbcr(rgb)), rgb, atol=1e-12, rtol=0)
    assert torch.autograd.gradcheck(rgb_to_ycbcr, rgb)
    assert torch.autograd.gradcheck(ycbcr_to_rgb, rgb)


def identity_srcnn(padding):
    """An SRCNN that returns its input: only the centres of one channel's kernels are set."""
    model = SRCNN(padding)
    for layer in (model.conv1, model.conv2, model.conv3):
        torch.nn.init.zeros_(layer.weight)
        layer.weight.data[0, 0, layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = 1
    return model


@pytest.mark.parametrize(("padding", "cut"), [("replicate", 0), ("valid", 8)])
def test_an_identity_network_leaves_images_alone(padding, cut):
    images = np.random.default_rng(0).integers(0, 256, (5, 20, 24, 3), dtype=np.uint8)
    centre = images[:, cut : 20 - cut, cut : 24 - cut]
    np.testing.assert_array_equal(identity_srcnn(padding).super_resolve(images, batch=2), centre)


def test_enhance_changes_luma_only_and_clamps():
    model = identity_srcnn("replicate")
    model.conv3.bias.data.fill_(0.1)
    grey = torch.full((1, 3, 10, 10), 0.5)
    enhanced = model.enhance(grey)
    torch.testing.assert_close(enhanced, torch.full_like(grey, 0.5 + 0.1 * 255 / 219))
    assert torch.equal(model.enhance(torch.ones(1, 3, 10, 10)), torch.ones(1, 3, 10, 10))


def test_gradients_reach_the_network_through_colour():
    model = random_srcnn("valid")
    model.enhance(torch.rand(1, 3, 24, 24)).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def release_layout(state):
    """A state as the release stores it, kernel columns one after another, filled element by element."""
    kernels = [state[f"conv{i}.weight"].numpy() for i in (1, 2, 3)]
    stored = {
        "weights_conv1": np.zeros((81, 64)),
        "weights_conv2": np.zeros((64, 25, 32)),
        "weights_conv3": np.zeros((32, 25)),
    }
    for row in range(9):
        for column in range(9):
            stored["weights_conv1"][column * 9 + row] = kernels[0][:, 0, row, column]
    for row in range(5):
        for column in range(5):
            stored["weights_conv2"][:, column * 5 + row] = kernels[1][:, :, row, column].T
            stored["weights_conv3"][:, column * 5 + row] = kernels[2][0, :, row, column]
    return stored | {f"biases_conv{i}": state[f"conv{i}.bias"].numpy()[:, None] for i in (1, 2, 3)}


def test_the_release_layout_is_read(tmp_path):
    state = random_srcnn("valid").state_dict()
    savemat(tmp_path / "x3.mat", release_layout(state))
    read = read_srcnn(tmp_path / "x3.mat")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name].float(), state[name]) for name in state)


def test_a_wrong_release_file_is_named(tmp_path):
    stored = release_layout(SRCNN().state_dict())
    savemat(tmp_path / "a.mat", {**stored, "weights_conv2": np.zeros((64, 1, 32))})
    with pytest.raises(DataError, match=r"a\.mat: 'weights_conv2' got \(64, 1, 32\), expected \(64, 25, 32\)"):
        load_srcnn(SRCNN(), tmp_path / "a.mat")
    del stored["biases_conv3"]
    savemat(tmp_path / "b.mat", stored)
    with pytest.raises(DataError, match=r"b\.mat is not an SRCNN 9-5-5 release file: 'biases_conv3' is missing"):
        load_srcnn(SRCNN(), tmp_path / "b.mat")


def psnr(image, truth, border):
    difference = (image - truth)[..., border:-border, border:-border]
    return float(-10 * torch.log10(difference.square().mean()))


def rounded(luma):
    """As 8-bit pixels, in [0, 1]: the release compares saved images."""
    return (luma.clamp(0, 1) * 255).round() / 255


def of_set5(folder, scale, weights):
    """Mean PSNR of Set5, bicubic and super-resolved by a weights file, as the release measures it."""
    model = SRCNN()
    load_srcnn(model, weights)
    scores = []
    for path in sorted(folder.glob("*.bmp")):
        with Image.open(path) as image:
            pixels = torch.from_numpy(np.asarray(image.convert("RGB")).copy())
        truth = rounded(rgb_to_ycbcr(pixels.permute(2, 0, 1)[None].double() / 255)[:, :1])
        height, width = (n - n % scale for n in truth.shape[2:])
        truth = truth[..., :height, :width]
        small = interpolate(truth, (height // scale, width // scale), mode="bicubic", antialias=True)
        large = interpolate(small, (height, width), mode="bicubic", antialias=True)
        with torch.no_grad():
            output = model(large.float()).double()
        scores.append([psnr(rounded(luma), truth, scale) for luma in (large, output)])
    assert len(scores) == 5
    return np.mean(scores, axis=0)


@pytest.fixture
def release(data_root):
    folder = data_root.parent / "weights" / "srcnn"
    if not (folder / "Set5").is_dir():
        pytest.skip(f"no SRCNN weights with Set5 in {folder}")
    return folder


SET5 = [(2, 33.66, 36.66, 36.24), (3, 30.39, 32.75, 32.03), (4, 28.42, 30.48, 29.74)]


@pytest.mark.data
@pytest.mark.parametrize(("scale", "bicubic", "published", "ours"), SET5)
def test_set5(release, scale, bicubic, published, ours):
    found = of_set5(release / "Set5", scale, release / f"x{scale}.mat")
    np.testing.assert_allclose(found, [bicubic, published], atol=0.02)
    own = of_set5(release / "Set5", scale, ROOT / "methods" / "weights" / "srcnn" / f"x{scale}.safetensors")
    np.testing.assert_allclose(own, [bicubic, ours], atol=0.02)


def test_training_from_scratch_starts_at_the_image_and_sees_its_edges():
    """On an image of two greys conv1's filters return values as large as the image's; the whole still passes it."""
    torch.manual_seed(0)
    luma = (torch.rand(4, 1, 32, 32) > 0.5).float()
    plain, seeing = SRCNN(), SRCNN().see_detail(luma)
    with torch.no_grad():
        deviation = [float(m.conv1(luma)[:, 1:, 4:-4, 4:-4].std()) for m in (plain, seeing)]
        assert (seeing(luma) - luma).abs().mean() < 0.05
    assert deviation[0] < 0.02
    assert deviation[1] == pytest.approx(0.3, rel=0.1)
    flat = SRCNN().see_detail(torch.full((1, 1, 20, 20), 0.5))
    assert all(parameter.isfinite().all() for parameter in flat.parameters())
