"""XQDA and NFST on feature matrices, step by step as their releases are described, with nothing optimised.

The yardstick of ``methods/xqda.py`` and ``methods/nfst.py``, for their numbers and their speed; shares no code with
them.  Sources: LOMO_XQDA (XQDA.m, MahDist.m) and NullSpace_ReID (DNS.m, demo.m).
"""

import numpy as np


def xqda(
    gallery: np.ndarray, probe: np.ndarray, gallery_labels: np.ndarray, probe_labels: np.ndarray, ridge: float = 1e-3
) -> tuple[np.ndarray, np.ndarray]:
    """W (d, r) and M (r, r) from gallery rows (n, d) and probe rows (m, d)."""
    (n, d), m = gallery.shape, len(probe)
    basis = None
    if d > n + m:
        basis, coordinates = np.linalg.qr(np.vstack([gallery, probe]).T)
        gallery, probe = coordinates[:, :n].T, coordinates[:, n:].T
        d = n + m

    people = np.union1d(gallery_labels, probe_labels)
    gallery_sums, probe_sums = np.zeros((len(people), d)), np.zeros((len(people), d))
    gallery_weights, probe_weights = np.zeros(n), np.zeros(m)
    n_intra = 0
    for k, person in enumerate(people):
        in_gallery, in_probe = gallery_labels == person, probe_labels == person
        gallery_sums[k], probe_sums[k] = gallery[in_gallery].sum(axis=0), probe[in_probe].sum(axis=0)
        gallery_weights[in_gallery], probe_weights[in_probe] = np.sqrt(in_probe.sum()), np.sqrt(in_gallery.sum())
        n_intra += in_gallery.sum() * in_probe.sum()
    n_extra = n * m - n_intra

    weighted_gallery, weighted_probe = gallery_weights[:, None] * gallery, probe_weights[:, None] * probe
    intra = weighted_gallery.T @ weighted_gallery + weighted_probe.T @ weighted_probe
    intra -= gallery_sums.T @ probe_sums + probe_sums.T @ gallery_sums
    s, r = gallery.sum(axis=0), probe.sum(axis=0)
    extra = m * gallery.T @ gallery + n * probe.T @ probe - np.outer(s, r) - np.outer(r, s) - intra
    intra = intra / n_intra + ridge * np.eye(d)
    extra = extra / n_extra

    left, values, _ = np.linalg.svd(np.linalg.solve(intra, extra))
    directions = left[:, : max(1, np.count_nonzero(values > 1))]
    metric = np.linalg.inv(directions.T @ intra @ directions) - np.linalg.inv(directions.T @ extra @ directions)
    return (directions if basis is None else basis @ directions), metric


def xqda_distances(probe: np.ndarray, gallery: np.ndarray, projection: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """(n_probe, n_gallery) from feature rows."""
    p, g = probe @ projection, gallery @ projection
    return np.diag(p @ metric @ p.T)[:, None] + np.diag(g @ metric @ g.T) - 2 * p @ metric @ g.T


def nfst(kernel: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """P (N, C-1) from the training rows' kernel (N, N): a row t is projected as k(t, training rows) P."""
    n = len(kernel)
    people = np.unique(labels)
    mean = np.full((n, n), 1 / n)
    centring = np.eye(n) - mean
    values, vectors = np.linalg.eigh(centring @ kernel @ centring)
    basis = vectors[:, values > 1e-12] / np.sqrt(values[values > 1e-12])

    class_mean = np.zeros((n, n))
    for person in people:
        members = labels == person
        class_mean[np.ix_(members, members)] = 1 / members.sum()
    h = (centring @ basis).T @ kernel @ (np.eye(n) - class_mean)
    t = h @ h.T
    _, vectors = np.linalg.eigh((t + t.T) / 2)
    return centring @ basis @ vectors[:, : len(people) - 1]


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, m) squared Euclidean distances of rows (n, d) and (m, d), never below 0."""
    return np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T, 0)


def nfst_distances(train: np.ndarray, labels: np.ndarray, probe: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Fit on feature rows with the RBF kernel and match: (n_probe, n_gallery)."""
    train_squares = squared_distances(train, train)
    np.fill_diagonal(train_squares, 0)
    width = np.mean(train_squares)
    projection = nfst(np.exp(-train_squares / width), labels)
    p, g = (np.exp(-squared_distances(rows, train) / width) @ projection for rows in (probe, gallery))
    return np.sqrt(squared_distances(p, g))
