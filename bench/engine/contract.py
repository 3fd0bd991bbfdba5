"""The contract every method must keep, held against one method on a small embedded set, in seconds."""

import pickle
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.base import clone

from bench.engine.cache import Cache
from bench.engine.cell import Means, View, checked, model_seed, models
from bench.engine.data import load
from bench.engine.decode import one_line
from bench.errors import BenchError, NotApplicable
from bench.plugin.base import Method, Train
from bench.plugin.registry import registry
from bench.plugin.spec import DatasetSpec, MethodSpec, check_applicable, dataset_spec, method_spec
from bench.protocol.images import Images

PROFILE = "smoke"
"""The training schedule that the contract is checked with: it takes seconds and needs no weights."""


class Broken(Exception):
    """A clause of the contract does not hold; the text says how."""


def runnable_spec(text: str) -> MethodSpec:
    """The method as it is named; a bare one that needs a front-end is put behind the first there is."""
    spec = method_spec(text)
    if spec.frontend is None and spec.method.attributes.get("scales", "front-end") == "front-end":
        return method_spec(f"{registry().names('frontend')[0]}+{text}")
    return spec


def embedded_dataset(spec: MethodSpec) -> DatasetSpec:
    """A small data set that needs no files and that the method applies to."""
    for plugin in registry().plugins:
        small = plugin.attributes.get("small") if plugin.kind == "dataset" else None
        if isinstance(small, str):
            found = dataset_spec(f"{plugin.name}[{small}]")
            try:
                check_applicable(spec, found)
            except NotApplicable:
                continue
            return found
    raise NotApplicable(f"no embedded data set goes with {spec.text}")


def check_method(text: str) -> Iterator[tuple[str, str | None]]:
    """Hold a method against every clause; yields (clause, None) where it holds, (clause, what is wrong) where not.

    UsageError for an unknown method; NotApplicable, with its reason, for one that cannot run here.
    """
    spec = runnable_spec(text)
    for part in (spec.build_frontend(), spec.build()):
        if part and (reason := part.available(None, PROFILE)):
            raise NotApplicable(f"{text} cannot run here: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        case = Case(spec, Cache(Path(folder)))
        clauses: list[tuple[str, Callable[[], None]]] = [
            ("parameters are stored untouched, the method can be cloned and sent to another process", case.parameters),
            ("fit returns the method itself", case.returns_self),
            ("distances are a finite (probes, gallery) matrix", case.distances),
            ("the same seed gives the same distances", case.deterministic),
            ("images are left as they were", case.images_untouched),
            ("distances do not depend on test identities or cameras", case.blind),
            ("a probe's distances do not depend on the other probes and gallery images", case.independent),
        ]
        for name, clause in clauses:
            try:
                clause()
            except (Broken, BenchError) as error:
                yield name, str(error)
            except Exception as error:  # whatever a plug-in raises is a finding
                yield name, one_line(error)
            else:
                yield name, None


class Case:
    """One method, one small data set, one split, one anchor."""

    def __init__(self, spec: MethodSpec, cache: Cache) -> None:
        self.spec = spec
        self.data = load(embedded_dataset(spec), None, 0, cache)
        self.split = self.data.split(0, 0)
        self.ratio = models(spec, self.data.low_resolution)[0]
        self.view = View(self.data, spec, cache, 0, 0, Means(PROFILE))
        self.view.fit_frontend(self.ratio, self.split.train)
        images = self.view.images
        synthetic = images("shrunk", self.ratio, self.split.train) if self.ratio else None
        self.train = Train(
            images("gallery", self.ratio, self.split.train),
            images("probe", self.ratio, self.split.train),
            synthetic,
            self.ratio,
            model_seed(0, 0, self.ratio),
            PROFILE,
            "cpu",
        )
        self.probe = images("probe", self.ratio, self.split.test)
        self.gallery = images("gallery", self.ratio, self.split.test)
        self.fitted: Method | None = None

    def fit(self) -> Method:
        if self.fitted is None:
            self.fitted = self.spec.build().fit(self.train)
        return self.fitted

    def match(self) -> np.ndarray:
        shape = (len(self.probe), len(self.gallery))
        return checked(self.fit(), np.asarray(self.fit().distances(self.probe, self.gallery)), shape)

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
        if method.fit(self.train) is not method:
            raise Broken("fit must return self")

    def distances(self) -> None:
        self.match()

    def deterministic(self) -> None:
        first = self.match()
        self.fitted = None
        if not np.array_equal(first, self.match()):
            raise Broken("two fits with one seed give different distances; draw from Train.seed only")

    def images_untouched(self) -> None:
        sets = (self.train.gallery, self.train.probe, self.probe, self.gallery)
        before = [images.array() for images in sets]
        self.fitted = None
        self.match()
        if any(not np.array_equal(a, images.array()) for a, images in zip(before, sets, strict=True)):
            raise Broken("fit or distances changed pixels of its input; work on a copy")

    def blind(self) -> None:
        def hide(images: Images) -> Images:
            return replace(images, identity=images.identity[::-1].copy(), camera=np.full(len(images), "?"))

        other = self.fit().distances(hide(self.probe), hide(self.gallery))
        if not np.array_equal(other, self.match()):
            raise Broken("distances changed when the test images' labels did; labels are for training only")

    def independent(self) -> None:
        few = self.split.test[: len(self.split.test) // 2]
        probe = self.view.images("probe", self.ratio, few)
        gallery = self.view.images("gallery", self.ratio, few)
        part = np.asarray(self.fit().distances(probe, gallery))
        whole = self.match()[np.ix_(np.isin(self.probe.identity, few), np.isin(self.gallery.identity, few))]
        if not np.allclose(part, whole, rtol=1e-4, atol=1e-6 * np.abs(whole).max()):
            raise Broken(
                "distances of a part of the images differ from those among all; use no statistics of test images"
            )
