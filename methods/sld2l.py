from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt
from scipy.linalg import eigh, eigvalsh
from sklearn.cluster import KMeans
from sklearn.preprocessing import normalize

from bench.errors import BenchError
from bench.plugin.base import Method, Train
from bench.protocol.images import inner_products
from methods._gram import Whitening
from methods._lomo import LOMO
from methods._scales import AtScale
from methods._selection import best_of

if TYPE_CHECKING:
    from bench.protocol.images import Images

SMOOTHING = (1.0, 5.0)
RATIOS = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 4))
BASIS_ROWS = 2_000
BATCH = 4_096
CODING_STEPS = 50


@dataclass(frozen=True)
class Weights:
    """Of the terms of the objective, `sld2l.md`; each is explained in `SLD2L`.  iterations, tolerance: when to stop."""

    atoms: int = 150
    coupling: float = 0.3
    discriminant: float = 1.0
    separation: float = 0.9
    sparsity: float = 0.01
    ridge: float = 0.1
    mapping: bool = True
    mapping_ridge: float = 0.01
    low_rank: float = 0.1
    iterations: int = 10
    tolerance: float = 1e-3


@dataclass
class Dictionaries:
    """high (k, p), low (k, p): atoms in rows; mapping (k, k): a low-resolution code b becomes b @ mapping.

    objective: its value before the first and after every iteration.
    """

    high: np.ndarray
    low: np.ndarray
    mapping: np.ndarray
    objective: list[float]


class SLD2L(Method):
    """Semi-coupled low-rank discriminant dictionary learning on LOMO (Jing et al., CVPR 2015), re-derived.

    A dictionary for each resolution and a mapping between their codes turn a low-resolution feature into a
    high-resolution one, which is compared with the gallery's by the cosine (`sld2l.md`).  ``"cv"``: chosen on held-out
    training people.

    atoms: of each dictionary.  clusters: sub-dictionaries, each with its own mapping; a probe takes the one that
    reconstructs it best.
    smoothing: added to the principal variances, in units of their mean, before features are whitened; ``"cv"``: 1 or 5.
    coupling: weight of a gallery image's code against the mapped code of its shrunk copies.
    discriminant: weight of the codes' scatter about their person's centre.
    separation: in [0, 1), how much of the largest weight that keeps the objective above 0 pushes the centres apart.
    sparsity, ridge: weights of the codes' absolute and squared values.
    mapping: False for the identity in the mapping's place.  mapping_ridge: weight of its squared values.
    low_rank: weight of the dictionaries' nuclear norm, 0 to leave it out.
    retinex: the variant of `LOMO`'s colour normalisation.
    """

    name = "sld2l"
    version = 1
    uses = ("gram", "lomo", "scales", "selection")
    scales = "own"
    anchored = False
    note = "re-derived: there is no public code; methods/sld2l.md says which parts are ours"

    def __init__(
        self,
        atoms: Annotated[int, Gt(0)] = 150,
        clusters: Annotated[int, Gt(0)] = 1,
        smoothing: Literal["cv"] | Annotated[float, Gt(0)] = "cv",
        coupling: Annotated[float, Ge(0)] = 0.3,
        discriminant: Annotated[float, Gt(0)] = 1.0,
        separation: Annotated[float, Ge(0), Lt(1)] = 0.9,
        sparsity: Annotated[float, Ge(0)] = 0.01,
        ridge: Annotated[float, Gt(0)] = 0.1,
        mapping: bool = True,
        mapping_ridge: Annotated[float, Gt(0)] = 0.01,
        low_rank: Annotated[float, Ge(0)] = 0.1,
        retinex: Literal["msrcp", "none"] = "msrcp",
    ):
        self.atoms = atoms
        self.clusters = clusters
        self.smoothing = smoothing
        self.coupling = coupling
        self.discriminant = discriminant
        self.separation = separation
        self.sparsity = sparsity
        self.ridge = ridge
        self.mapping = mapping
        self.mapping_ridge = mapping_ridge
        self.low_rank = low_rank
        self.retinex = retinex

    def extractors(self) -> list[LOMO]:
        return [LOMO(retinex=self.retinex)]

    def weights(self) -> Weights:
        return Weights(
            self.atoms,
            self.coupling,
            self.discriminant,
            self.separation,
            self.sparsity,
            self.ridge,
            self.mapping,
            self.mapping_ridge,
            self.low_rank,
        )

    def fit(self, train: Train) -> "SLD2L":
        gallery, probe = train.gallery.identity, train.probe.identity
        if np.union1d(gallery, probe).size < 2:
            raise BenchError("all training images are of one identity: SLD2L needs at least two")
        (lomo,) = self.extractors()
        # Inner products with the training rows (at most BASIS_ROWS of them) are all that is ever kept of the features.
        self.rows_ = spread(train.gallery, BASIS_ROWS // 2) + spread(train.probe, BASIS_ROWS // 2)
        gram = self.rows_.gram(self.rows_, lomo)
        high, genuine = train.gallery.gram(self.rows_, lomo), train.probe.gram(self.rows_, lomo)
        basis = self.rows_.features(lomo)
        copies = [inner_products(train.gallery.features(AtScale(lomo, m, restored=True)), basis) for m in RATIOS]
        grid = SMOOTHING if self.smoothing == "cv" else [self.smoothing]

        def learn(people: np.ndarray, smoothing: float) -> tuple[Whitening, list[Dictionaries]]:
            rows = np.flatnonzero(np.isin(self.rows_.identity, people))
            g, p = np.isin(gallery, people), np.isin(probe, people)
            whitening = Whitening(gram[np.ix_(rows, rows)], smoothing, rows)
            x, z = whitening(high[g]), whitening(genuine[p])
            y = np.concatenate([z, *(whitening(copy[g]) for copy in copies)])
            pair = np.concatenate([np.full(len(z), -1), np.tile(np.arange(len(x)), len(copies))])
            labels = np.concatenate([probe[p], np.tile(gallery[g], len(copies))])
            return whitening, fit_clusters(x, y, pair, gallery[g], labels, self.weights(), self.clusters)

        def held_out(people: np.ndarray, others: np.ndarray) -> Iterator[np.ndarray]:
            for smoothing in grid:
                whitening, found = learn(people, smoothing)
                restored = restore(whitening(genuine[np.isin(probe, others)]), found, self.weights())
                yield 1 - restored @ whitening(high[np.isin(gallery, others)]).T

        self.smoothing_ = best_of(grid, probe, gallery, train.seed, held_out, folds_held_out=1)
        self.whitening_, self.dictionaries_ = learn(np.union1d(gallery, probe), self.smoothing_)
        return self

    def distances(self, probe: "Images", gallery: "Images") -> np.ndarray:
        (lomo,) = self.extractors()
        low, high = (self.whitening_(images.gram(self.rows_, lomo)) for images in (probe, gallery))
        return 1 - restore(low, self.dictionaries_, self.weights()) @ high.T


def spread(images: "Images", count: int) -> "Images":
    """At most `count` images, evenly spread over the people; all of them where there are no more."""
    if len(images) <= count:
        return images
    order = np.argsort(images.identity, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, count).round().astype(int)]
    return images.select(chosen)


def fit_clusters(
    x: np.ndarray,
    y: np.ndarray,
    pair: np.ndarray,
    x_labels: np.ndarray,
    y_labels: np.ndarray,
    weights: Weights,
    clusters: int,
) -> list[Dictionaries]:
    """Dictionaries for each cluster of people (k-means of their mean features); arguments as of `fit_dictionaries`."""
    people, index = np.unique(np.concatenate([x_labels, y_labels]), return_inverse=True)
    if clusters == 1 or len(people) < 2 * clusters:
        return [fit_dictionaries(x, y, pair, x_labels, y_labels, weights)]
    averaging = (index == np.arange(len(people))[:, None]) / np.bincount(index)[:, None]
    means = averaging @ np.concatenate([x, y])
    # Seeds along the widest axis: the same clusters in whatever order the images come.
    along = np.argsort(means[:, 0])[np.linspace(0, len(people) - 1, clusters).round().astype(int)]
    cluster = KMeans(clusters, init=means[along], n_init=1).fit(means).labels_[index]
    found = []
    for k in range(clusters):
        g, p = np.flatnonzero(cluster[: len(x)] == k), np.flatnonzero(cluster[len(x) :] == k)
        position = np.full(len(x) + 1, -1)
        position[g] = np.arange(len(g))
        if len(g) and len(p):
            found.append(fit_dictionaries(x[g], y[p], position[pair[p]], x_labels[g], y_labels[p], weights))
    return found


def fit_dictionaries(
    x: np.ndarray, y: np.ndarray, pair: np.ndarray, x_labels: np.ndarray, y_labels: np.ndarray, weights: Weights
) -> Dictionaries:
    """Alternating minimisation of the objective of `sld2l.md`, which never increases.

    x (n, p): high-resolution features, unit rows, principal axes first; x_labels (n,).  y (m, p): low-resolution
    features; y_labels (m,).  pair (m,): the row of x that a row of y is the shrunk copy of, -1 for a genuine one.

    Memory beside x and y: codes (n + m, atoms), residuals of y's size, arrays of BATCH rows and of atoms x p.
    """
    problem = Problem(x, y, pair, x_labels, y_labels, weights)
    objective = [problem.objective()]
    for _ in range(weights.iterations):
        problem.step()
        objective.append(problem.objective())
        if objective[-2] - objective[-1] < weights.tolerance * abs(objective[-2]):
            break
    return Dictionaries(problem.high, problem.low, problem.mapping, objective)


class Problem:
    """The objective, its variables and one round of block updates, none of which can increase it."""

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        pair: np.ndarray,
        x_labels: np.ndarray,
        y_labels: np.ndarray,
        weights: Weights,
    ) -> None:
        self.x, self.y, self.pair, self.weights = x, y, pair, weights
        n, m, w = len(x), len(y), weights
        self.copies, self.genuine = np.flatnonzero(pair >= 0), np.flatnonzero(pair < 0)
        people, index = np.unique(np.concatenate([x_labels, y_labels]), return_inverse=True)
        self.x_person, self.y_person = index[:n], index[n:]
        self.share = np.bincount(self.x_person, minlength=len(people)) / n
        self.genuine_share = np.bincount(self.y_person[self.genuine], minlength=len(people)) / max(1, len(self.genuine))
        self.copy_count = np.bincount(pair[self.copies], minlength=n)
        # What a row of y pays for missing its target, in units of its share of the reconstruction error, 1 / m.
        per_copy, per_genuine = m / max(1, len(self.copies)), m / max(1, len(self.genuine))
        self.pull = np.where(pair >= 0, w.coupling * per_copy, w.discriminant * per_genuine)
        self.push = w.separation * w.ridge / (w.discriminant + w.ridge)

        k = min(w.atoms, x.shape[1])
        self.high, self.low, self.mapping = np.eye(k, x.shape[1]), np.eye(k, y.shape[1]), np.eye(k)
        self.x_codes, self.y_codes = x[:, :k].copy(), y[:, :k].copy()
        self.centres = self.best_centres()

    def step(self) -> None:
        w, n, m = self.weights, len(self.x), len(self.y)
        mapped = np.zeros_like(self.x_codes)
        np.add.at(mapped, self.pair[self.copies], self.y_codes[self.copies] @ self.mapping)
        per_copy = w.coupling * n / max(1, len(self.copies))
        self.x_codes = code(
            self.x,
            self.high,
            w,
            start=self.x_codes,
            target=per_copy * mapped + w.discriminant * self.centres[self.x_person],
            diagonal=per_copy * self.copy_count + w.discriminant,
        )
        targets = self.targets()
        self.y_codes = code(
            self.y,
            self.low,
            w,
            start=self.y_codes,
            target=self.pull[:, None] * (targets @ self.mapping.T),
            mapping=self.mapping,
            pull=self.pull,
        )
        if w.mapping:
            pulled = self.y_codes * (self.pull / m)[:, None]
            left = self.y_codes.T @ pulled + w.mapping_ridge / len(self.mapping) * np.eye(len(self.mapping))
            self.mapping = np.linalg.solve(left, pulled.T @ targets)
        self.high = improve_dictionary(self.high, self.x_codes, self.x, w)
        self.low = improve_dictionary(self.low, self.y_codes, self.y, w)
        self.centres = self.best_centres()

    def targets(self) -> np.ndarray:
        """What each mapped low-resolution code should be: its original's code, or its person's centre."""
        targets = self.centres[self.y_person]
        targets[self.copies] = self.x_codes[self.pair[self.copies]]
        return targets

    def best_centres(self) -> np.ndarray:
        """The centres that minimise the discriminant term (people, k): means, pushed away from the mean of all."""
        total = np.zeros((len(self.share), len(self.mapping)))
        np.add.at(total, self.x_person, self.x_codes / len(self.x))
        mapped = self.y_codes[self.genuine] @ self.mapping
        np.add.at(total, self.y_person[self.genuine], mapped / max(1, len(self.genuine)))
        # A person without a row of their own in the term (copies alone) has no centre to find and none that matters.
        weight = self.share + self.genuine_share
        rest = np.where(weight > 0, weight - self.push * self.share, 1)
        middle = (self.share / rest) @ total / (1 + self.push * (self.share**2 / rest).sum())
        return (total - self.push * np.outer(self.share, middle)) / rest[:, None]

    def objective(self) -> float:
        w, n, m = self.weights, len(self.x), len(self.y)
        value = squares(self.x - self.x_codes @ self.high) / n + squares(self.y - self.y_codes @ self.low) / m
        missed = self.y_codes @ self.mapping - self.targets()
        value += float(self.pull / m @ np.einsum("ij,ij->i", missed, missed))
        value += w.discriminant * squares(self.x_codes - self.centres[self.x_person]) / n
        apart = self.centres - self.share @ self.centres
        value -= w.discriminant * self.push * float(self.share @ np.einsum("ij,ij->i", apart, apart))
        value += w.sparsity * (np.abs(self.x_codes).sum() / n + np.abs(self.y_codes).sum() / m)
        value += w.ridge * (squares(self.x_codes) / n + squares(self.y_codes) / m)
        value += w.mapping_ridge * squares(self.mapping) / len(self.mapping)
        for dictionary in (self.high, self.low):
            value += w.ridge * squares(dictionary) / len(dictionary)
            value += w.low_rank * nuclear_norm(dictionary) / len(dictionary)
        return float(value)


def code(
    rows: np.ndarray,
    dictionary: np.ndarray,
    weights: Weights,
    start: np.ndarray | None = None,
    target: np.ndarray | float = 0.0,
    diagonal: np.ndarray | float = 0.0,
    mapping: np.ndarray | None = None,
    pull: np.ndarray | float = 0.0,
    steps: int | None = None,
) -> np.ndarray:
    """Codes c (m, k) that lower, for every row r of `rows` (m, p) on its own, by proximal gradient steps,

    |r - c D|^2 + ridge |c|^2 + sparsity |c|_1 + diagonal |c|^2 + pull |c W|^2 - 2 <c, target>.

    diagonal, pull: one number a row.  start: where from, zeros when not given, then to convergence (CODING_STEPS).
    """
    steps = steps or (CODING_STEPS if start is None else 5)
    out = np.zeros((len(rows), len(dictionary))) if start is None else np.empty_like(start)
    gram = dictionary @ dictionary.T + weights.ridge * np.eye(len(dictionary))
    coupled = None if mapping is None else mapping @ mapping.T
    curvature = np.full(len(rows), np.linalg.norm(gram, 2)) + diagonal
    if coupled is not None:
        curvature = curvature + pull * np.linalg.norm(coupled, 2)
    for first in range(0, len(rows), BATCH):
        batch = slice(first, first + BATCH)
        right = rows[batch] @ dictionary.T + (target[batch] if isinstance(target, np.ndarray) else target)
        rate = 1 / curvature[batch, None]
        scale = diagonal[batch, None] if isinstance(diagonal, np.ndarray) else diagonal
        codes = out[batch] if start is None else start[batch]
        for _ in range(steps):
            gradient = codes @ gram + scale * codes - right
            if coupled is not None:
                gradient += (pull[batch, None] if isinstance(pull, np.ndarray) else pull) * (codes @ coupled)
            moved = codes - rate * gradient
            codes = np.sign(moved) * np.maximum(np.abs(moved) - rate * weights.sparsity / 2, 0)
        out[batch] = codes
    return out


def improve_dictionary(dictionary: np.ndarray, codes: np.ndarray, rows: np.ndarray, weights: Weights) -> np.ndarray:
    """Two proximal gradient steps on |rows - codes D|^2 / n + (ridge |D|^2 + low_rank |D|_*) / atoms, from D (k, p)."""
    second, cross = codes.T @ codes / len(rows), codes.T @ rows / len(rows)
    second += weights.ridge / len(dictionary) * np.eye(len(dictionary))
    rate = 1 / np.linalg.norm(second, 2)
    for _ in range(2):
        dictionary = dictionary - rate * (second @ dictionary - cross)
        dictionary = shrink_singular_values(dictionary, rate * weights.low_rank / len(dictionary) / 2)
    return dictionary


def shrink_singular_values(matrix: np.ndarray, amount: float) -> np.ndarray:
    """The matrix with `amount` taken off every singular value, down to 0: the nuclear norm's proximal operator."""
    if amount == 0:
        return matrix
    # From the smaller side's squares: several times faster than a decomposition of the wide matrix.
    values, left = eigh(matrix @ matrix.T, driver="evd", check_finite=False)
    kept = values > amount**2
    return (left[:, kept] * (1 - amount / np.sqrt(values[kept]))) @ (left[:, kept].T @ matrix)


def nuclear_norm(matrix: np.ndarray) -> float:
    """Sum of the singular values of a (k, p) matrix, k no more than p for speed."""
    return float(np.sqrt(np.maximum(eigvalsh(matrix @ matrix.T, driver="evd", check_finite=False), 0)).sum())


def restore(low: np.ndarray, found: list[Dictionaries], weights: Weights) -> np.ndarray:
    """Low-resolution features (m, p) as high-resolution ones, unit rows, by the dictionaries that rebuild each best."""
    codes = [code(low, one.low, weights) for one in found]
    errors = [np.square(low - c @ one.low).sum(axis=1) for c, one in zip(codes, found, strict=True)]
    best = np.argmin(errors, axis=0)
    candidates = [c @ one.mapping @ one.high for c, one in zip(codes, found, strict=True)]
    return normalize(np.stack(candidates)[best, np.arange(len(low))])


def squares(a: np.ndarray) -> float:
    return float(np.einsum("ij,ij->", a, a))
