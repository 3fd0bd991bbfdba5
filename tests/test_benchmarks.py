"""The measurements that are run by hand still start."""

import importlib
from pathlib import Path

import pytest

SCRIPTS = sorted(p.stem for p in (Path(__file__).parent / "benchmarks").glob("*.py") if p.stem != "__init__")


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_finds_what_it_measures(script: str) -> None:
    assert importlib.import_module(f"tests.benchmarks.{script}").__doc__
