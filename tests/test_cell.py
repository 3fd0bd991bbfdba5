"""One cell from images to CMC, on the small drawn set, with methods and front-ends of the test's own."""

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bench.engine import provenance
from bench.engine.cache import Cache
from bench.engine.cell import Cell, Means, View, evaluate, models
from bench.engine.data import Data, load
from bench.errors import BenchError
from bench.plugin.base import FrontEnd, Method, SigmaRule
from bench.plugin.grammar import DatasetOptions, MethodOptions
from bench.plugin.registry import Plugin
from bench.plugin.spec import MethodSpec, dataset_spec
from bench.protocol.fusion import ANCHORS, SIGMA_GRID
from bench.protocol.resize import resize_all, scaled_length
from bench.protocol.splits import folds, gallery_draws, make_split

SIZE = (16, 6)
FITS: list = []
"""Every `Train` that a toy method was fitted on, in order."""
TOLD: list = []
"""The `Upscaling` of each front-end that says what its training was."""
LEARNT: list = []
"""What each learning front-end was fitted on: (ratio, images, seed)."""


class Pixels(Method):
    """Euclidean distance of pixels; nothing is learnt."""

    name = "pixels"
    input_size = SIZE

    def fit(self, train) -> "Pixels":
        FITS.append(train)
        return self

    def distances(self, probe, gallery) -> np.ndarray:
        return pixel_distances(probe.array(), gallery.array())


class Noisy(Pixels):
    """Another model for each anchor, by its seed."""

    name = "noisy"
    ratio_dependent = True

    def distances(self, probe, gallery) -> np.ndarray:
        noise = np.random.default_rng(FITS[-1].seed).normal(size=(len(probe), len(gallery)))
        return super().distances(probe, gallery) + noise


class Joint(Pixels):
    name = "joint"
    scales = "own"
    anchored = False


class Bad(Method):
    name = "bad"
    input_size = SIZE

    def __init__(self, returned: object = None) -> None:
        self.returned = returned

    def fit(self, train) -> "Bad":
        return self

    def distances(self, probe, gallery) -> np.ndarray:
        return self.returned(np.ones((len(probe), len(gallery))))


class Plain(FrontEnd):
    name = "plain"

    def upscale(self, images, size) -> np.ndarray:
        return resize_all(images, size)


class Marring(Plain):
    """Knows its ratio without learning: turns some images into negatives, others for each ratio."""

    name = "marring"
    ratio_dependent = True

    def fit(self, train) -> "Marring":
        assert len(train.images) == 0
        self.ratio_ = train.ratio
        return self

    def upscale(self, images, size) -> np.ndarray:
        return marred(resize_all(images, size), self.ratio_)


class Learner(Plain):
    """Adds to every image a number that it learns."""

    name = "learner"
    learns = True

    def fit(self, train) -> "Learner":
        LEARNT.append((train.ratio, list(train.images), train.seed))
        self.offset_ = int(np.mean([i.mean() for i in train.images])) // train.ratio.denominator
        return self

    def upscale(self, images, size) -> np.ndarray:
        return (resize_all(images, size) // 2 + self.offset_ // 2).astype(np.uint8)


class Coach(Learner):
    """A learning front-end that says what its training was."""

    name = "coach"
    profiles = True

    def fit(self, train) -> "Coach":
        TOLD.append(train)
        self.initialisation_ = "a guess"
        return super().fit(train)


class Pupil(Pixels):
    """Trained without sigma's folds, from a file; keeps a note in its workspace."""

    name = "pupil"
    ratio_dependent = True
    profiles = True

    def sigma_rule(self, profile) -> SigmaRule:
        return SigmaRule(fixed=0.25) if profile == "quick" else SigmaRule(folds=4, held_out=1)

    def fit(self, train) -> "Pupil":
        train.workspace.mkdir(parents=True)
        self.initialisation_ = f"{train.weights.name}, {train.profile}"
        self.curves_ = {"loss": [2.0, 1.0]}
        return super().fit(train)


def marred(images: np.ndarray, ratio: Fraction) -> np.ndarray:
    """Turn some images into negatives, others for each ratio."""
    coins = [np.random.default_rng([ratio.denominator, int(i.sum())]).integers(2) for i in images]
    return np.array([255 - i if coin else i for i, coin in zip(images, coins, strict=True)])


def pixel_distances(probe: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    p, g = (a.reshape(len(a), -1).astype(float) for a in (probe, gallery))
    return np.array([[math.dist(x, y) for y in g] for x in p])


def plugin(kind: str, cls: type) -> Plugin:
    attributes = {k: v for base in reversed(cls.__mro__) for k, v in vars(base).items() if isinstance(v, bool | str)}
    return Plugin(cls.name, kind, __name__, cls.__name__, "", "", attributes)


def spec(method: type, frontend: type | None = Plain, parameters: dict | None = None, **options) -> MethodSpec:
    """A method behind a front-end, as the registry and the grammar would make it."""
    front = plugin("frontend", frontend) if frontend else None
    text = f"{frontend.name}+{method.name}" if frontend else method.name
    return MethodSpec(text, plugin("method", method), parameters or {}, front, {}, MethodOptions(**options))


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def data(cache) -> Data:
    return load(dataset_spec("synthetic[identities=24]"), None, 0, cache)


@pytest.fixture(scope="module")
def two_shots(cache) -> Data:
    return load(dataset_spec("synthetic[identities=12,images_per_camera=2]"), None, 0, cache)


@pytest.fixture(autouse=True)
def forget() -> None:
    FITS.clear()
    LEARNT.clear()
    TOLD.clear()


def run(method: MethodSpec, data: Data, cache: Cache, split: int = 0):
    return evaluate(Cell(method.text, data.spec.text, split, 0, "paper", data.digest), method, data, cache)


def naive_scores(distances: np.ndarray, probe: np.ndarray, gallery: np.ndarray) -> tuple[list[float], float]:
    """CMC and mAP by sorting; there must be no ties."""
    ranks = []
    for row, person in zip(distances, probe, strict=True):
        assert len(set(row)) == len(row)
        ranks.append(1 + [gallery[i] for i in np.argsort(row)].index(person))
    cmc = [sum(r <= k for r in ranks) / len(ranks) for k in range(1, len(gallery) + 1)]
    return cmc, sum(1 / r for r in ranks) / len(ranks)


def sides(data: Data, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the probe and gallery images of some people."""
    wanted = np.isin(data.identity, people)
    return np.flatnonzero(wanted & data.probe), np.flatnonzero(wanted & ~data.probe)


class TestOneModel:
    def test_equals_the_plain_computation(self, data, cache) -> None:
        outcome = run(spec(Pixels), data, cache)
        split = make_split(data.identities, 0, 0)
        probe, gallery = sides(data, split.test)
        expected = pixel_distances(
            resize_all([data.images[i] for i in probe], SIZE), resize_all([data.images[i] for i in gallery], SIZE)
        )
        np.testing.assert_allclose(outcome.distances["all"], expected)
        cmc, mean_precision = naive_scores(expected, data.identity[probe], data.identity[gallery])
        np.testing.assert_allclose(outcome.record["cmc"], cmc)
        assert outcome.record["map"] == pytest.approx(mean_precision)
        assert np.mean(1 / np.array(outcome.record["probe_ranks"])) == pytest.approx(mean_precision)
        assert outcome.record["sizes"] == {
            "train_people": 12, "test_people": 12, "probes": 12, "gallery_images": 12, "gallery_draws": 1,
        }  # fmt: skip

    def test_ratio_independent_models_are_fitted_once(self, data, cache) -> None:
        outcome = run(spec(Pixels), data, cache)
        assert len(FITS) == 1
        assert outcome.record["fusion"] == "identity"
        assert not {"sigma", "subsets"} & set(outcome.record)

    def test_methods_without_anchors_and_full_resolution_are_not_fused(self, data, cache) -> None:
        assert run(spec(Joint, None), data, cache).record["fusion"] == "none"
        full = replace(data, spec=replace(data.spec, dataset=replace(data.spec.dataset, attributes={})))
        assert run(spec(Noisy, None), full, cache).record["fusion"] == "none"
        assert len(FITS) == 2

    def test_gallery_draws_are_averaged(self, two_shots, cache) -> None:
        outcome = run(spec(Pixels), two_shots, cache)
        assert outcome.record["sizes"]["gallery_draws"] == 100
        test = make_split(two_shots.identities, 0, 0).test
        probe, gallery = (two_shots.identity[rows] for rows in sides(two_shots, test))
        draws = gallery_draws(gallery, 100, 0, 0)
        scores = [naive_scores(outcome.distances["all"][:, d], probe, gallery[d]) for d in draws]
        np.testing.assert_allclose(outcome.record["cmc"], np.mean([s[0] for s in scores], axis=0))
        assert outcome.record["map"] == pytest.approx(np.mean([s[1] for s in scores]))


class TestAnchors:
    def test_every_anchor_and_fold_is_fitted_and_no_test_person_is_seen(self, two_shots, cache) -> None:
        few_draws = replace(two_shots, spec=replace(two_shots.spec, options=DatasetOptions(gallery_draws=2)))
        run(spec(Pixels, Marring), few_draws, cache)
        split = make_split(two_shots.identities, 0, 0)
        assert Counter(t.ratio for t in FITS) == dict.fromkeys(ANCHORS, 1 + 5)
        assert len({t.seed for t in FITS}) == len(FITS)
        held_out = []
        for train in FITS:
            people = set(train.gallery.identity)
            assert people == set(train.probe.identity) == set(train.synthetic.identity)
            assert people <= set(split.train)
            held_out.append(sorted(set(split.train) - people))
        assert held_out[:3] == [[], [], []], "first the models that are tested"
        assert Counter(p for some in held_out for p in some) == dict.fromkeys(split.train, 3), "once per anchor"

    def test_the_record_of_a_fused_cell(self, data, cache) -> None:
        outcome = run(spec(Pixels, Marring), data, cache)
        names = ["1/2", "1/3", "1/4", "1/2+1/3", "1/2+1/4", "1/3+1/4", "1/2+1/3+1/4"]
        assert list(outcome.record["subsets"]) == names
        assert list(outcome.record["sigma"]) == names[3:]
        assert set(outcome.record["sigma"].values()) <= set(SIGMA_GRID)
        assert outcome.record["subsets"][names[-1]]["cmc"] == outcome.record["cmc"]
        assert list(outcome.distances) == names[:3]
        assert outcome.record["fusion"] == "weighted"

    def test_sigma_and_ranks_equal_the_naive_computation(self, data, cache) -> None:
        outcome = run(spec(Pixels, Marring), data, cache)
        split = make_split(data.identities, 0, 0)

        def fused(people: np.ndarray, sigma: float) -> tuple[list[float], float]:
            probe, gallery = sides(data, people)
            areas = [i.shape[0] * i.shape[1] for i in data.images]
            mean_area = sum(areas[g] for g in gallery) / len(gallery)
            shown = resize_all([data.images[i] for i in gallery], SIZE)
            total = np.zeros((len(probe), len(gallery)))
            for m in ANCHORS:
                d = pixel_distances(marred(resize_all([data.images[i] for i in probe], SIZE), m), shown)
                for row, p in enumerate(probe):
                    r = math.sqrt(areas[p] / mean_area)
                    total[row] += math.exp(-((r - float(m)) ** 2) / sigma**2) * d[row]
            return naive_scores(total, data.identity[probe], data.identity[gallery])

        scores = {}
        for sigma in SIGMA_GRID:
            parts = [fused(held_out, sigma) for _, held_out in folds(split.train, 5, 0, 0)]
            scores[sigma] = (np.mean([c[0] for c, _ in parts]), np.mean([p for _, p in parts]), sigma)
        best = max(scores, key=lambda s: tuple(np.round(scores[s], 9)))
        assert len({v[:2] for v in scores.values()}) > 1, "sigma matters here"
        assert outcome.record["sigma"]["1/2+1/3+1/4"] == best
        np.testing.assert_allclose(outcome.record["cmc"], fused(split.test, best)[0])

    def test_a_given_sigma_needs_no_folds(self, data, cache) -> None:
        outcome = run(spec(Pixels, Marring, sigma=0.3), data, cache)
        assert len(FITS) == 3
        assert set(outcome.record["sigma"].values()) == {0.3}

    @pytest.mark.parametrize(
        ("anchors", "fits", "subsets"), [("1/3", 1, ["1/3"]), ("1/2+1/4", 12, ["1/2", "1/4", "1/2+1/4"])]
    )
    def test_a_subset_of_the_anchors(self, data, cache, anchors, fits, subsets) -> None:
        whole = run(spec(Pixels, Marring, sigma=0.3), data, cache)
        FITS.clear()
        outcome = run(spec(Pixels, Marring, anchors=anchors), data, cache)
        assert len(FITS) == fits
        assert list(outcome.record["subsets"]) == subsets
        for name in subsets[: -1 or None]:
            assert outcome.record["subsets"][name] == whole.record["subsets"][name]

    def test_models_that_differ_by_their_seed_only(self, data, cache) -> None:
        first, again = (run(spec(Noisy, sigma=0.5), data, cache) for _ in range(2))
        assert first.record["cmc"] == again.record["cmc"]
        d = first.distances
        assert not np.allclose(d["1/2"], d["1/3"])
        assert not np.allclose(run(spec(Noisy, sigma=0.5), data, cache, split=1).distances["1/2"], d["1/2"])

    @pytest.mark.parametrize(
        ("method", "frontend", "options", "low_resolution", "expected"),
        [
            (Pixels, Plain, {}, True, (None,)),
            (Pixels, Marring, {}, True, ANCHORS),
            (Pixels, Learner, {}, True, ANCHORS),
            (Noisy, Plain, {}, True, ANCHORS),
            (Noisy, Plain, {"anchors": "1/2+1/4"}, True, (ANCHORS[0], ANCHORS[2])),
            (Pixels, Plain, {"synthetic_lr": True}, True, ANCHORS),
            (Joint, None, {}, True, (None,)),
            (Noisy, None, {}, False, (None,)),
        ],
    )
    def test_which_models_there_are(self, method, frontend, options, low_resolution, expected) -> None:
        assert models(spec(method, frontend, **options), low_resolution) == expected


class TestTrainingImages:
    def test_synthetic_images_are_gallery_images_shrunk(self, data, cache) -> None:
        run(spec(Pixels, Marring, sigma=0.5), data, cache)
        for train in FITS:
            height, width = (scaled_length(n, train.ratio) for n in (128, 48))
            assert {i.shape for i in train.synthetic.native} == {(height, width, 3)}
            assert {i.shape for i in train.gallery.native} == {(128, 48, 3)}
            assert np.array_equal(train.synthetic.identity, train.gallery.identity)
            expected = marred(resize_all(resize_all(train.gallery.native, (height, width)), SIZE), train.ratio)
            assert np.array_equal(train.synthetic.array(), expected)
            assert np.array_equal(train.gallery.array(), resize_all(train.gallery.native, SIZE))
            assert np.array_equal(train.probe.array(), marred(resize_all(train.probe.native, SIZE), train.ratio))

    def test_synthetic_lr_adds_them_to_the_gallery(self, data, cache) -> None:
        run(spec(Pixels, synthetic_lr=True, sigma=0.5), data, cache)
        assert [t.ratio for t in FITS] == list(ANCHORS)
        for train in FITS:
            assert len(train.gallery) == 24
            assert np.array_equal(train.gallery.identity[:12], train.gallery.identity[12:])
            assert np.array_equal(train.gallery.array()[12:], train.synthetic.array())
            assert {i.shape[0] for i in train.gallery.native[12:]} == {scaled_length(128, train.ratio)}
            assert len(train.probe) == 12

    def test_one_model_for_all_has_no_synthetic_images(self, data, cache) -> None:
        run(spec(Pixels), data, cache)
        assert (FITS[0].ratio, FITS[0].synthetic, FITS[0].profile, FITS[0].device) == (None, None, "paper", "cpu")

    def test_a_learning_frontend_sees_the_training_gallery_only(self, two_shots, cache) -> None:
        outcome = run(spec(Pixels, Learner, sigma=0.5), two_shots, cache)
        _, gallery = sides(two_shots, make_split(two_shots.identities, 0, 0).train)
        assert [ratio for ratio, _, _ in LEARNT] == list(ANCHORS)
        assert len({seed for _, _, seed in LEARNT}) == 3
        for _, images, _ in LEARNT:
            assert len(images) == len(gallery) == 12
            assert all(np.array_equal(image, two_shots.images[i]) for image, i in zip(images, gallery, strict=True))
        assert not np.allclose(outcome.distances["1/2"], outcome.distances["1/4"])


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda d: d * np.nan, r"bad\.distances returned 144 values that are NaN or infinite"),
        (lambda d: np.where(np.eye(12), -np.inf, d), r"bad\.distances returned 12 values that are NaN or infinite"),
        (lambda d: d.T[:, :-1], r"bad\.distances returned shape \(12, 11\); \(12, 12\) \(probes, gallery\) expected"),
        (lambda d: d.ravel(), r"bad\.distances returned shape \(144,\)"),
        (lambda d: None, r"bad\.distances returned shape \(\)"),
        (lambda d: d.astype(str), r"bad\.distances returned <U32; real numbers expected"),
        (lambda d: d * 1j, r"bad\.distances returned complex128; real numbers expected"),
        (lambda d: d.astype(object), r"bad\.distances returned object; real numbers expected"),
    ],
    ids=["NaN", "infinite", "shape", "flat", "None", "strings", "complex", "objects"],
)
def test_distances_that_are_none(data, cache, returned, message) -> None:
    with pytest.raises(BenchError, match=message):
        run(spec(Bad, parameters={"returned": returned}), data, cache)


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_any_real_numbers_will_do(data, cache, dtype) -> None:
    outcome = run(spec(Bad, parameters={"returned": lambda d: d.astype(dtype)}), data, cache)
    assert outcome.distances["all"].dtype == np.float64
    np.testing.assert_allclose(outcome.record["cmc"], np.arange(1, 13) / 12, err_msg="a constant scores k / G")


def test_sources_are_named_by_all_that_makes_them(data, two_shots, cache, monkeypatch) -> None:
    def keys(some: Data, method: MethodSpec, ratio: Fraction | None, split: int = 0) -> dict[str, str]:
        view = View(some, method, cache, 0, split)
        view.fit_frontend(ratio, make_split(some.identities, split, 0).train)
        return {side: view.source(side, ratio).key for side in ("gallery", "probe", "shrunk")}

    half, quarter = ANCHORS[0], ANCHORS[2]
    base = keys(data, spec(Pixels, Marring), half)
    assert len(set(base.values())) == 3
    assert keys(data, spec(Noisy, Marring), half) == base, "methods of one input size share them"
    assert keys(data, spec(Pixels, Marring), half, split=1) == base, "and so do splits"
    others = [
        keys(data, spec(Pixels, Marring), quarter),
        keys(data, spec(Pixels, Plain), half),
        keys(data, spec(Pixels, Learner), half),
        keys(data, spec(Pixels, Learner), half, split=1),
        keys(two_shots, spec(Pixels, Marring), half),
    ]
    monkeypatch.setattr("bench.engine.cell.code_hash", lambda modules: f"changed {modules}")
    others.append(keys(data, spec(Pixels, Marring), half))
    assert len({o["probe"] for o in [base, *others]}) == 1 + len(others)
    assert others[-1]["gallery"] != base["gallery"], "the resize's code counts for the gallery"


class TestCodeHash:
    """The hash of what a result was computed by, on a tree of the test's own."""

    FILES = {
        "methods/toy.py": '"""Doc."""\nimport numpy\nfrom methods._part import helper\n\nclass Toy:\n    """Doc."""\n\n'
        "    def fit(self, x):\n        return helper(x, 'text') + 1\n",
        "methods/_part.py": "from .deep import depth\n\ndef helper(x, y):\n    import bench.inner\n    return depth\n",
        "methods/deep.py": "depth = 3\n",
        "methods/other.py": "unrelated = 1\n",
        "bench/inner.py": "import bench.errors\nimport os.path\nfrom . import below\n",
        "bench/below.py": "value = 1\n",
        "bench/errors.py": "class Plumbing(Exception): pass\n",
    }

    @pytest.fixture
    def hash_with(self, tmp_path, monkeypatch):
        """The hash of `methods.toy` when some files are as given and the others as in FILES."""
        monkeypatch.setattr(provenance, "ROOT", tmp_path)

        def compute(changed: dict[str, str]) -> str:
            for name, text in {**self.FILES, **changed}.items():
                (tmp_path / name).parent.mkdir(exist_ok=True)
                (tmp_path / name).write_text(text)
            provenance.parsed.cache_clear()
            provenance.code_hash.cache_clear()
            return provenance.code_hash(("methods.toy",))

        yield compute
        provenance.parsed.cache_clear()
        provenance.code_hash.cache_clear()

    @pytest.mark.parametrize(
        ("name", "old", "new"),
        [
            ("methods/toy.py", "\nclass", "\n# a comment\n\n\nclass"),
            ("methods/toy.py", '"""Doc."""', '"""Another text,\n    of two lines."""'),
            ("methods/toy.py", '    """Doc."""\n', ""),
            ("methods/toy.py", "'text') + 1", '"text",\n        ) + (1)'),
            ("methods/toy.py", "return", "return  "),
            ("methods/other.py", "1", "2"),
            ("bench/errors.py", "pass", "text = 'another message'"),
        ],
        ids=["comment", "docstring", "no docstring", "layout", "spaces", "unrelated file", "plumbing"],
    )
    def test_ignores(self, hash_with, name, old, new) -> None:
        assert old in self.FILES[name]
        assert hash_with({name: self.FILES[name].replace(old, new)}) == hash_with({})

    @pytest.mark.parametrize(
        ("name", "old", "new"),
        [
            ("methods/toy.py", "+ 1", "+ 2"),
            ("methods/toy.py", "'text'", "'texT'"),
            ("methods/toy.py", "+ 1", "- 1"),
            ("methods/toy.py", "fit(self, x)", "fit(self, x=None)"),
            ("methods/_part.py", "return depth", "return -depth"),
            ("methods/deep.py", "3", "4"),
            ("methods/deep.py", "3", "3.0"),
            ("bench/inner.py", "import os.path", "import os"),
            ("bench/below.py", "1", "2"),
        ],
        ids=["number", "string", "operator", "default", "imported", "relative import", "type", "import in a function",
             "from . import"],
    )  # fmt: skip
    def test_sees(self, hash_with, name, old, new) -> None:
        assert old in self.FILES[name]
        assert hash_with({name: self.FILES[name].replace(old, new)}) != hash_with({})

    def test_the_order_of_modules_does_not_matter_but_which_there_are_does(self, hash_with) -> None:
        hash_with({})
        assert provenance.code_hash(("methods.toy", "methods.other")) == provenance.code_hash(
            ("methods.other", "methods.toy")
        )
        assert provenance.code_hash(("methods.other",)) != provenance.code_hash(("methods.toy",))


class TestTrained:
    def run(self, data, cache, folder, profile, frontend=Coach):
        method = spec(Pupil, frontend)
        cell = Cell(method.text, data.spec.text, 0, 0, profile, data.digest, "w" * 64)
        means = Means(profile, weights=folder / "weights", initial=cell.weights, workspace=folder / "work")
        return evaluate(cell, method, data, cache, means)

    def test_the_record_names_initialisation_and_curves_of_each_anchor(self, data, cache, tmp_path) -> None:
        record = self.run(data, cache, tmp_path, "quick").record
        told = {"coach": "a guess", "pupil": "weights, quick"}
        assert record["initialisation"] == {"1/2": told, "1/3": told, "1/4": told}
        assert record["curves"]["1/4"] == {"pupil": {"loss": [2.0, 1.0]}}
        plain = run(spec(Pixels), data, cache).record
        assert not {"initialisation", "curves"} & set(plain)

    def test_sigma_follows_the_methods_rule(self, data, cache, tmp_path) -> None:
        fixed = self.run(data, cache, tmp_path / "a", "quick").record
        assert set(fixed["sigma"].values()) == {0.25}
        assert len(FITS) == 3
        FITS.clear()
        chosen = self.run(data, cache, tmp_path / "b", "paper").record
        assert len(FITS) == 6, "three anchors, and once more on all but one of four parts of the training people"
        assert [len(set(t.probe.identity)) for t in FITS] == [12, 12, 12, 9, 9, 9]
        assert set(chosen["sigma"].values()) <= set(SIGMA_GRID)

    def test_every_model_has_a_workspace_of_its_own(self, data, cache, tmp_path) -> None:
        self.run(data, cache, tmp_path, "paper")
        folders = [t.workspace for t in FITS]
        assert len(set(folders)) == 6
        assert {f.parent for f in folders} == {tmp_path / "work"}

    def test_a_frontend_is_told_all_and_its_workspace_is_named_by_all(self, data, cache, tmp_path) -> None:
        self.run(data, cache, tmp_path / "a", "quick")
        self.run(data, cache, tmp_path / "b", "paper")
        told = [(t.ratio, t.size, t.profile, t.device, t.weights.name) for t in TOLD]
        assert told == [(m, SIZE, p, "cpu", "weights") for p in ("quick", "paper") for m in ANCHORS]
        assert len({t.workspace for t in TOLD}) == 6
        assert all(cache.folder in t.workspace.parents for t in TOLD)
