"""JUDEA, SLD2L and SDF on feature matrices, read off their descriptions (`methods/*.md`) with nothing optimised.

Oracles and baselines of the timings; they share no code with `methods`.
"""

from typing import Any

import numpy as np
from scipy.linalg import eigh
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

WIDEST = 400
"""How many principal coordinates SDF whitens."""


def judea_squared_distances(scales: list[np.ndarray], labels: np.ndarray, hcmd: float, ridge: float) -> np.ndarray:
    """Of the training rows among themselves, (n, n).  scales: rows (n, d) of the same images at two scales.

    Scatter matrices in the features' own space, by loops over images and people, and one generalised eigenproblem.
    """
    people = np.unique(labels)
    sizes = [rows.shape[1] for rows in scales]
    within, between = np.zeros((2, sum(sizes), sum(sizes)))
    centred, start = [], 0
    for rows, size in zip(scales, sizes, strict=True):
        part = slice(start, start + size)
        x = rows - rows.mean(axis=0)
        for row, label in zip(x, labels, strict=True):
            difference = row - x[labels == label].mean(axis=0)
            within[part, part] += np.outer(difference, difference) / len(labels)
        for person in people:
            mean = x[labels == person].mean(axis=0)
            between[part, part] += (labels == person).sum() * np.outer(mean, mean) / len(labels)
        within[part, part] += ridge * np.square(x).sum() / len(labels) ** 2 * np.eye(size)
        centred.append(x)
        start += size
    for person in people:
        difference = np.concatenate([centred[0][labels == person].mean(0), -centred[1][labels == person].mean(0)])
        within += hcmd * np.outer(difference, difference) / len(people)
    # Vectors w with w' within w = 1.
    values, vectors = eigh(between, within)
    w = vectors[:, np.argsort(-values)[: 2 * (len(people) - 1)]]
    projected = [x @ part for x, part in zip(centred, np.split(w, np.cumsum(sizes)[:-1]), strict=True)]
    return sum(np.square(z[:, None] - z).sum(axis=2) for z in projected)


def soft(values: np.ndarray, amount: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.maximum(np.abs(values) - amount, 0)


def sld2l(
    x: np.ndarray, y: np.ndarray, pair: np.ndarray, x_labels: np.ndarray, y_labels: np.ndarray, terms: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[float]]:
    """Both dictionaries, the mapping and the objective's course.

    x (n, p), y (m, p): unit rows, principal axes first; pair (m,): the row of x that a row of y is a copy of, -1 for
    genuine ones.  terms: the weights, by the names in `methods/sld2l.md`.  Ten rounds at most.
    """
    n, m, k = len(x), len(y), min(terms.atoms, x.shape[1])
    people = np.unique(np.concatenate([x_labels, y_labels]))
    of_x, of_y = (labels[:, None] == people for labels in (x_labels, y_labels))
    copy, genuine = pair >= 0, pair < 0
    pi, pi_genuine = of_x.mean(axis=0), of_y[genuine].mean(axis=0)
    beta = terms.separation * terms.ridge / (terms.discriminant + terms.ridge)
    d_x, d_y, mapping = np.eye(k, x.shape[1]), np.eye(k, y.shape[1]), np.eye(k)
    a, b = x @ d_x.T, y @ d_y.T
    weight = np.where(copy, terms.coupling * m / copy.sum(), terms.discriminant * m / genuine.sum())

    def best_centres() -> np.ndarray:
        total = of_x.T @ a / n + of_y[genuine].T @ (b[genuine] @ mapping) / genuine.sum()
        return np.linalg.solve(np.diag(pi + pi_genuine - beta * pi) + beta * np.outer(pi, pi), total)

    def aims() -> np.ndarray:
        found = of_y @ centres
        found[copy] = a[pair[copy]]
        return found

    def nuclear(d: np.ndarray) -> float:
        return np.linalg.svd(d, compute_uv=False).sum()

    def objective() -> float:
        value = np.square(x - a @ d_x).sum() / n + np.square(y - b @ d_y).sum() / m
        value += (weight[:, None] * np.square(b @ mapping - aims())).sum() / m
        value += terms.discriminant * np.square(a - of_x @ centres).sum() / n
        value -= terms.discriminant * beta * (pi[:, None] * np.square(centres - pi @ centres)).sum()
        value += terms.sparsity * (np.abs(a).sum() / n + np.abs(b).sum() / m)
        value += terms.ridge * (np.square(a).sum() / n + np.square(b).sum() / m)
        value += terms.mapping_ridge / k * np.square(mapping).sum()
        for d in (d_x, d_y):
            value += (terms.ridge * np.square(d).sum() + terms.low_rank * nuclear(d)) / k
        return value

    def better_dictionary(d: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        rate = 1 / np.linalg.norm(codes.T @ codes / len(rows) + terms.ridge / k * np.eye(k), 2)
        for _ in range(2):
            moved = d - rate * (codes.T @ (codes @ d - rows) / len(rows) + terms.ridge / k * d)
            left, values, right = np.linalg.svd(moved, full_matrices=False)
            d = (left * soft(values, rate * terms.low_rank / k / 2)) @ right
        return d

    centres = best_centres()
    course = [objective()]
    for _ in range(10):
        pulled = np.zeros_like(a)
        for row, of in zip(b[copy] @ mapping, pair[copy], strict=True):
            pulled[of] += row
        per_copy = terms.coupling * n / copy.sum()
        held = (per_copy * np.bincount(pair[copy], minlength=n) + terms.discriminant + terms.ridge)[:, None]
        rate = 1 / (np.linalg.norm(d_x @ d_x.T, 2) + held)
        for _ in range(5):
            slope = (a @ d_x - x) @ d_x.T + held * a - per_copy * pulled - terms.discriminant * (of_x @ centres)
            a = soft(a - rate * slope, rate * terms.sparsity / 2)
        pull, aim = weight[:, None], aims()
        rate = 1 / (np.linalg.norm(d_y @ d_y.T, 2) + terms.ridge + pull * np.linalg.norm(mapping @ mapping.T, 2))
        for _ in range(5):
            slope = (b @ d_y - y) @ d_y.T + terms.ridge * b + pull * ((b @ mapping - aim) @ mapping.T)
            b = soft(b - rate * slope, rate * terms.sparsity / 2)
        left = (pull * b).T @ b / m + terms.mapping_ridge / k * np.eye(k)
        mapping = np.linalg.solve(left, (pull * b).T @ aim / m)
        d_x, d_y = better_dictionary(d_x, a, x), better_dictionary(d_y, b, y)
        centres = best_centres()
        course.append(objective())
        if course[-2] - course[-1] < 1e-3 * abs(course[-2]):
            break
    return d_x, d_y, mapping, course


def whitened(train: np.ndarray, rows: np.ndarray, smoothing: float) -> np.ndarray:
    """Principal coordinates of the training rows, whitened, of unit length, for other rows."""
    mean = train.mean(axis=0)
    _, values, axes = np.linalg.svd(train - mean, full_matrices=False)
    kept = values > 1e-7 * values[0]
    variance = values[kept] ** 2 / len(train)
    found = ((rows - mean) @ axes[kept].T / np.sqrt(variance + smoothing * variance.mean()))[:, :WIDEST]
    return found / np.linalg.norm(found, axis=1)[:, None]


def sdf_distances(
    probe: list[np.ndarray],
    renderings: list[list[np.ndarray]],
    same: np.ndarray,
    scales: list[float],
    degree: int,
    c: float,
    smoothing: float = 3.0,
) -> np.ndarray:
    """Signed distances of the training pairs, (P, G).

    probe: the parts of the probes' features, (P, d) each; renderings: of the gallery images at each scale likewise, the
    first as they are.  same: (P, G) bool.
    """
    train = np.vstack([np.hstack(renderings[0]), np.hstack(probe)])
    probe = [*probe, whitened(train, np.hstack(probe), smoothing)]
    renderings = [[*parts, whitened(train, np.hstack(parts), smoothing)] for parts in renderings]
    curves = np.empty((*same.shape, len(probe), len(scales)))
    for p in range(len(same)):
        for s, parts in enumerate(renderings):
            for i, rows in enumerate(parts):
                curves[p, :, i, s] = np.square(rows - probe[i][p]).sum(axis=1)
    curves = (curves - curves.mean(axis=0)) / curves.std(axis=0)
    found = np.polynomial.polynomial.polyfit(scales, curves.reshape(-1, len(scales)).T, degree).T
    found = found.reshape(same.size, -1)
    surface = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000)).fit(found, same.ravel())
    return -surface.decision_function(found).reshape(same.shape)
