# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Targets for the encoder: where every latent of the training set is shifted to (eq. 7–11).

X and Y are (N, D) float32 latents and targets; a set of samples is a row of an (N, n) integer
array of indices into X. The equations' matrices P and Q, with 1/n where a sample is in the set and
0 elsewhere, are never built: multiplying with them is the mean over the set.
"""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin, pairwise_distances_chunked

#: (rows, columns) → which samples (columns) a sample (row) may have in its set, as booleans.
Allowed = Callable[[np.ndarray, np.ndarray], np.ndarray]


def set_means(latents: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Return the (N, D) means over the sets: P X of (7)–(8), Q Y of (9)–(10)."""
    total = np.zeros((len(sets), latents.shape[1]), np.float32)
    for column in sets.T:
        total += latents[column]
    return total / np.float32(sets.shape[1])


def attract(latents: np.ndarray, attraction_sets: np.ndarray, alpha: float) -> np.ndarray:
    """Return Y with y_i = (1 − α) x_i + α P_i X, eq. (7)–(8)."""
    return (1 - alpha) * latents + alpha * set_means(latents, attraction_sets)


def repel(targets: np.ndarray, repulsion_sets: np.ndarray, beta: float) -> np.ndarray:
    """Return Z with z_i = (1 + β) y_i − β Q_i Y, eq. (9)–(10)."""
    return (1 + beta) * targets - beta * set_means(targets, repulsion_sets)


def nearest(latents: np.ndarray, n: int, allowed: Allowed) -> np.ndarray:
    """Return the (N, n) nearest allowed other samples of every sample, the nearest first.

    :raises ValueError: when a sample has fewer than n allowed others.
    """
    columns = np.arange(len(latents))

    def nearest_in_chunk(squared: np.ndarray, start: int) -> np.ndarray:
        rows = np.arange(start, start + len(squared))
        squared[~allowed(rows[:, None], columns[None, :])] = np.inf
        squared[np.arange(len(rows)), rows] = np.inf
        found = np.argpartition(squared, n - 1, axis=1)[:, :n]
        distances = np.take_along_axis(squared, found, axis=1)
        if not np.isfinite(distances).all():
            raise ValueError(f'a sample has fewer than {n} others that may be in its set')
        return np.take_along_axis(found, np.argsort(distances, axis=1, kind='stable'), axis=1)

    if n >= len(latents):
        raise ValueError(f'{n} neighbours asked of {len(latents)} samples')
    return np.concatenate(list(pairwise_distances_chunked(
        latents, reduce_func=nearest_in_chunk, metric='sqeuclidean', working_memory=256)))


def other_identities(identities: np.ndarray) -> Allowed:
    """Allow samples of other people: the same identity is what a shift must lead away from."""
    codes = np.unique(identities, return_inverse=True)[1]
    return lambda rows, columns: codes[rows] != codes[columns]


def supervised_shift(latents: np.ndarray, attributes: Sequence[np.ndarray], identities: np.ndarray,
                     *, n: int, alpha: float, beta: float) -> np.ndarray:
    """Shift by one attribute after the other, each starting from the last one's result.

    For each attribute, D_i^n holds the n nearest other people with the sample's own value, C_i^n
    the n nearest samples with another value.

    :param attributes: (N,) arrays of labels, in the order of application; the last counts most.
    """
    others = other_identities(identities)
    for labels in attributes:
        codes = np.unique(labels, return_inverse=True)[1]

        def same(rows: np.ndarray, columns: np.ndarray, codes: np.ndarray = codes) -> np.ndarray:
            return (codes[rows] == codes[columns]) & others(rows, columns)

        def clashing(rows: np.ndarray, columns: np.ndarray,
                     codes: np.ndarray = codes) -> np.ndarray:
            return codes[rows] != codes[columns]

        targets = attract(latents, nearest(latents, n, same), alpha)
        if beta:
            targets = repel(targets, nearest(latents, n, clashing), beta)
        latents = targets
    return latents


def cluster_centres(latents: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return the (k, D) float32 centres that k-means finds."""
    return KMeans(k, n_init=1, random_state=seed).fit(latents).cluster_centers_.astype(np.float32)


def representatives(latents: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return (k, D) float32 centres of small clusters, a quick stand-in for all the latents."""
    means = MiniBatchKMeans(k, n_init=1, random_state=seed, batch_size=4096)
    return means.fit(latents).cluster_centers_.astype(np.float32)


def cluster_shift(latents: np.ndarray, centres: np.ndarray, alpha: float) -> np.ndarray:
    """Return (1 − α) x_i + α c_i, c_i the centre of the cluster that x_i lies in."""
    return (1 - alpha) * latents + alpha * centres[pairwise_distances_argmin(latents, centres)]


def neighbour_shift(latents: np.ndarray, identities: np.ndarray, *, n: int,
                    alpha: float) -> np.ndarray:
    """Return eq. (11), n_i the one of the n nearest other people nearest to the mean."""
    sets = nearest(latents, n, other_identities(identities))
    from_mean = np.square(latents - latents.mean(axis=0)).sum(axis=1)
    chosen = sets[np.arange(len(sets)), np.argmin(from_mean[sets], axis=1)]
    return (1 - alpha) * latents + alpha * latents[chosen]


def cell_shift(latents: np.ndarray, identities: np.ndarray, *, n: int,
               alpha: float) -> np.ndarray:
    """Shift each cell towards its n-th nearest neighbour among the same cells of other people.

    :param latents: (N, channels, 2, 2); up to four identities are combined in one face.
    """
    targets = latents.copy()
    for row in range(latents.shape[2]):
        for column in range(latents.shape[3]):
            cell = np.ascontiguousarray(latents[:, :, row, column])
            chosen = nearest(cell, n, other_identities(identities))[:, -1]
            targets[:, :, row, column] = (1 - alpha) * cell + alpha * cell[chosen]
    return targets
