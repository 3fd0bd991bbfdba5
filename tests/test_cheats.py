"""Methods that look for the answer: each fails, is at chance level, or is refused by the contract."""

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.engine.cache import Cache
from bench.engine.cell import evaluate
from bench.engine.contract import broken, check_spec, clauses
from bench.engine.data import Data, load
from bench.engine.identity import Cell
from bench.engine.view import View
from bench.errors import BenchError
from bench.plugin.base import Method
from bench.plugin.spec import dataset_spec
from bench.protocol.images import Images
from tests.toys import spec

SIZE = (8, 4)
PEOPLE = 60
CHANCE = 2 / PEOPLE
SEEN: dict[bytes, int] = {}
"""What a method may keep where no model of it is asked: pixels that some fit saw, and who they show."""


class Toy(Method):
    input_size = SIZE


class ComparesIdentities(Toy):
    name = "compares_identities"

    def distances(self, probe, gallery) -> np.ndarray:
        return (probe.identity[:, None] != gallery.identity).astype(float)


class ComparesPlaces(Toy):
    name = "compares_places"

    def distances(self, probe, gallery) -> np.ndarray:
        return np.abs(np.arange(len(probe))[:, None] - np.arange(len(gallery))).astype(float)


class Diagonal(Toy):
    name = "diagonal"

    def distances(self, probe, gallery) -> np.ndarray:
        return 1 - np.eye(len(probe), len(gallery))


class RowsOfNative(Toy):
    name = "rows_of_native"

    def distances(self, probe, gallery) -> np.ndarray:
        return np.abs(probe.native.rows[:, None] - gallery.native.rows).astype(float)


class PartsOfImages(Toy):
    name = "parts_of_images"

    def distances(self, probe, gallery) -> np.ndarray:
        return np.abs(probe.parts[0][1][:, None] - gallery.parts[0][1]).astype(float)


class PrivateParts(Toy):
    """Where the images lie in their sources, whose orders are seeded as well."""

    name = "private_parts"

    def distances(self, probe, gallery) -> np.ndarray:
        return np.abs(probe._parts[0][1][:, None] - gallery._parts[0][1]).astype(float)


class CountingExtractor:
    """Numbers the images in the order in which it is shown them."""

    def __init__(self) -> None:
        self.seen = 0

    def __repr__(self) -> str:
        return "CountingExtractor()"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.seen += len(images)
        return np.arange(self.seen - len(images), self.seen, dtype=np.float32)[:, None]


class CountsWhileExtracting(Toy):
    name = "counts_while_extracting"

    def distances(self, probe, gallery) -> np.ndarray:
        p, g = (images.features(CountingExtractor())[:, 0].astype(float) for images in (probe, gallery))
        return np.abs(p[:, None] - g)


class Addresses(Toy):
    """Where in memory the images lie."""

    name = "addresses"

    def distances(self, probe, gallery) -> np.ndarray:
        p, g = (
            np.array([image.__array_interface__["data"][0] for image in map(memory_of, images.native)], float)
            for images in (probe, gallery)
        )
        return np.abs(p[:, None] - g)


def memory_of(image: np.ndarray) -> np.ndarray:
    while isinstance(image.base, np.ndarray):
        image = image.base
    return image


class ReadsClosures(Toy):
    """The data set's rows, from the function that reads native images."""

    name = "reads_closures"

    def distances(self, probe, gallery) -> np.ndarray:
        p, g = (closed_over(images.native._read)["rows"] for images in (probe, gallery))
        return np.abs(p[:, None] - g).astype(float)


def closed_over(function) -> dict:
    cells = zip(function.__code__.co_freevars, function.__closure__, strict=True)
    return {name: cell.cell_contents for name, cell in cells}


class Labels(Toy):
    """Asks some data set that it got hold of who the images show."""

    data: Callable[[], Data]

    def distances(self, probe, gallery) -> np.ndarray:
        data = self.data()
        known = {image.tobytes(): i for image, i in zip(data.images, data.identity, strict=True)}
        p, g = (np.array([known[image.tobytes()] for image in images.native]) for images in (probe, gallery))
        return (p[:, None] != g).astype(float)


class LabelsThroughTrain(Labels):
    """The data set that the training images come from."""

    name = "labels_through_train"

    def fit(self, train) -> "LabelsThroughTrain":
        self.data = lambda: closed_over(train.gallery.native._read)["data"]
        return self


class LabelsThroughFrames(Labels):
    """The data set that the harness has at hand where it calls."""

    name = "labels_through_frames"

    def data(self) -> Data:
        frame = sys._getframe()
        while not isinstance(frame.f_locals.get("view"), View):
            frame = frame.f_back
        return frame.f_locals["view"].data


class LabelsThroughMemory(Labels):
    """The data set most recently made."""

    name = "labels_through_memory"

    def data(self) -> Data:
        return next(o for o in gc.get_objects() if isinstance(o, View)).data


class RowsThroughTrain(Toy):
    """Finds the images among all of the data set: people's images lie side by side."""

    name = "rows_through_train"

    def fit(self, train) -> "RowsThroughTrain":
        self.read = lambda: closed_over(train.gallery.native._read)["data"].images
        return self

    def distances(self, probe, gallery) -> np.ndarray:
        place = {image.tobytes(): i for i, image in enumerate(self.read())}
        p, g = (np.array([place[image.tobytes()] for image in images.native]) for images in (probe, gallery))
        return np.abs(p[:, None] - g).astype(float)


class RemembersFit(Toy):
    """Keeps whom every fit saw: people of this cell's test were another's training."""

    name = "remembers_fit"

    def fit(self, train) -> "RemembersFit":
        for images in (train.gallery, train.probe):
            SEEN.update({pixels.tobytes(): i for pixels, i in zip(images.array(), images.identity, strict=True)})
        return self

    def distances(self, probe, gallery) -> np.ndarray:
        p, g = (
            np.array([SEEN.get(pixels.tobytes(), -1 - k) for pixels in images.array()])
            for k, images in enumerate((probe, gallery))
        )
        return (p[:, None] != g).astype(float)


class Learned:
    """A feature that names whom a fit has seen; what it is called says nothing of that."""

    def __init__(self, known: dict[bytes, int]) -> None:
        self.known = known

    def __repr__(self) -> str:
        return "Learned()"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.array([[self.known.get(image.tobytes(), -1)] for image in images], np.float32)


class LabelsAsFeatures(Toy):
    """Features that were learned: kept for all images, they would serve the test of the next split."""

    name = "labels_as_features"
    extractor: type = Learned

    def fit(self, train) -> "LabelsAsFeatures":
        known: dict[bytes, int] = {}
        for images in (train.gallery, train.probe):
            known.update((p.tobytes(), int(i)) for p, i in zip(images.array(), images.identity, strict=True))
        self.feature = self.extractor(known)
        for images in (train.gallery, train.probe):
            images.features(self.feature)
        return self

    def distances(self, probe, gallery) -> np.ndarray:
        p, g = (images.features(self.feature)[:, 0] for images in (probe, gallery))
        return ((p[:, None] != g) | (p[:, None] < 0)).astype(float)


class Hidden(Learned):
    """Keeps what it learned where nothing finds it."""

    def __init__(self, known: dict[bytes, int]) -> None:
        HIDDEN[0] = known

    @property
    def known(self) -> dict[bytes, int]:
        return HIDDEN[0]


HIDDEN: list[dict[bytes, int]] = [{}]


class HiddenLabelsAsFeatures(LabelsAsFeatures):
    name = "hidden_labels_as_features"
    extractor = Hidden


class FileNames(Toy):
    """Whatever the images say of files."""

    name = "file_names"

    def distances(self, probe, gallery) -> np.ndarray:
        names = [[str(image.filename) for image in images.native] for images in (probe, gallery)]
        return np.array([[float(a != b) for b in names[1]] for a in names[0]])


class WholeGallery(Toy):
    """A probe's distances in units of all probes' mean: statistics of test images, undeclared."""

    name = "whole_gallery"

    def distances(self, probe, gallery) -> np.ndarray:
        d = np.abs(probe.array().mean(axis=(1, 2, 3))[:, None] - gallery.array().mean(axis=(1, 2, 3)))
        return d / d.mean()


class Declared(WholeGallery):
    name = "declared"
    transductive = True


class Honest(Toy):
    name = "honest"

    def distances(self, probe, gallery) -> np.ndarray:
        p, g = (images.array().reshape(len(images), -1).astype(float) for images in (probe, gallery))
        return np.abs(p[:, None] - g).sum(axis=2)


class Looks(Honest):
    """Keeps what it is given."""

    name = "looks"

    def distances(self, probe, gallery) -> np.ndarray:
        LOOKED.extend([probe, gallery])
        return super().distances(probe, gallery)


LOOKED: list[Images] = []
"""What `Looks` was given."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def data(cache) -> Data:
    return load(dataset_spec(f"synthetic[identities={2 * PEOPLE}]"), None, 0, cache)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    SEEN.clear()
    gc.collect()


def rank_one(method: type, data: Data, cache: Cache) -> float:
    chosen = spec(method)
    return evaluate(Cell(chosen.text, data.spec.text, 0, 0, "paper", data.digest), chosen, data, cache).cmc[0]


def problem_with(method: type, clause: str, cache: Cache) -> str | None:
    """What one clause of the contract says of a method."""
    for name, check, needed in clauses(spec(method), cache):
        if needed or clause in name:
            problem = broken(spec(method), check)
            if clause in name:
                return problem
    raise AssertionError(f"no clause {clause!r}")


def test_asking_for_identities_says_why_there_are_none(data, cache) -> None:
    with pytest.raises(BenchError, match="have no identity: who they show is what a method must find out"):
        rank_one(ComparesIdentities, data, cache)
    problem = problem_with(ComparesIdentities, "finite", cache)
    assert "have no identity" in problem
    assert problem.count("test_cheats.py, line") == 1


@pytest.mark.parametrize("method", [RowsOfNative, PartsOfImages, FileNames], ids=lambda m: m.name)
def test_there_are_no_row_numbers_and_no_file_names(data, cache, method) -> None:
    with pytest.raises(AttributeError):
        rank_one(method, data, cache)


@pytest.mark.parametrize(
    "method", [ComparesPlaces, Diagonal, PrivateParts, CountsWhileExtracting, Addresses], ids=lambda m: m.name
)
def test_places_say_nothing(data, cache, method) -> None:
    assert rank_one(method, data, cache) <= CHANCE + 4 / PEOPLE


@pytest.mark.parametrize("method", [ComparesPlaces, Diagonal], ids=lambda m: m.name)
def test_places_are_caught(cache, method) -> None:
    assert "came in another order" in problem_with(method, "order of probes", cache)


@pytest.mark.parametrize(
    "method",
    [ReadsClosures, LabelsThroughTrain, LabelsThroughFrames, LabelsThroughMemory, RowsThroughTrain],
    ids=lambda m: m.name,
)
def test_digging_in_the_harness_is_caught(cache, method) -> None:
    assert "given other labels and rows" in problem_with(method, "said to show", cache)


def test_remembering_what_fit_saw_is_caught(cache) -> None:
    assert "after another model had been fitted" in problem_with(RemembersFit, "another model", cache)


def test_features_that_were_learned_serve_no_other_split(data, tmp_path) -> None:
    chosen, cache = spec(LabelsAsFeatures), Cache(tmp_path)
    for split in (0, 1):
        cell = Cell(chosen.text, data.spec.text, split, 0, "paper", data.digest)
        assert evaluate(cell, chosen, data, cache).cmc[0] <= CHANCE


def test_learned_features_that_hide_are_caught(cache) -> None:
    assert "after another model had been fitted" in problem_with(HiddenLabelsAsFeatures, "another model", cache)


def test_statistics_of_test_images_are_to_be_declared(cache) -> None:
    assert "transductive = True" in problem_with(WholeGallery, "other probes", cache)
    with pytest.raises(AssertionError, match="no clause"):
        problem_with(Declared, "other probes", cache)


def test_an_honest_method_passes_and_is_above_chance(data, cache) -> None:
    assert [problem for _, problem in check_spec(spec(Honest)) if problem] == []
    assert rank_one(Honest, data, cache) > 2 * CHANCE


def test_nothing_handed_over_holds_a_path_or_a_row_number(data, cache) -> None:
    LOOKED.clear()
    rank_one(Looks, data, cache)
    for images in LOOKED:
        public = {name: getattr(images, name) for name in dir(images) if name[0] != "_" and name != "identity"}
        assert set(public) == {"area", "array", "camera", "features", "gram", "native", "select"}
        assert not any(isinstance(value, Path) for value in [*public.values(), *vars(images).values()])
        assert {name for name in dir(images.native) if name[0] != "_"} == {"count", "index"}, "a sequence's"
