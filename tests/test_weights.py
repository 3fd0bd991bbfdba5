"""Weights files: what is read, what is refused, and what the messages say."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat

from bench.errors import BenchError, DataError
from bench.learning.weights import (
    READERS,
    find_weights,
    load_weights,
    read_weights,
    save_weights,
    sha256,
    weights_folder,
)
from bench.plugin.weights import SUFFIXES


def module():
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


def write_safetensors(path, tensors):
    save_file(tensors, path)


def write_torch(path, tensors):
    torch.save(tensors, path)


def write_mat(path, tensors):
    savemat(path, {name: tensor.numpy() for name, tensor in tensors.items()})


@pytest.mark.parametrize(
    ("suffix", "write"),
    [(".safetensors", write_safetensors), (".pt", write_torch), (".pth", write_torch), (".mat", write_mat)],
)
def test_every_format_gives_back_names_shapes_types_and_values(tmp_path, suffix, write):
    tensors = {"a": torch.arange(6, dtype=torch.float64).reshape(2, 3), "b": torch.tensor([[1.5]], dtype=torch.float32)}
    path = tmp_path / f"weights{suffix}"
    write(path, tensors)
    read = read_weights(path)
    assert sorted(read) == ["a", "b"]
    for name in tensors:
        assert read[name].dtype == tensors[name].dtype
        assert torch.equal(read[name], tensors[name])


class Hostile:
    """Unpickling an instance creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors", ".mat", ".pkl"])
@pytest.mark.parametrize("dump", [pickle.dumps, None], ids=["pickle", "torch.save"])
def test_a_file_with_code_in_it_is_refused_and_not_run(tmp_path, suffix, dump):
    trace = tmp_path / "ran"
    path = tmp_path / f"hostile{suffix}"
    if dump:
        path.write_bytes(dump({"a": Hostile(trace)}))
    else:
        torch.save({"a": Hostile(trace)}, path)
    with pytest.raises(DataError, match="hostile"):
        read_weights(path)
    assert not trace.exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".mat"])
@pytest.mark.parametrize("content", [b"", b"not weights at all" * 20], ids=["empty", "garbage"])
def test_a_damaged_file_is_named(tmp_path, suffix, content):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"broken{suffix} is not a readable {suffix} file"):
        read_weights(path)


def test_a_missing_file_and_an_unknown_format_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.pt does not exist"):
        read_weights(tmp_path / "none.pt")
    with pytest.raises(DataError, match=r"x\.npy is not .* use one of \.safetensors, \.mat, \.pt, \.pth"):
        read_weights(tmp_path / "x.npy")


def test_files_must_hold_named_arrays_of_numbers(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    torch.save({"state_dict": {"a": torch.zeros(2)}, "epoch": 3}, tmp_path / "nested.pt")
    savemat(tmp_path / "text.mat", {"a": "hello"})
    for name in ("list.pt", "nested.pt"):
        with pytest.raises(DataError, match="does not hold a plain dictionary of named tensors"):
            read_weights(tmp_path / name)
    with pytest.raises(DataError, match="'a' is not an array of numbers"):
        read_weights(tmp_path / "text.mat")


def test_load_copies_every_tensor_and_skips_what_it_is_told_to():
    source, target = module(), module()
    torch.nn.init.normal_(source[1].weight)
    tensors = dict(source.state_dict())
    del tensors["1.num_batches_tracked"]
    kept = target[0].bias.detach().clone()
    load_weights(target, {**tensors, "0.bias": torch.zeros(7)}, "file", skip=("0.bias",))
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[1].weight, source[1].weight)
    assert torch.equal(target[0].bias, kept)


def test_what_does_not_fit_is_said_in_one_message_and_nothing_is_loaded():
    target = module()
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    tensors = {name: tensor + 1 for name, tensor in target.state_dict().items()}
    del tensors["1.weight"]
    tensors["0.weight"] = torch.zeros(5, 3)
    tensors["1.bias"] = torch.tensor([0.0, float("nan")])
    tensors["fc.weight"] = torch.zeros(1)
    with pytest.raises(DataError) as error:
        load_weights(target, tensors, "w.safetensors")
    assert str(error.value) == (
        "w.safetensors does not fit Sequential: 1 missing (1.weight); 1 unexpected (fc.weight); "
        "1 of wrong shape (0.weight: got (5, 3), expected (2, 3)); 1 with NaN or infinite values (1.bias)"
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in target.state_dict().items())


def test_saved_weights_load_into_an_equal_module(tmp_path):
    source, target = module().to(memory_format=torch.channels_last), module()
    path = tmp_path / "new" / "weights.safetensors"
    save_weights(path, source, training="none")
    load_weights(target, read_weights(path), path)
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor)
    assert [p.name for p in path.parent.iterdir()] == ["weights.safetensors"]
    with pytest.raises(BenchError, match=r"saved as \.safetensors, not as w\.pt"):
        save_weights(tmp_path / "w.pt", source)
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match="cannot write the weights"):
        save_weights(tmp_path / "file" / "w.safetensors", source)


def test_sha256(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(range(256)) * 9000)
    assert sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match="cannot be read"):
        sha256(tmp_path / "none")


def test_a_file_is_found_by_name_below_the_weights_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("BENCH_WEIGHTS", raising=False)
    assert weights_folder() is None
    assert find_weights("x2.mat") is None
    for name in ("srcnn/x2.mat", "srcnn/x3.mat", "other/x3.mat", "top.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    assert find_weights("top.pt") == tmp_path / "top.pt"
    assert find_weights("x2.mat") == tmp_path / "srcnn" / "x2.mat"
    assert find_weights("srcnn/x3.mat", tmp_path) == tmp_path / "srcnn" / "x3.mat"
    assert find_weights("x4.mat") is None
    with pytest.raises(DataError, match=r"several files are called x3\.mat"):
        find_weights("x3.mat")
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"BENCH_WEIGHTS, .*none is not a folder"):
        find_weights("x2.mat")
    assert find_weights("x2.mat", tmp_path) == tmp_path / "srcnn" / "x2.mat"


def test_what_is_found_can_be_read() -> None:
    assert tuple(READERS) == SUFFIXES
