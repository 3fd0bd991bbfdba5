"""The contract that every method keeps, checked on a small embedded data set, in seconds.

Much of it holds by construction: what `distances` is given has no identities and no row numbers (`bench.engine.view`).
The rest is caught here: a method that finds the harness's own labels or rows by other ways, or remembers people whom
an earlier `fit` saw, gives other distances when labels, rows or memories are others.
"""

import gc
import inspect
import json
import pickle
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.base import clone
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from bench.engine.alone import extractors_of, extracts_alone, upscales_alone, watched
from bench.engine.cache import Cache
from bench.engine.data import load
from bench.engine.decode import one_line
from bench.engine.embedded import behind_a_frontend, embedded_dataset, runnable_spec
from bench.engine.enhancing import check_enhancer
from bench.engine.identity import described, modules_of, part_version, short_hash, uses
from bench.engine.matching import SIDES, match, training
from bench.engine.pairs import embeds
from bench.engine.rearranged import rearranged
from bench.engine.view import Setup, build_view, model_ratios
from bench.engine.workers import in_another_process
from bench.errors import BenchError, NotApplicable
from bench.files import write_atomically
from bench.plugin.base import Method
from bench.plugin.grammar import split_text
from bench.plugin.locate import defined_at, raised_at
from bench.plugin.registry import Plugin
from bench.plugin.spec import MethodSpec
from bench.plugin.weights_files import missing_weights

VERSION = 4
PROFILE = "smoke"
"""The training schedule that the contract is checked with: it takes seconds and needs no weights."""
ORDERS = 3
"""How many further orders of probes and gallery images distances are asked for in."""

Clause = tuple[str, str | None]
"""What is to hold, and what is wrong; None where it holds."""


class Broken(Exception):
    """A clause of the contract does not hold; the text says how."""


def check_method(text: str) -> Iterator[Clause]:
    """Check a method or front-end by name, as `check_spec`; UsageError for an unknown one."""
    yield from check_spec(runnable_spec(text))


def check_spec(spec: MethodSpec) -> Iterator[Clause]:
    """Check every clause; yields each with what is wrong, file and line named, or None.  What was said is not repeated.

    NotApplicable, with its reason, for a method that cannot run here.
    """
    for part in (spec.build_frontend(), spec.build()):
        if part and (reason := missing_weights(part, None, PROFILE)):
            raise NotApplicable(f"{spec.text} cannot run here: {reason}")
    said: set[str] = set()
    # One thread: small models gain nothing from more, and equal sums need equal numbers of them.
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        for name, clause, needed in clauses(spec, Cache(Path(folder))):
            problem = broken(spec, clause)
            if problem is None or problem not in said:
                yield name, problem
            if problem:
                said.add(problem)
                if needed:
                    return


def clauses(spec: MethodSpec, cache: Cache) -> Iterator[tuple[str, Callable[[], None], bool]]:
    """Every clause: what is to hold, its check, and whether the later ones need it."""
    case = Case(spec, cache)
    yield "the front-end gives the images of the embedded data set", case.prepare, True
    yield "parameters are stored untouched, and the method can be cloned and sent elsewhere", case.parameters, False
    yield "fit returns the method itself", case.returns_self, True
    yield "distances are a finite (probes, gallery) matrix", case.distances, True
    yield "front-end and feature extractors treat each image by itself", case.alone, False
    yield "what it keeps to enhance images by is small, and enough to do so, each by itself", case.enhances, False
    yield "the same seed gives the same distances", case.deterministic, False
    yield "distances do not depend on the order of probes or gallery images", case.orderless, False
    yield "distances depend on images, not on whom they are said to show or on their rows", case.blind, False
    yield "distances do not depend on people whom another model was fitted on", case.forgetful, False
    if not spec.method.attributes.get("transductive"):
        yield "a probe's distances do not depend on the other probes and gallery images", case.independent, False
    if embeds(spec.method.load()):
        yield "what it embeds and compares in parts is what it does at once", case.parted, False
    yield "images are left as they were", case.images_untouched, False


def broken(spec: MethodSpec, clause: Callable[[], None]) -> str | None:
    """What is wrong with a clause, None where it holds."""
    kind = spec.method.load()
    hook = "embed" if getattr(kind, "distances", None) is Method.distances else "distances"
    try:
        clause()
    except Broken as error:
        return f"{error} ({defined_at(kind, hook)})"
    except (Exception, SystemExit) as error:  # whatever a plug-in raises is a finding
        text = str(error) if isinstance(error, BenchError) else one_line(error)
        return f"{text} ({raised_at(error) or defined_at(kind, hook)})"
    return None


def passed(spec: MethodSpec, cache: Cache) -> bool:
    """Whether the method has passed the contract in its present form: versions, options and text of its modules."""
    return mark(spec, cache).is_file()


def ensure(spec: MethodSpec, cache: Cache) -> list[str]:
    """What is wrong with a method, nothing where it has passed; checked once for each form of it that passes.

    NotApplicable where it cannot be checked here.
    """
    if passed(spec, cache):
        return []
    problems = [problem for _, problem in check_spec(behind_a_frontend(spec)) if problem]
    if not problems:
        with cache.writing(), write_atomically(mark(spec, cache)) as file:
            file.write(json.dumps({"method": spec.text}).encode())
    return problems


def mark(spec: MethodSpec, cache: Cache) -> Path:
    """The file that says that a method has passed."""
    _, pairs = split_text(spec.text)
    plugins: list[Plugin] = [plugin for plugin in (spec.method, spec.frontend) if plugin]
    parts = {part: part_version(part) for plugin in plugins for part in uses(plugin)}
    files = [inspect.getsourcefile(plugin.load()) for plugin in plugins]
    text = [module.read_text(encoding="utf-8") for file in files if file for module in modules_of(Path(file))]
    form = {"contract": VERSION, "parts": parts, "plugins": [described(p, pairs) for p in plugins], "text": text}
    return cache.folder / "contract" / f"{short_hash(form)}.json"


class Case:
    """One method, one small data set, one split, one anchor."""

    def __init__(self, spec: MethodSpec, cache: Cache) -> None:
        self.spec, self.cache = spec, cache
        self.data = load(embedded_dataset(spec), None, 0, cache)
        self.split = self.data.split(0, 0)
        self.ratio = model_ratios(spec, self.data.low_resolution)[0]

    def prepare(self) -> None:
        setup = Setup(PROFILE)
        shown = build_view(self.data, self.spec, self.cache, 0, 0, self.split.train, setup, (self.ratio,))
        self.sources = watched(shown.sources)
        self.shown = replace(shown, sources=self.sources)
        for source in self.shown.sources.values():
            if len(source.array) == 0:
                raise Broken("the front-end gave no images")
        self.before = self.pixels()

    def pixels(self) -> list[np.ndarray]:
        train = training(self.shown, self.ratio, self.split.train)
        probe, gallery = (self.shown.to_match(side, self.ratio, self.split.test) for side in SIDES)
        return [images.array() for images in (train.gallery, train.probe, probe.images, gallery.images)]

    def fit(self, people: np.ndarray | None = None) -> Method:
        return self.spec.build().fit(training(self.shown, self.ratio, self.split.train if people is None else people))

    def match(self, fitted: Method, people: np.ndarray | None = None, draw: int = 0) -> np.ndarray:
        return match(self.shown, fitted, self.ratio, self.split.test if people is None else people, draw)

    def parameters(self) -> None:
        method = self.spec.build()
        for name, value in self.spec.method_parameters.items():
            if getattr(method, name) is not value:
                raise Broken(f"self.{name} must be the constructor's {name}, untouched")
        if clone(method).get_params() != method.get_params():
            raise Broken("clone(method) has other parameters than the method")
        pickle.dumps(method)

    def returns_self(self) -> None:
        method = self.spec.build()
        if method.fit(training(self.shown, self.ratio, self.split.train)) is not method:
            raise Broken("fit must return self")
        self.fitted = method

    def distances(self) -> None:
        self.whole = self.match(self.fitted)

    def alone(self) -> None:
        frontend, native = (
            self.shown.frontends[self.ratio],
            self.shown.images("probe", self.ratio, self.split.test).native,
        )
        if frontend and not upscales_alone(frontend, native[:], self.spec.build().input_size):
            raise Broken(f"{frontend.name}.upscale gives an image otherwise among other images or alone")
        for extractor, images in extractors_of(list(self.sources.values())):
            if not extracts_alone(extractor, images, alike):
                raise Broken(f"{type(extractor).__name__} gives an image other features among other images or alone")

    def enhances(self) -> None:
        native = self.shown.images("probe", self.ratio, self.split.test).native
        models = len(model_ratios(self.spec, self.data.low_resolution))
        check_enhancer(self.fitted, self.spec.build(), native[:], models)

    def deterministic(self) -> None:
        if not np.array_equal(self.whole, self.match(self.fit())):
            raise Broken("two fits with one seed give different distances; draw from Train.seed only")

    def orderless(self) -> None:
        for draw in range(1, ORDERS + 1):
            if not alike(self.match(self.fitted, draw=draw), self.whole):
                raise Broken("distances changed when the images came in another order; an image's place says nothing")

    def blind(self) -> None:
        """Fit and match on a data set whose test images have other labels and lie in other rows."""
        with tempfile.TemporaryDirectory() as folder:
            found = in_another_process(rearranged_distances, self.spec, Path(folder))
        if not alike(found, self.whole):
            raise Broken(
                "distances changed when test images were given other labels and rows in the data set; only the images"
                " handed to distances may count"
            )

    def forgetful(self) -> None:
        """Fit on the test people, match, and forget it: the model fitted next must be as before.

        With a cache of its own: there, what the first model leaves is found by the second.
        """
        with tempfile.TemporaryDirectory() as folder:
            case = Case(self.spec, Cache(Path(folder)))
            case.prepare()
            case.match(case.fit(self.split.test), self.split.train)
            found = case.match(case.fit())
        if not alike(found, self.whole):
            raise Broken("distances changed after another model had been fitted; keep what fit learns in self alone")

    def independent(self) -> None:
        few = self.split.test[: len(self.split.test) // 2]
        part = self.match(self.fitted, few)
        probe, gallery = (np.isin(self.data.identity[self.shown.rows_of(side, self.split.test)], few) for side in SIDES)
        if not alike(part, self.whole[np.ix_(probe, gallery)]):
            raise Broken(
                "distances of a part of the images differ from those among all; a method that uses other test images"
                " says transductive = True"
            )

    def parted(self) -> None:
        given = [self.shown.to_match(side, self.ratio, self.split.test) for side in SIDES]
        probe, gallery = (
            [self.fitted.embed(one.images.select(rows), side) for rows in np.array_split(np.arange(len(one.images)), 2)]
            for side, one in zip(SIDES, given, strict=True)
        )
        found = np.block([[self.fitted.between(a, b) for b in gallery] for a in probe])
        if not alike(found[np.ix_(*(one.position for one in given))], self.whole):
            raise Broken("distances of images that were embedded and compared in two parts differ from those at once")

    def images_untouched(self) -> None:
        if any(not np.array_equal(a, b) for a, b in zip(self.before, self.pixels(), strict=True)):
            raise Broken("fit or distances changed pixels of its input; work on a copy")


def rearranged_distances(spec: MethodSpec, folder: Path) -> np.ndarray:
    """Distances on `rearranged` data, back in the data set's order.

    For a process of its own, so that nothing in memory or in the cache knows true labels or rows.
    """
    # tqdm's own lock is a semaphore of the system, which a process that is ended leaves behind.
    tqdm.set_lock(threading.RLock())
    spec.build(), spec.build_frontend()  # loads their libraries, whose threads are limited below
    case = Case(spec, Cache(folder))
    case.data, origin = rearranged(case.data, case.split.test)
    gc.collect()
    with threadpool_limits(1):
        case.prepare()
        found = case.match(case.fit())
    place = [np.argsort(origin[case.shown.rows_of(side, case.split.test)]) for side in SIDES]
    return found[np.ix_(*place)]


def alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal up to what sums in another order change."""
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6 * np.abs(b).max())
