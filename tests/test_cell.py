"""One cell from images to CMC, on the small drawn set, with methods and front-ends of the test's own."""

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from bench.engine.cache import Cache
from bench.engine.cell import evaluate
from bench.engine.data import Data, load
from bench.engine.identity import Cell
from bench.engine.matching import parameters_of, plain
from bench.engine.record import Computed, Sizes
from bench.engine.view import Setup, build_view, model_ratios
from bench.errors import BenchError, UsageError
from bench.plugin.base import Method
from bench.plugin.grammar import DatasetOptions
from bench.plugin.sigma import SigmaRule
from bench.plugin.spec import MethodSpec, dataset_spec, method_spec
from bench.protocol.fusion import ANCHORS, SIGMA_GRID
from bench.protocol.images import pack, unpack
from bench.protocol.resize import resize_all, scaled_length
from bench.protocol.splits import folds, gallery_draws, make_split
from tests.toys import Plain, spec

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
        np.testing.assert_allclose(outcome.cmc, cmc)
        assert outcome.map == pytest.approx(mean_precision)
        assert np.mean(1 / np.array(outcome.probe_ranks)) == pytest.approx(mean_precision)
        assert outcome.sizes == Sizes(12, 12, 12, 12, 1)

    def test_ratio_independent_models_are_fitted_once(self, data, cache) -> None:
        outcome = run(spec(Pixels), data, cache)
        assert len(FITS) == 1
        assert outcome.fusion == "identity"
        assert (outcome.sigma, outcome.subsets) == ({}, {})

    def test_methods_without_anchors_and_full_resolution_are_not_fused(self, data, cache) -> None:
        assert run(spec(Joint, None), data, cache).fusion == "none"
        full = replace(data, spec=replace(data.spec, dataset=replace(data.spec.dataset, attributes={})))
        assert run(spec(Noisy, None), full, cache).fusion == "none"
        assert len(FITS) == 2

    def test_gallery_draws_are_averaged(self, two_shots, cache) -> None:
        outcome = run(spec(Pixels), two_shots, cache)
        assert outcome.sizes.gallery_draws == 100
        test = make_split(two_shots.identities, 0, 0).test
        probe, gallery = (two_shots.identity[rows] for rows in sides(two_shots, test))
        draws = gallery_draws(gallery, 100, 0, 0)
        scores = [naive_scores(outcome.distances["all"][:, d], probe, gallery[d]) for d in draws]
        np.testing.assert_allclose(outcome.cmc, np.mean([s[0] for s in scores], axis=0))
        assert outcome.map == pytest.approx(np.mean([s[1] for s in scores]))

    def test_the_nearest_images_are_numbered_as_the_distances_are(self, two_shots, cache) -> None:
        outcome = run(spec(Pixels), two_shots, cache)
        test = make_split(two_shots.identities, 0, 0).test
        gallery = two_shots.identity[sides(two_shots, test)[1]]
        first = np.sort(gallery_draws(gallery, 100, 0, 0)[0])
        distances = outcome.distances["all"]
        assert [list(row) for row in outcome.nearest] == first[np.argsort(distances[:, first], axis=1)].tolist()


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
        assert list(outcome.subsets) == names
        assert list(outcome.sigma) == names[3:]
        assert set(outcome.sigma.values()) <= set(SIGMA_GRID)
        assert outcome.subsets[names[-1]].cmc == outcome.cmc
        assert list(outcome.distances) == names[:3]
        assert outcome.fusion == "weighted"

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
        assert outcome.sigma["1/2+1/3+1/4"] == best
        np.testing.assert_allclose(outcome.cmc, fused(split.test, best)[0])

    def test_a_given_sigma_needs_no_folds(self, data, cache) -> None:
        outcome = run(spec(Pixels, Marring, sigma=0.3), data, cache)
        assert len(FITS) == 3
        assert set(outcome.sigma.values()) == {0.3}

    @pytest.mark.parametrize(
        ("anchors", "fits", "subsets"), [("1/3", 1, ["1/3"]), ("1/2+1/4", 12, ["1/2", "1/4", "1/2+1/4"])]
    )
    def test_a_subset_of_the_anchors(self, data, cache, anchors, fits, subsets) -> None:
        whole = run(spec(Pixels, Marring, sigma=0.3), data, cache)
        FITS.clear()
        outcome = run(spec(Pixels, Marring, anchors=anchors), data, cache)
        assert len(FITS) == fits
        assert list(outcome.subsets) == subsets
        for name in subsets[: -1 or None]:
            assert outcome.subsets[name] == whole.subsets[name]

    def test_models_that_differ_by_their_seed_only(self, data, cache) -> None:
        first, again = (run(spec(Noisy, sigma=0.5), data, cache) for _ in range(2))
        assert first.cmc == again.cmc
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
        assert model_ratios(spec(method, frontend, **options), low_resolution) == expected


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
        (lambda d: d.astype(str), r"bad\.distances returned <U32; real numbers of at most 64 bits expected"),
        (lambda d: d * 1j, r"bad\.distances returned complex128; real numbers of at most 64 bits expected"),
        (lambda d: d.astype(np.longdouble), r"bad\.distances returned float128; real numbers of at most 64 bits"),
        (lambda d: d.astype(object), r"bad\.distances returned object; real numbers of at most 64 bits expected"),
        (lambda d: np.ma.masked_greater(d, 1), r"bad\.distances returned a masked array; a plain one"),
        (lambda d: list(np.ma.masked_greater(d, 1)), r"bad\.distances returned a masked array; a plain one"),
    ],
    ids=[
        "NaN",
        "infinite",
        "shape",
        "flat",
        "None",
        "strings",
        "complex",
        "longdouble",
        "objects",
        "masked",
        "masked rows",
    ],
)
def test_distances_that_are_none(data, cache, returned, message) -> None:
    with pytest.raises(BenchError, match=message):
        run(spec(Bad, parameters={"returned": returned}), data, cache)


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_any_real_numbers_will_do(data, cache, dtype) -> None:
    outcome = run(spec(Bad, parameters={"returned": lambda d: d.astype(dtype)}), data, cache)
    assert outcome.distances["all"].dtype == np.float64
    np.testing.assert_allclose(outcome.cmc, np.arange(1, 13) / 12, err_msg="a constant scores k / G")


def test_sources_are_named_by_all_that_makes_them(data, two_shots, cache, monkeypatch) -> None:
    def keys(some: Data, method: MethodSpec, ratio: Fraction | None, split: int = 0) -> dict[str, str]:
        view = build_view(some, method, cache, 0, split, make_split(some.identities, split, 0).train, ratios=(ratio,))
        return {side: view.sources[side, ratio].key for side in ("gallery", "probe", "shrunk")}

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
    monkeypatch.setattr("bench.engine.view.part_version", lambda part: 2)
    others.append(keys(data, spec(Pixels, Marring), half))
    assert len({o["probe"] for o in [base, *others]}) == 1 + len(others)
    assert others[-1]["gallery"] != base["gallery"], "the resize's version counts for the gallery"


class Places(Pixels):
    """Pixels, and a little of where an image stands: as sums in blocks, which depend on the position, would add."""

    name = "places"

    def distances(self, probe, gallery) -> np.ndarray:
        ASKED.append((probe, gallery))
        return (
            super().distances(probe, gallery) + 1e-13 * np.arange(len(gallery)) - 1e-13 * np.arange(len(probe))[:, None]
        )


ASKED: list = []
"""The images that `Places` was asked about."""


class TestEqualImages:
    @pytest.fixture
    def doubled(self, data) -> Data:
        """Gallery images of the second half of the people are those of the first half."""
        rows = np.flatnonzero(~data.probe)
        copied = np.arange(len(data.images))
        copied[rows[12:]] = rows[:12]
        images = unpack(np.concatenate(list(pack(data.images[int(i)] for i in copied))), len(copied))
        return replace(data, images=images, digest="doubled")

    def test_tie_exactly_and_are_asked_about_once(self, doubled, cache) -> None:
        ASKED.clear()
        outcome = run(spec(Places), doubled, cache)
        _, gallery = sides(doubled, make_split(doubled.identities, 0, 0).test)
        pixels = [doubled.images[int(i)].tobytes() for i in gallery]
        distinct = sorted(set(pixels), key=pixels.index)
        assert 6 <= len(distinct) < len(pixels) == 12, "some of the test people share an image"
        assert [len(images) for images in ASKED[0]] == [12, len(distinct)]
        columns = {image: [d for d, p in zip(outcome.distances["all"].T, pixels, strict=True) if p == image]
                   for image in distinct}  # fmt: skip
        assert all(np.array_equal(d, same[0]) for same in columns.values() for d in same)
        assert len({d[0].tobytes() for d in columns.values()}) == len(distinct)

    def test_seen_by_two_cameras_are_two_images(self, doubled, cache) -> None:
        ASKED.clear()
        other = replace(doubled, camera=np.array([f"c{i}" for i in range(len(doubled.images))]), digest="cameras")
        run(spec(Places), other, cache)
        assert len(ASKED[0][1]) == 12


def test_probes_and_gallery_come_in_orders_of_their_own(data, cache) -> None:
    ASKED.clear()
    for split in (0, 1):
        run(spec(Places), data, cache, split)
    orders = [
        [[image.tobytes() for image in map(np.asarray, data.images)].index(image.tobytes()) for image in images.native]
        for asked in ASKED
        for images in asked
    ]
    ranks = [np.argsort(np.argsort(order)).tolist() for order in orders]
    assert list(range(12)) not in ranks
    assert len({tuple(order) for order in ranks}) == 4, "another order for each side and split"


class TestShots:
    @pytest.mark.parametrize(("shots", "draws"), [(1, 100), (2, 1), (3, 1)])
    def test_auto_draws_once_where_there_is_no_choice(self, two_shots, cache, shots, draws) -> None:
        options = DatasetOptions(gallery_shots=shots)
        outcome = run(spec(Pixels), replace(two_shots, spec=replace(two_shots.spec, options=options)), cache)
        assert outcome.sizes.gallery_draws == draws
        assert ("gallery images a person" in outcome.protocol) == (shots > 1)

    def test_the_nearest_of_a_persons_images_counts(self, two_shots, cache) -> None:
        chosen = replace(two_shots, spec=replace(two_shots.spec, options=DatasetOptions(gallery_shots=2)))
        outcome = run(spec(Pixels), chosen, cache)
        probe, gallery = sides(chosen, make_split(chosen.identities, 0, 0).test)
        people = sorted(set(chosen.identity[gallery]))
        nearest = np.array([
            [min(d for d, g in zip(row, chosen.identity[gallery], strict=True) if g == person) for person in people]
            for row in outcome.distances["all"]
        ])  # fmt: skip
        cmc, mean_precision = naive_scores(nearest, chosen.identity[probe], np.array(people))
        np.testing.assert_allclose(outcome.cmc, cmc)
        assert outcome.map == pytest.approx(mean_precision)


class Huge(Noisy):
    name = "huge"

    def distances(self, probe, gallery) -> np.ndarray:
        return np.full((len(probe), len(gallery)), 1.5e308)


def test_fused_distances_must_be_finite(data, cache) -> None:
    with pytest.raises(BenchError, match=r"fused distances of huge are not finite: its distances reach 1\.5e\+308"):
        run(spec(Huge, sigma=1.0), data, cache)


@pytest.mark.parametrize("sigma", ["inf", "nan", "1e-170", "1e-320", "0", "-1", "1001"])
def test_sigma_is_a_sane_number(sigma) -> None:
    with pytest.raises(UsageError, match="the 'sigma' parameter of the harness must be") as error:
        method_spec(f"bicubic+xqda[sigma={sigma}]")
    assert "\n" not in str(error.value)


class Misruled(Noisy):
    name = "misruled"

    def sigma_rule(self, profile) -> SigmaRule:
        return SigmaRule(fixed=float("inf"))


def test_a_methods_own_sigma_is_checked(data, cache) -> None:
    with pytest.raises(BenchError, match=r"sigma is inf; it must lie between 0\.001 and 1000"):
        run(spec(Misruled), data, cache)


@pytest.mark.parametrize(
    ("curves", "stored"),
    [
        ({"loss": np.array([2.0, 1.0])}, {"loss": [2.0, 1.0]}),
        ({"loss": [np.float32(0.5), np.int64(3)]}, {"loss": [0.5, 3]}),
        ({1: {"a": (1, None, "x", True)}}, {"1": {"a": [1, None, "x", True]}}),
    ],
)
def test_curves_become_plain_values(curves, stored) -> None:
    assert plain(curves, "toy: curves_") == stored


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({"loss": [float("nan")]}, r"toy: curves_\['loss'\] has a value that is NaN or infinite"),
        ({"a": {"b": np.array([np.inf])}}, r"toy: curves_\['a'\]\['b'\] has a value that is NaN or infinite"),
        ({"loss": {1, 2}}, r"toy: curves_\['loss'\] has a value of type set"),
        ({"loss": 1j}, r"toy: curves_\['loss'\] has a value of type complex"),
    ],
)
def test_curves_that_cannot_be_stored(curves, message) -> None:
    with pytest.raises(BenchError, match=message):
        plain(curves, "toy: curves_")


class Unfitted(Pixels):
    name = "unfitted"
    fit = Method.fit


class Forgotten(Pixels):
    name = "forgotten"

    def fit(self, train) -> None:
        return None


def test_fit_may_be_absent_but_must_return_self(data, cache) -> None:
    assert run(spec(Unfitted), data, cache).cmc == run(spec(Pixels), data, cache).cmc
    with pytest.raises(BenchError, match=r"forgotten\.fit must return self, not NoneType"):
        run(spec(Forgotten), data, cache)


def test_an_outcome_becomes_a_record(data, cache) -> None:
    outcome = run(spec(Pixels, Marring, sigma=0.3), data, cache)
    by = Computed(None, {}, "a machine", "2026-01-01T00:00:00+00:00", 1)
    record = outcome.record(by, {"total_seconds": 1.0}, contract=True)
    assert (record.computed, record.contract, record.cmc, record.map) == (by, True, outcome.cmc, outcome.map)
    assert set(record.cost) == {"frontend_seconds", "fit_seconds", "match_seconds", "total_seconds"}
    assert "total_seconds" not in outcome.cost


class TestTrained:
    def run(self, data, cache, folder, profile, frontend=Coach):
        method = spec(Pupil, frontend)
        cell = Cell(method.text, data.spec.text, 0, 0, profile, data.digest, ("w" * 64,))
        setup = Setup(profile, weights=folder / "weights", initial=cell.weights, workspace=folder / "work")
        return evaluate(cell, method, data, cache, setup)

    def test_the_record_names_initialisation_and_curves_of_each_anchor(self, data, cache, tmp_path) -> None:
        outcome = self.run(data, cache, tmp_path, "quick")
        told = {"coach": "a guess", "pupil": "weights, quick"}
        assert outcome.initialisation == {"1/2": told, "1/3": told, "1/4": told}
        assert outcome.curves["1/4"] == {"pupil": {"loss": [2.0, 1.0]}}
        plain = run(spec(Pixels), data, cache)
        assert (plain.initialisation, plain.curves) == ({}, {})

    def test_sigma_follows_the_methods_rule(self, data, cache, tmp_path) -> None:
        fixed = self.run(data, cache, tmp_path / "a", "quick")
        assert set(fixed.sigma.values()) == {0.25}
        assert len(FITS) == 3
        FITS.clear()
        chosen = self.run(data, cache, tmp_path / "b", "paper")
        assert len(FITS) == 6, "three anchors, and once more on all but one of four parts of the training people"
        assert [len(set(t.probe.identity)) for t in FITS] == [12, 12, 12, 9, 9, 9]
        assert set(chosen.sigma.values()) <= set(SIGMA_GRID)

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


def test_parameters_of_networks_are_counted_for_all_anchors() -> None:
    """A layer of 3 x 2 weights and 2 biases, held by a method beside what is no network; none without networks."""
    method = Pixels()
    assert parameters_of([method]) == 0
    method.network_, method.numbers_ = torch.nn.Linear(3, 2), np.zeros(100)
    assert parameters_of([method, method]) == 2 * 8
