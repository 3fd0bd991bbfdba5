"""Which precision ``auto`` stands for on which processor and GPU."""

import json

import pytest
import torch

from bench.learning import precision
from bench.learning.precision import auto_precision, precision_for


def test_what_was_asked_for_is_taken() -> None:
    assert precision_for("bfloat16", "cpu") == "bfloat16"
    assert precision_for("float32", "cuda") == "float32"
    assert precision_for("auto", "cpu") == auto_precision("cpu")


@pytest.mark.parametrize(
    ("vendor", "avx512_bf16", "amx", "expected"),
    [
        ("GenuineIntel", False, False, "float32"),
        ("GenuineIntel", True, False, "float32"),  # its bfloat16 instructions are no faster than float32's
        ("GenuineIntel", True, True, "bfloat16"),
        ("AuthenticAMD", False, False, "float32"),
        ("AuthenticAMD", True, False, "bfloat16"),
    ],
)
def test_processors(monkeypatch, tmp_path, vendor, avx512_bf16, amx, expected) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nvendor_id : {vendor}\n")
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert auto_precision("cpu") == expected


@pytest.mark.parametrize(
    ("capability", "hip", "expected"),
    [((7, 5), None, "float32"), ((8, 0), None, "bfloat16"), ((9, 0), None, "bfloat16"), ((9, 0), "6.2", "bfloat16")],
)
def test_gpus(monkeypatch, capability, hip, expected) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: {"cuda:1": capability}[device])
    monkeypatch.setattr(torch.version, "hip", hip)
    assert auto_precision("cuda:1") == expected


@pytest.mark.usefixtures("one_thread", "contract_holds")
def test_a_result_says_what_auto_stood_for(bench, tmp_path) -> None:
    arguments = ("-d", "synthetic[identities=24]", "--splits", "0", "--results", tmp_path, "--jobs", 1)
    output = bench("run", "-m", "bicubic+dgd", "-m", "bicubic+l2", *arguments, "--profile", "smoke")
    assert output.code == 0, output.err
    trained, closed_form = (
        json.loads(next(tmp_path.glob(f"*/{name}/split0*.json")).read_text()) for name in ("bicubic+dgd", "bicubic+l2")
    )
    assert trained["record"]["computed"]["precision"] == auto_precision("cpu")
    assert closed_form["record"]["computed"]["precision"] == ""
