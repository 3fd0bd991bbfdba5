"""What metric-learning methods fit: XQDA, NFST, JUDEA, SLD2L and SDF against literal versions on the same rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.benchmarks import literal_metrics
from tests.benchmarks.speed.case import Case, Sides

DIMENSION = 26_960
COORDINATES = 400
"""Of the rows of methods that work on principal coordinates."""


class Halves(NamedTuple):
    """Features of as many training as test people, an image of each in both views: rows (people, DIMENSION)."""

    gallery: np.ndarray
    probe: np.ndarray
    test_gallery: np.ndarray
    test_probe: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The training rows, gallery first."""
        return np.concatenate([self.gallery, self.probe])

    @property
    def people(self) -> np.ndarray:
        return np.arange(len(self.gallery))


def drawn_halves(people: int, dimension: int = DIMENSION) -> Halves:
    """What a person looks like, plus noise and an offset per view, around a mean that dominates, as LOMO's does."""
    random = np.random.default_rng(0)
    person = random.normal(size=(2 * people, dimension)) * 0.6
    views = [person + random.normal(size=person.shape) * 0.5 + random.normal(size=dimension) for _ in range(2)]
    features = np.stack(views) + 2
    features *= np.sqrt(3 / np.einsum("vij,vij->vi", features, features))[..., None]
    return Halves(*features[:, :people], *features[:, people:])


def gram(size: int, _folder: Path) -> Sides:
    from bench.protocol.products import inner_products

    rows = drawn_halves(size // 2).rows.astype(np.float32)

    def plain() -> np.ndarray:
        wide = rows.astype(np.float64)
        return wide @ wide.T

    return Sides(lambda: inner_products(rows, rows, symmetric=True), plain)


def xqda(size: int, _folder: Path) -> Sides:
    from methods.xqda import fit_xqda, mahalanobis

    halves = drawn_halves(size)
    people, rows = halves.people, halves.rows
    given, *tests = (x @ rows.T for x in (rows, halves.test_probe, halves.test_gallery))

    def ours() -> np.ndarray:
        coef, metric = fit_xqda(given, people, people)
        return mahalanobis(*(inner @ coef for inner in tests), metric)

    def literal() -> np.ndarray:
        projection, metric = literal_metrics.xqda(halves.gallery, halves.probe, people, people)
        return literal_metrics.xqda_distances(halves.test_probe, halves.test_gallery, projection, metric)

    return Sides(ours, literal)


def nfst(size: int, _folder: Path) -> Sides:
    from methods.nfst import bandwidth, euclidean, fit_nfst, rbf

    halves = drawn_halves(size)
    rows, tests = halves.rows, (halves.test_probe, halves.test_gallery)
    labels = np.tile(halves.people, 2)
    given, *inner = (x @ rows.T for x in (rows, *tests))
    norms, *test_norms = (np.square(x).sum(axis=1) for x in (rows, *tests))

    def ours() -> np.ndarray:
        width = bandwidth(given)
        coef = fit_nfst(rbf(given, norms, norms, width), labels)
        return euclidean(*(rbf(k, own, norms, width) @ coef for k, own in zip(inner, test_norms, strict=True)))

    return Sides(ours, lambda: literal_metrics.nfst_distances(rows, labels, *tests))


def judea(size: int, _folder: Path) -> Sides:
    from methods.judea import fit_judea, project
    from tests.benchmarks.literal_rederived import judea_squared_distances

    halves = drawn_halves(size, 2 * COORDINATES)
    labels = np.tile(halves.people, 2)
    scales = np.split(halves.rows, 2, axis=1)
    grams = [rows @ rows.T for rows in scales]

    def ours() -> np.ndarray:
        z = project(grams, fit_judea(grams, labels, 1.0, 0.1), 1.0)
        own = np.square(z).sum(axis=1)
        return own[:, None] + own - 2 * z @ z.T

    return Sides(ours, lambda: judea_squared_distances(scales, labels, 1.0, 0.1))


def sld2l(size: int, _folder: Path) -> Sides:
    """High-resolution rows, three shrunk copies of each, and genuine low-resolution rows of the same people."""
    from sklearn.preprocessing import normalize

    from methods._dictionaries import Terms, fit_dictionaries
    from tests.benchmarks import literal_rederived

    random = np.random.default_rng(0)
    centres = random.normal(size=(size, COORDINATES)) / np.sqrt(1 + np.arange(COORDINATES))
    x, genuine, *copies = (normalize(centres + 0.02 * random.normal(size=centres.shape)) for _ in range(5))
    given = x, np.concatenate([genuine, *copies]), np.concatenate([np.full(size, -1), np.tile(np.arange(size), 3)])
    people = np.arange(size)
    labels = people, np.tile(people, 4)
    terms = Terms(atoms=min(Terms().atoms, 2 * size))

    def ours() -> list[np.ndarray | list[float]]:
        found = fit_dictionaries(*given, *labels, terms)
        return [found.high, found.low, found.mapping, found.objective]

    return Sides(ours, lambda: list(literal_rederived.sld2l(*given, *labels, terms)))


@dataclass(frozen=True)
class Rows:
    """Labelled images that are known by their features alone.  features_of: by the extractor's text."""

    identity: np.ndarray
    features_of: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.identity)

    def __add__(self, other: "Rows") -> "Rows":
        shared = self.features_of.keys() & other.features_of.keys()
        joined = {name: np.concatenate([self.features_of[name], other.features_of[name]]) for name in shared}
        return Rows(np.concatenate([self.identity, other.identity]), joined)

    def features(self, extractor: object) -> np.ndarray:
        return self.features_of[repr(extractor)]

    def gram(self, other: "Rows", extractor: object) -> np.ndarray:
        a, b = (rows.features(extractor).astype(np.float64) for rows in (self, other))
        return a @ b.T


def sdf(size: int, _folder: Path) -> Sides:
    from bench.plugin.base import Train
    from methods.sdf import RATIOS, SDF, part_by_part
    from tests.benchmarks.literal_rederived import sdf_distances

    method = SDF(degree=1, C=0.1)
    halves = drawn_halves(size, DIMENSION // 4)
    random = np.random.default_rng(1)
    noise = [np.zeros(DIMENSION // 4), *random.normal(size=(len(RATIOS) - 1, DIMENSION // 4)) * 0.01]
    shown = [(halves.gallery + offset).astype(np.float32) for offset in noise]
    extractors = list(map(repr, method.extractors()))
    gallery = Rows(halves.people, dict(zip(extractors, shown, strict=True)))
    probe = Rows(halves.people, {extractors[0]: halves.probe.astype(np.float32)})
    train = Train(gallery, probe, None, None, 0, "paper", "cpu")  # type: ignore[arg-type]

    def ours() -> np.ndarray:
        """The fit, and from what it holds the distances of its own pairs."""
        return method.fit(train).distances(probe, gallery)  # type: ignore[arg-type]

    def literal() -> np.ndarray:
        wide = [part_by_part(rows.astype(np.float64)) for rows in shown]
        own = part_by_part(halves.probe.astype(np.float32).astype(np.float64))
        same = halves.people[:, None] == halves.people
        return sdf_distances(own, wide, same, [float(ratio) for ratio in RATIOS], 1, 0.1)

    return Sides(ours, literal)


LITERAL = "on feature rows, step by step as described"

CASES = (
    Case("gram", "one numpy product of float64 rows", gram, 632, "rows of 26,960", 6, tolerance=1e-12),
    Case("xqda", f"XQDA {LITERAL}", xqda, 150, "people of a split", 8, tolerance=1e-9),
    Case("nfst", f"NFST {LITERAL}", nfst, 150, "people of a split", 8, tolerance=1e-9),
    Case("judea", f"JUDEA {LITERAL}", judea, 80, "people of a split", 8, tolerance=1e-6),
    Case("sld2l", f"SLD2L {LITERAL}", sld2l, 158, "people of a split", 8, tolerance=1e-6),
    Case("sdf", f"SDF {LITERAL}", sdf, 60, "people of a split", 8, tolerance=0.01),
)
