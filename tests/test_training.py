"""The training loop: against updates worked by hand, and killed, resumed, split and spoilt on purpose."""

import math
import resource
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bench.errors import BenchError, StorageError
from bench.learning.checkpoints import save
from bench.learning.compute import Compute, seeded
from bench.learning.passes import MOST_SHAPES, TOLERANCE, Captured, Plain, passes_for
from bench.learning.schedules import constant, one_cycle, parameter_groups, poly
from bench.learning.training import train


def net(seed=0):
    """Everything that carries state: convolution, batch norm, dropout, linear."""
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, 3)
        )


def batches(i):
    random = torch.Generator().manual_seed(i)
    return {
        "x": torch.randn(6, 2, 5, 5, generator=random),
        "y": torch.randint(3, (6,), generator=random),
    }


def softmax(model, batch):
    loss = nn.functional.cross_entropy(model(batch["x"]).float(), batch["y"])
    return {"total": loss, "half": loss / 2}


def sgd(model, lr=0.1, **options):
    return torch.optim.SGD(parameter_groups(model, "net", lr, **options), momentum=0.9)


def fit(model, steps=7, loss=softmax, data=batches, optimiser=None, schedule=None, **options):
    return train(model, data, loss, optimiser or sgd(model), schedule or poly(steps), steps, **options)


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def killed_at(update, accumulate=1):
    """Batches that end in an interrupt when those of `update` are asked for."""

    def interrupted(i):
        if i >= update * accumulate:
            raise KeyboardInterrupt
        return batches(i)

    return interrupted


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_killed_and_resumed_equals_left_alone(tmp_path, precision, accumulate):
    compute = Compute(precision=precision, channels_last=True)
    options = {"compute": compute, "accumulate": accumulate, "checkpoint_every": 2, "log_every": 3}
    whole, stopped, resumed = net(), net(), net(seed=9)
    expected = fit(whole, **options)

    path = tmp_path / "training.pt"
    for update in (1, 4, 6):  # before the first checkpoint, then between two
        with pytest.raises(KeyboardInterrupt):
            fit(stopped, data=killed_at(update, accumulate), checkpoint=path, **options)
        stopped = net(seed=5 + update)  # a new process has other weights until it loads the checkpoint
        if not path.exists():
            stopped = net()
    curves = fit(resumed, checkpoint=path, **options)
    assert equal(resumed, whole)
    assert curves == expected
    assert [p.name for p in tmp_path.iterdir()] == ["training.pt"]

    again = net(seed=3)
    assert fit(again, data=killed_at(0), checkpoint=path, **options) == expected
    assert equal(again, whole)


def test_the_seed_decides_the_result():
    one, same, other = net(), net(), net()
    fit(one, seed=1)
    torch.rand(5)
    state = torch.get_rng_state()
    fit(same, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    fit(other, seed=2)
    assert equal(one, same)
    assert not equal(one, other)
    assert equal(net(4), net(4))
    assert not equal(net(4), net(5))


def linear():
    with seeded(0):
        return nn.Linear(3, 2)


def pieces(i):
    """The rows of one batch of eight, two at a time."""
    random = torch.Generator().manual_seed(i // 4)
    rows = torch.randn(8, 5, generator=random)[i % 4 * 2 :][:2]
    return {"x": rows[:, :3], "y": rows[:, 3:]}


def whole(i):
    parts = [pieces(4 * i + k) for k in range(4)]
    return {name: torch.cat([part[name] for part in parts]) for name in ("x", "y")}


def squares(model, batch):
    return {"total": (model(batch["x"]) - batch["y"]).square().mean()}


def test_accumulated_batches_equal_one_large_batch():
    large, small = linear(), linear()
    expected = fit(large, data=whole, loss=squares)
    curves = fit(small, data=pieces, loss=squares, accumulate=4)
    torch.testing.assert_close(small.state_dict(), large.state_dict())
    torch.testing.assert_close(curves, expected)


def scalar(value=1.0):
    """A network of one weight, w."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def test_two_updates_by_hand():
    """L = w^2 a / 2 for batch a: gradient a w.  Momentum 0.9, weight decay 0.1, lr 0.2, then 0.2 sqrt(1/2)."""
    model = scalar(2.0)
    optimiser = sgd(model, lr=0.2, weight_decay=0.1)
    curves = fit(
        model,
        steps=2,
        data=lambda i: {"a": torch.tensor(float(i + 1))},
        loss=lambda m, b: {"total": m.weight.square().sum() * b["a"] / 2},
        optimiser=optimiser,
        log_every=1,
    )
    v = 1 * 2.0 + 0.1 * 2.0
    w = 2.0 - 0.2 * v
    gradient = 2 * w
    v = 0.9 * v + gradient + 0.1 * w
    loss = w * w
    w -= 0.2 * math.sqrt(0.5) * v
    assert model.weight.item() == pytest.approx(w)
    assert curves["step"] == [0, 1]
    assert curves["loss"]["total"] == pytest.approx([2.0, loss])
    assert curves["lr"]["net"] == pytest.approx([0.2, 0.2 * math.sqrt(0.5)])
    assert curves["gradient_norm"]["net"] == pytest.approx([2.0, gradient])


def test_curves_are_recorded_at_the_start_every_so_often_and_at_the_end():
    """The loss is the mean since the record before: 0; 1, 2, 3; 4, 5."""
    curves = fit(
        scalar(),
        steps=6,
        data=lambda i: {"i": torch.tensor(float(i))},
        loss=lambda m, b: {"total": m.weight.sum() * 0 + b["i"]},
        log_every=3,
    )
    assert curves["step"] == [0, 3, 5]
    assert curves["loss"] == {"total": [0.0, 2.0, 4.5]}


def test_poly_by_hand():
    schedule = poly(100)
    assert [schedule(0), schedule(75), schedule(99)] == pytest.approx([1, 0.5, 0.1])
    assert poly(100, power=2)(50) == pytest.approx(0.25)
    assert constant(12) == 1


def test_parameter_groups():
    model = net()
    weights, biases, norms = parameter_groups(model, "reid", 0.01, weight_decay=5e-4, bias_lr=2)
    conv, norm, linear_ = model[0], model[1], model[5]
    assert weights == {"name": "reid", "params": [conv.weight, linear_.weight], "lr": 0.01, "weight_decay": 5e-4}
    assert biases == {"name": "reid.bias", "params": [conv.bias, linear_.bias], "lr": 0.02, "weight_decay": 0}
    assert norms == {"name": "reid.norm", "params": [norm.weight, norm.bias], "lr": 0.01, "weight_decay": 0}
    assert [g["name"] for g in parameter_groups(scalar(), "w", 1.0)] == ["w"]


def test_groups_keep_their_own_base_rates():
    model = net()
    curves = fit(model, steps=4, optimiser=sgd(model, lr=0.1, bias_lr=2), log_every=1)
    assert curves["lr"]["net"] == pytest.approx([0.1 * (1 - t / 4) ** 0.5 for t in range(4)])
    assert curves["lr"]["net.bias"] == pytest.approx([2 * rate for rate in curves["lr"]["net"]])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_gradients_of_single_terms(accumulate):
    """d/dw of 3 w b and of w^2 / 2 at w = 2; b is 1, or 1 and 5 with mean 3."""
    model = scalar(2.0)

    def loss(m, batch):
        w = m.weight.sum()
        far, near = 3 * w * batch["b"], w.square() / 2
        return {"total": far + near, "far": far, "near": near, "fixed": batch["b"]}

    curves = fit(
        model,
        steps=1,
        data=lambda i: {"b": torch.tensor(1.0 + 4 * i)},
        loss=loss,
        accumulate=accumulate,
        term_gradients=["net"],
    )
    far = 3.0 * (1 if accumulate == 1 else 3)
    expected = {"total": [far + 2], "far": [far], "near": [2.0], "fixed": [0.0]}
    assert curves["term_gradient_norm"] == {"net": expected}
    assert curves["gradient_norm"] == {"net": [far + 2]}
    with pytest.raises(BenchError, match="no parameter group is called 'sr': there is net"):
        fit(scalar(), term_gradients=["sr"], loss=loss, data=lambda i: {"b": torch.tensor(1.0)})


def test_recording_changes_nothing():
    plain, watched = net(), net()
    fit(plain, log_every=100)
    fit(watched, log_every=1, term_gradients=["net", "net.norm"], progress=lambda p: None)
    assert equal(plain, watched)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_training(tmp_path, bad):
    def loss(model, batch):
        w = model.weight.sum()
        return {"total": w + batch["bad"], "reid": w, "sr": w.detach() + batch["bad"]}

    def data(i):
        return {"bad": torch.tensor(bad if i == 3 else 0.0)}

    path = tmp_path / "training.pt"
    with pytest.raises(BenchError, match=rf"diverged at update 3 of 7: term 'total' is {bad}"):
        fit(scalar(), data=data, loss=loss, checkpoint=path, checkpoint_every=1)
    assert torch.load(path, weights_only=True)["step"] == 3


def test_the_term_at_fault_is_named():
    def loss(model, batch):
        w = model.weight.sum()
        return {"sr": w / 0, "total": w / 0 + w}

    with pytest.raises(BenchError, match="update 0 of 7: term 'sr' is inf"):
        fit(scalar(), loss=loss, data=lambda i: {})


def test_a_gradient_that_is_not_finite_ends_the_training():
    with pytest.raises(BenchError, match="update 0 of 7: gradient of group 'net' is nan"):
        fit(scalar(0.0), loss=lambda m, b: {"total": m.weight.abs().sqrt().sum()}, data=lambda i: {})


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    path = tmp_path / "training.pt"
    fit(net(), checkpoint=path, identity="viper split 0")
    with pytest.raises(BenchError, match=r"training\.pt is of another training \(it differs in seed: seed 0, now 1\)"):
        fit(net(), checkpoint=path, identity="viper split 0", seed=1)
    with pytest.raises(BenchError, match="identity 'viper split 0', now 'viper split 1'"):
        fit(net(), checkpoint=path, identity="viper split 1")
    with pytest.raises(BenchError, match="differs in groups"):
        fit(model := net(), checkpoint=path, identity="viper split 0", optimiser=sgd(model, lr=0.3))
    with pytest.raises(BenchError, match="differs in schedule"):
        fit(net(), checkpoint=path, identity="viper split 0", schedule=constant)
    with pytest.raises(BenchError, match="differs in model, groups"):
        fit(scalar(), checkpoint=path, identity="viper split 0")


def test_a_checkpoint_of_another_version_of_torch_is_gone_on_from(tmp_path):
    """Versions of torch differ in what an optimiser's groups say."""
    path = tmp_path / "training.pt"
    fit(trained := net(), checkpoint=path)
    state = torch.load(path, weights_only=True)
    for group in state["about"]["groups"]:
        del group["nesterov"]
        group["of_another_version"] = True
    torch.save(state, path)
    fit(again := net(), checkpoint=path, loss=None)
    assert equal(trained, again)


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "training.pt"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=r"training\.pt cannot be read .* delete it to start again"):
        fit(net(), checkpoint=path)


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write the checkpoint"):
        fit(net(), checkpoint=tmp_path / "file" / "training.pt")


def test_a_full_disk_is_said_and_leaves_the_checkpoint_before(tmp_path):
    path = tmp_path / "training.pt"
    fit(net(), checkpoint=path)
    before, largest = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, largest[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot write the checkpoint .*training\.pt: File too large"):
            save(path, {"steps": 7}, net(), sgd(net()), 7, {}, [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, largest)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [before]


def test_progress_counts_updates_and_estimates_what_is_left():
    seen = []
    fit(net(), steps=5, log_every=2, progress=seen.append)
    assert [(p.step, p.steps) for p in seen] == [(1, 5), (3, 5), (5, 5)]
    assert seen[0].seconds_left > 0
    assert seen[-1].seconds_left == 0
    assert set(seen[0].loss) == {"total", "half"}


def test_precision_and_layout_reach_the_network():
    seen = {}

    def loss(model, batch):
        out = model(batch["x"])
        seen.update(dtype=out.dtype, last=batch["x"].is_contiguous(memory_format=torch.channels_last))
        seen["weights"] = model[0].weight.is_contiguous(memory_format=torch.channels_last)
        return {"total": out.float().square().mean()}

    fit(model := net(), steps=1, loss=loss, compute=Compute(precision="bfloat16", channels_last=True))
    assert seen == {"dtype": torch.bfloat16, "last": True, "weights": True}
    assert model[0].weight.dtype == torch.float32
    fit(net(), steps=1, loss=loss)
    assert seen == {"dtype": torch.float32, "last": False, "weights": False}


def test_the_model_is_trained_in_training_mode_and_left_in_evaluation_mode():
    modes = []

    def loss(model, batch):
        modes.append(model.training)
        return softmax(model, batch)

    model = net().eval()
    fit(model, steps=2, loss=loss)
    assert modes == [True, True]
    assert not model.training


def test_no_gpu_is_a_clear_error():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(BenchError, match="device cuda cannot be used: torch finds no CUDA GPU; use device cpu"):
        fit(net(), compute=Compute("cuda"))


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_deterministic_on_cuda(tmp_path, monkeypatch, precision):
    monkeypatch.setattr("bench.learning.training.FEWER_ON_GPU", 1)
    compute = Compute("cuda", precision, channels_last=True, deterministic=True)
    left_alone, stopped, resumed = net(), net(), net(seed=9)
    fit(left_alone, compute=compute)
    path = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, data=killed_at(4), compute=compute, checkpoint=path, checkpoint_every=2)
    assert path.exists()
    fit(resumed, compute=compute, checkpoint=path, checkpoint_every=2)
    assert equal(left_alone, resumed)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.cuda
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_captured_training_is_that_of_plain_passes(monkeypatch, accumulate, precision):
    """A seed gives other numbers on a GPU than on the CPU, but the same ones captured and not."""
    compute = Compute("cuda", precision, deterministic=True)
    options = {"compute": compute, "accumulate": accumulate, "term_gradients": ["net"], "log_every": 3}
    captured, plain = net(), net()
    curves = fit(captured, **options)
    monkeypatch.setattr("bench.learning.training.passes_for", Plain)
    expected = fit(plain, **options)
    assert curves["loss"]["total"] == pytest.approx(expected["loss"]["total"], rel=TOLERANCE[precision])
    pairs = zip(captured.state_dict().values(), plain.state_dict().values(), strict=True)
    assert all(torch.allclose(a, b, rtol=TOLERANCE[precision], atol=1e-3) for a, b in pairs)


def batches_of_two_sizes(i):
    return {name: tensor[: 6 if i < 3 else 4] for name, tensor in batches(i).items()}


@pytest.mark.cuda
@pytest.mark.filterwarnings("error")
def test_each_size_of_batches_is_captured(monkeypatch):
    compute = Compute("cuda", "float32", deterministic=True)
    captured, plain = net(), net()
    fit(captured, data=batches_of_two_sizes, compute=compute)
    monkeypatch.setattr("bench.learning.training.passes_for", Plain)
    fit(plain, data=batches_of_two_sizes, compute=compute)
    pairs = zip(captured.state_dict().values(), plain.state_dict().values(), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in pairs)


def counting():
    """A loss that changes by itself, which no graph repeats."""
    calls = []

    def loss(model, batch):
        calls.append(1)
        return {name: value * len(calls) for name, value in softmax(model, batch).items()}

    return loss


def waiting(model, batch):
    """A loss that waits for the GPU, which no capture survives."""
    values = softmax(model, batch)
    values["waited"] = values["total"].detach() * 0 + values["total"].item()
    return values


@pytest.mark.cuda
def test_what_cannot_be_captured_ends_as_a_plain_training(monkeypatch):
    compute = Compute("cuda", "float32", deterministic=True)
    captured, plain = net(), net()
    with pytest.warns(UserWarning, match="runs plainly: "):
        fit(captured, loss=waiting, compute=compute)
    with pytest.warns(UserWarning, match="runs plainly: its losses are not those of plain passes"):
        fit(net(), loss=counting(), compute=compute)
    monkeypatch.setattr("bench.learning.training.passes_for", Plain)
    fit(plain, loss=waiting, compute=compute)
    pairs = zip(captured.state_dict().values(), plain.state_dict().values(), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in pairs)


class WithoutDriver(Compute):
    """Says that it is a GPU where there is none, so that nothing can be captured."""

    cuda = True


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_captures_say_so_once_and_run_plainly():
    model = net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    passes = passes_for(model, softmax, list(model.parameters()), WithoutDriver())
    with (
        seeded(1),
        pytest.warns(UserWarning, match="the training step could not be captured as a CUDA graph and runs plainly: "),
    ):
        (terms,) = passes([batches(0)], None)
    with seeded(1):
        expected = softmax(net(), batches(0))["half"].detach()
    assert float(terms["half"]) == pytest.approx(float(expected), rel=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
    passes([batches(1)], None)


def test_shapes_without_end_have_graphs_with_an_end(monkeypatch):
    model = net()
    captured = Captured(Plain(model, softmax, list(model.parameters()), Compute()))
    kept = []

    def capture(key, batches):
        kept.append(key)
        captured.graphs[key] = None
        return captured.plain(batches)

    monkeypatch.setattr(captured, "_capture", capture)
    for size in range(2, 30):
        captured([{name: tensor.repeat(5, *[1] * (tensor.ndim - 1))[:size] for name, tensor in batches(0).items()}])
    assert len(kept) == MOST_SHAPES


@pytest.mark.slow
def test_compiled_training_gives_the_same_losses():
    plain = fit(net(), log_every=1, term_gradients=["net"])
    compiled = fit(net(), log_every=1, term_gradients=["net"], compute=Compute(compile=True))
    # Compiled dropout draws other numbers.
    assert compiled["loss"]["total"] == pytest.approx(plain["loss"]["total"], rel=0.5)


@pytest.mark.parametrize("killed", [None, 3])
def test_averaged_weights_are_those_of_a_loop_by_hand(tmp_path, killed):
    decay, states = 0.7, []

    def averaging(model):
        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)

    model = net()
    averaged = averaging(model)
    options = {"log_every": 1, "checkpoint_every": 2, "checkpoint": tmp_path / "training.pt"}
    if killed is not None:
        with pytest.raises(KeyboardInterrupt):
            fit(model, data=killed_at(killed), averaged=averaged, **options)
        model = net(seed=1)
        averaged = averaging(model)
    fit(model, averaged=averaged, **options)

    fit(alone := net(), log_every=1, progress=lambda _: states.append(deepcopy(alone.state_dict())))
    for name in ("0.weight", "1.running_var", "5.bias"):
        expected = states[0][name]
        for state in states[1:]:
            expected = decay * expected + (1 - decay) * state[name]
        torch.testing.assert_close(averaged.module.state_dict()[name], expected)


def test_one_cycle_rises_and_falls():
    rate = one_cycle(10, rise=0.4)
    assert [rate(t) for t in (0, 1, 3)] == [0.25, 0.5, 1.0]
    values = [rate(t) for t in range(10)]
    assert values[4:] == sorted(values[4:], reverse=True)
    assert 0 < values[-1] < 0.1
