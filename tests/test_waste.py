"""A run of many rows from nothing: what it decodes, resizes, describes and factorises, it does once.

A front-end that learns is left out: it brings its own training images to size.
"""

import hashlib
import importlib
from collections import Counter

import numpy as np
import pytest

from bench.engine import cell, data, view
from methods import bicubic, bilinear
from methods._lomo import LOMO

METHODS = ("xqda", "nfst", "judea", "sld2l", "sdf")
ROWS = ("bi*+xqda", "bi*+nfst", "judea", "sld2l", "sdf")
FACTORISATIONS = ("eigh", "cholesky", "svd", "solve_triangular")


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes() + str(array.shape).encode()).hexdigest()


@pytest.fixture
def seen(monkeypatch) -> dict[str, Counter]:
    """By kind of work: on which input it was done how often."""
    seen: dict[str, Counter] = {kind: Counter() for kind in ("decode", "resize", "describe", "factorise")}

    def watch(owner, name, kind, inputs) -> None:
        function = getattr(owner, name)

        def watched(*args, **kwargs):
            seen[kind].update((name, key) for key in inputs(*args))
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, watched)

    # Cells share no factorisation: one of a fold's Gram matrix takes less time than the disk.
    doing = [""]
    fit_and_match = cell.fit_and_match

    def fitted(shown, *args, **kwargs):
        doing.append(f"{shown.spec.text} {shown.split}")
        return fit_and_match(shown, *args, **kwargs)

    monkeypatch.setattr(cell, "fit_and_match", fitted)

    def images(given, size, *how):
        return [(size, *how, digest(image)) for image in given]

    watch(LOMO, "__call__", "describe", lambda self, given: [(repr(self), digest(image)) for image in given])
    watch(data, "decode_all", "decode", lambda photos, _: [digest(photo.image) for photo in photos])
    watch(view, "resize_all", "resize", images)
    for module in (bilinear, bicubic):
        watch(module, "resize_all", "resize", images)
    for name in (*METHODS, "_gram", "_dictionaries"):
        module = importlib.import_module(f"methods.{name}")
        for function in FACTORISATIONS:
            if hasattr(module, function):
                watch(module, function, "factorise", lambda *given: [(doing[-1], *map(digest, given))])
    return seen


@pytest.mark.usefixtures("contract_holds", "one_thread")
def test_nothing_is_done_twice(bench, tmp_path, monkeypatch, seen) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    rows = [word for row in ROWS for word in ("-m", row)]
    chosen = ("-d", "synthetic[identities=24]", "--splits", "0-1", "--jobs", 1, "--results", tmp_path / "store")
    assert bench("run", *rows, *chosen).code == 0
    for kind, counter in seen.items():
        assert counter, f"nothing was watched that would {kind}"
        assert not [key for key, count in counter.items() if count > 1], kind
