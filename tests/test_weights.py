"""Weights files: what is read, what is refused, and what the messages say."""

import hashlib
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat

from bench.engine.freshness import stale
from bench.engine.store import Store
from bench.errors import BenchError, DataError
from bench.learning.weights import READERS, load_weights, read_weights, save_weights
from bench.plugin.registry import ROOT, registry
from bench.plugin.weights_files import (
    SUFFIXES,
    describe,
    find_weights,
    initial_weights,
    missing_weights,
    named_in,
    sha256,
    weights_folder,
)
from bench.report.published import find_table
from bench.report.tables import make_table
from methods.dgd import DGD
from methods.sing import SING
from methods.srcnn import SuperResolution
from tests.cells import fill

TRAVELLING = ROOT / "methods" / "weights"


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


def test_load_copies_every_tensor_and_skips_the_given_prefixes():
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


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted(tmp_path, kind):
    source, target = module(), module()
    path = tmp_path / "half.safetensors"
    save_file({n: t.to(kind) if t.is_floating_point() else t for n, t in source.state_dict().items()}, path)
    load_weights(target, read_weights(path), path)
    for name, tensor in target.state_dict().items():
        stored = source.state_dict()[name]
        assert tensor.dtype == stored.dtype
        assert torch.equal(tensor, stored.to(kind).to(tensor.dtype) if tensor.is_floating_point() else stored)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.full((2, 3), 1e300, dtype=torch.float64), "with values too large for float32 (0.weight)"),
        (torch.full((2, 3), float("inf")), "with NaN or infinite values (0.weight)"),
        (torch.full((2, 3), 1j), "of another kind than dense floating-point numbers (0.weight: complex64)"),
        (torch.ones(2, 3, dtype=torch.int64), "(0.weight: int64)"),
        (torch.ones(2, 3, dtype=torch.bool), "(0.weight: bool)"),
        (torch.ones(2, 3).to_sparse(), "(0.weight: sparse)"),
    ],
    ids=["large", "infinite", "complex", "integers", "booleans", "sparse"],
)
def test_tensors_that_are_no_weights_are_refused_in_one_line(tensor, words):
    target = module()
    before = target[0].weight.detach().clone()
    with pytest.raises(DataError) as error:
        load_weights(target, {**target.state_dict(), "0.weight": tensor}, "file")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert torch.equal(target[0].weight, before)


@pytest.mark.filterwarnings("ignore:.*quantize")
def test_quantised_tensors_are_refused():
    quantised = torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 0, torch.qint8)
    with pytest.raises(DataError, match=r"\(0\.weight: quantised\)"):
        load_weights(module(), {**module().state_dict(), "0.weight": quantised}, "file")


def test_matlab_stores_whole_doubles_as_bytes(tmp_path):
    savemat(tmp_path / "w.mat", {"a": np.array([[0.0, 3.0]])})
    assert read_weights(tmp_path / "w.mat")["a"].dtype == torch.float64


def test_the_formats_that_are_found_are_those_that_are_read():
    assert set(SUFFIXES) == set(READERS)


def test_finding_files_needs_no_torch():
    code = "import sys, bench.plugin.weights_files; print('torch' in sys.modules, 'bench.learning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


STRANGER = """
from bench import Method
from ._names import SECOND

FIRST = "first.safetensors"

class Stranger(Method):
    name = "stranger"
    scales = "own"

    def files(self, profile):
        return () if profile == "smoke" else (FIRST, SECOND, "third.pth")

class Heir(Stranger):
    name = "heir"
"""


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A stranger's folder of plug-ins, with weights beside them."""
    folder = tmp_path / "theirs"
    (folder / "weights" / "deep").mkdir(parents=True)
    (folder / "stranger.py").write_text(STRANGER)
    (folder / "_names.py").write_text('SECOND = "second.mat"\n')
    for name in ("first.safetensors", "deep/second.mat", "third.pth"):
        (folder / "weights" / name).write_text(name)
    monkeypatch.setenv("BENCH_PLUGINS", str(folder))
    return folder


def test_a_plugin_brings_its_weights_in_a_folder_beside_it(stranger, tmp_path) -> None:
    own, given = stranger / "weights", tmp_path / "given"
    given.mkdir()
    (given / "third.pth").write_text("the user's")
    for name in ("stranger", "heir"):
        plugin = registry().get("method", name).load()()
        assert initial_weights(plugin, None, "smoke") == []
        brought = [own / "first.safetensors", own / "deep" / "second.mat", own / "third.pth"]
        assert initial_weights(plugin, None, "quick") == brought
        assert initial_weights(plugin, given, "quick") == [*brought[:2], given / "third.pth"], "the user's come first"
        assert missing_weights(plugin, given, "quick") is None
    (own / "deep" / "second.mat").unlink()
    reason = missing_weights(plugin, given, "quick")
    assert reason == f"heir starts from second.mat, not below {given} or {own}"
    with pytest.raises(DataError, match=r"heir starts from second\.mat, not below"):
        initial_weights(plugin, None, "quick")


def test_which_files_a_plugin_names_is_read_from_its_text(stranger) -> None:
    plugins = {p.name: p.weights for p in registry().plugins}
    assert plugins["stranger"] == plugins["heir"] == ("third.pth", "first.safetensors", "second.mat")
    assert plugins["dgd"] == DGD().files("quick")
    assert set(plugins["sing"]) == set(SING().files("quick"))
    assert plugins["srcnn"] == SuperResolution().files("quick")
    assert plugins["xqda"] == ()


def started(*names: str) -> dict[str, dict[str, str]]:
    """What records say of cells that started from these files."""
    return {
        "1/2": {"dgd": "; ".join(f"{name} sha256 {hashlib.sha256(name.encode()).hexdigest()[:12]}" for name in names)}
    }


def test_a_description_is_found_again_in_what_a_record_says(tmp_path) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(path, module(), trained_on="a set, its training part (12 images)")
    text = describe(path)
    plain = "x3.mat sha256 fa2ee366d328"
    assert named_in(f"{plain}; {text}, fc8 new") == {"x3.mat": plain, "net.safetensors": text}
    assert named_in("from scratch, width 1, seed 3") == {}


def test_a_cell_that_started_from_another_file_than_its_method_names_is_stale(tmp_path) -> None:
    for method, name in (("bicubic+dgd", "older.pth"), ("bilinear+dgd", DGD().files("quick")[0])):
        fill(tmp_path, method, "caviar", [0.5], weights=("a" * 64,), initialisation=started(name))
    fill(tmp_path, "bicubic+dgd[scratch]", "caviar", [0.5])
    reasons = {r.cell.method: stale(r) for r in Store(tmp_path).read_all()[0]}
    assert reasons.pop("bicubic+dgd") == [f"started from older.pth, now {DGD().files('quick')[0]}"]
    assert not any(reasons.values())


def table_2(store: Store):
    return make_table(find_table("2"), store.read_all()[0], ("caviar",))


def test_a_table_shows_the_cells_of_the_file_that_is_named_now(tmp_path) -> None:
    older = started("older.pth")
    fill(tmp_path, "bicubic+dgd", "caviar", [0.9] * 3, "quick", weights=("a" * 64,), initialisation=older)
    now = started(DGD().files("quick")[0])
    made = table_2(fill(tmp_path, "bicubic+dgd", "caviar", [0.2], "quick", weights=("b" * 64,), initialisation=now))
    assert made.entries["caviar", "bicubic+dgd", 1].values == (20,)
    assert any("started from older.pth" in note and "bicubic+dgd 90.0 on caviar" in note for note in made.notes)


def test_a_table_says_which_rows_start_from_which_of_several_files(tmp_path) -> None:
    same = {"weights": ("a" * 64,), "initialisation": started("x2.mat", DGD().files("quick")[0])}
    other = {"weights": ("b" * 64,), "initialisation": started("x2.safetensors")}
    made = table_2(fill(tmp_path, "sing", "caviar", [0.5], **same))
    assert not any("different weights" in note for note in made.notes)
    made = table_2(fill(tmp_path, "srcnn+xqda", "caviar", [0.5], **other))
    (note,) = [note for note in made.notes if "different weights" in note]
    for row, files in (("sing", same), ("srcnn+xqda", other)):
        said = named_in(files["initialisation"]["1/2"]["dgd"])
        assert f"{row} on caviar: {next(iter(said.values()))}" in note
    assert DGD().files("quick")[0] not in note, "one file for all"


def test_travelling_weights_are_those_that_their_readme_lists() -> None:
    files = {p.relative_to(TRAVELLING).as_posix() for p in TRAVELLING.rglob("*") if p.is_file()}
    rows = re.findall(
        r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", (TRAVELLING / "README.md").read_text(), re.MULTILINE
    )
    assert files == {"README.md", *dict(rows)}
    for name, digest in rows:
        assert sha256(TRAVELLING / name) == digest, name
        assert (TRAVELLING / name).stat().st_size < 15e6
        assert read_weights(TRAVELLING / name)


def test_every_method_that_comes_with_bench_finds_its_weights() -> None:
    for plugin in registry().plugins:
        if plugin.weights and plugin.folder is None:
            assert missing_weights(plugin.load()(), None, "paper") is None
