"""Coupled low-rank dictionaries of both resolutions, learnt by alternating minimisation (`sld2l.md`)."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt
from scipy.linalg import eigh, eigvalsh
from sklearn.cluster import KMeans
from sklearn.preprocessing import normalize

PART = ("dictionaries", 1)

BATCH = 4_096
CODING_STEPS = 50
ITERATIONS = 10
TOLERANCE = 1e-3
"""What an iteration must gain for another to follow, as a share of the objective."""


@dataclass(kw_only=True, eq=False, repr=False)
class Terms:
    """The size of the dictionaries and the weights of the objective's terms (`sld2l.md`).

    atoms: of each dictionary.
    coupling: weight of a gallery image's code against the mapped code of its shrunk copies.
    discriminant: weight of the codes' scatter about their person's centre.
    separation: in [0, 1), how much of the largest weight that keeps the objective above 0 pushes the centres apart.
    sparsity, ridge: weights of the codes' absolute and squared values.
    mapping: False for the identity in the mapping's place.  mapping_ridge: weight of its squared values.
    low_rank: weight of the dictionaries' nuclear norm, 0 to leave it out.
    """

    atoms: Annotated[int, Gt(0)] = 150
    coupling: Annotated[float, Ge(0)] = 0.3
    discriminant: Annotated[float, Gt(0)] = 1.0
    separation: Annotated[float, Ge(0), Lt(1)] = 0.9
    sparsity: Annotated[float, Ge(0)] = 0.01
    ridge: Annotated[float, Gt(0)] = 0.1
    mapping: bool = True
    mapping_ridge: Annotated[float, Gt(0)] = 0.01
    low_rank: Annotated[float, Ge(0)] = 0.1


@dataclass
class Dictionaries:
    """high (k, p), low (k, p): atoms in rows; mapping (k, k): a low-resolution code b becomes b @ mapping.

    objective: its value before the first and after every iteration.
    """

    high: np.ndarray
    low: np.ndarray
    mapping: np.ndarray
    objective: list[float]


def fit_clusters(
    x: np.ndarray,
    y: np.ndarray,
    pair: np.ndarray,
    x_labels: np.ndarray,
    y_labels: np.ndarray,
    terms: Terms,
    clusters: int,
) -> list[Dictionaries]:
    """Dictionaries for each cluster of people (k-means of their mean features); arguments as of `fit_dictionaries`."""
    people, index = np.unique(np.concatenate([x_labels, y_labels]), return_inverse=True)
    if clusters == 1 or len(people) < 2 * clusters:
        return [fit_dictionaries(x, y, pair, x_labels, y_labels, terms)]
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
            found.append(fit_dictionaries(x[g], y[p], position[pair[p]], x_labels[g], y_labels[p], terms))
    return found


def fit_dictionaries(
    x: np.ndarray, y: np.ndarray, pair: np.ndarray, x_labels: np.ndarray, y_labels: np.ndarray, terms: Terms
) -> Dictionaries:
    """Alternating minimisation of the objective of `sld2l.md`, which never increases.

    x (n, p): high-resolution features, unit rows, principal axes first; x_labels (n,).  y (m, p): low-resolution
    features; y_labels (m,).  pair (m,): the row of x that a row of y is the shrunk copy of, -1 for a genuine one.

    Memory beside x and y: codes (n + m, atoms), residuals of y's size, arrays of BATCH rows and of atoms x p.
    """
    problem = Problem(x, y, pair, x_labels, y_labels, terms)
    objective = [problem.objective()]
    for _ in range(ITERATIONS):
        problem.step()
        objective.append(problem.objective())
        if objective[-2] - objective[-1] < TOLERANCE * abs(objective[-2]):
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
        terms: Terms,
    ) -> None:
        self.x, self.y, self.pair, self.terms = x, y, pair, terms
        n, m, w = len(x), len(y), terms
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
        w, n, m = self.terms, len(self.x), len(self.y)
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
        w, n, m = self.terms, len(self.x), len(self.y)
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
    terms: Terms,
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
    gram = dictionary @ dictionary.T + terms.ridge * np.eye(len(dictionary))
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
            codes = np.sign(moved) * np.maximum(np.abs(moved) - rate * terms.sparsity / 2, 0)
        out[batch] = codes
    return out


def improve_dictionary(dictionary: np.ndarray, codes: np.ndarray, rows: np.ndarray, terms: Terms) -> np.ndarray:
    """Two proximal gradient steps on |rows - codes D|^2 / n + (ridge |D|^2 + low_rank |D|_*) / atoms, from D (k, p)."""
    second, cross = codes.T @ codes / len(rows), codes.T @ rows / len(rows)
    second += terms.ridge / len(dictionary) * np.eye(len(dictionary))
    rate = 1 / np.linalg.norm(second, 2)
    for _ in range(2):
        dictionary = dictionary - rate * (second @ dictionary - cross)
        dictionary = shrink_singular_values(dictionary, rate * terms.low_rank / len(dictionary) / 2)
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


def restore(low: np.ndarray, found: list[Dictionaries], terms: Terms) -> np.ndarray:
    """Low-resolution features (m, p) as high-resolution ones, unit rows, by the dictionaries that rebuild each best."""
    codes = [code(low, one.low, terms) for one in found]
    errors = [np.square(low - c @ one.low).sum(axis=1) for c, one in zip(codes, found, strict=True)]
    best = np.argmin(errors, axis=0)
    candidates = [c @ one.mapping @ one.high for c, one in zip(codes, found, strict=True)]
    return normalize(np.stack(candidates)[best, np.arange(len(low))])


def squares(a: np.ndarray) -> float:
    return float(np.einsum("ij,ij->", a, a))
