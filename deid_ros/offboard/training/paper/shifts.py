# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Targets for the encoder: the shifted latents of the training set (eq. 7–11).

X and Y are (N, D) float32 latents and targets; a set of samples is a row of an (N, n) integer
array of indices into X. The equations' matrices P and Q, with 1/n where a sample is in the set and
0 elsewhere, are never built: multiplying with them is the mean over the set.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin

#: People in each group whose mean replaces a single face in a table.
GROUP_SIZE = 3
# Samples that are compared with all others at once; bounds the memory.
_CHUNK = 1024


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


def nearest(latents: np.ndarray, rows: np.ndarray, columns: np.ndarray, n: int,
            codes: np.ndarray | None = None) -> np.ndarray:
    """Return the n nearest samples among `columns` of each sample in `rows`, the nearest first.

    :param rows: indices into `latents`, as `columns`.
    :param codes: (N,) numbers of the people; neighbours must then be other people. If None, rows
        and columns must have no sample in common.
    :return: (len(rows), n) indices into `latents`.
    :raises ValueError: when a sample has fewer than n that may be its neighbours.
    """
    if n > len(columns):
        raise ValueError(f'a sample has fewer than {n} others that may be in its set')
    candidates = latents[columns]
    # |c|² − 2 x·c is the squared distance less |x|², which does not change the order.
    squares = np.square(candidates).sum(axis=1)
    result = np.empty((len(rows), n), np.int64)
    for start in range(0, len(rows), _CHUNK):
        part = rows[start:start + _CHUNK]
        distances = squares - 2 * (latents[part] @ candidates.T)
        if codes is not None:
            np.copyto(distances, np.inf, where=codes[part][:, None] == codes[columns][None, :])
        found = np.argpartition(distances, n - 1, axis=1)[:, :n]
        nearest_distances = np.take_along_axis(distances, found, axis=1)
        if not np.isfinite(nearest_distances).all():
            raise ValueError(f'a sample has fewer than {n} others that may be in its set')
        order = np.argsort(nearest_distances, axis=1, kind='stable')
        result[start:start + _CHUNK] = columns[np.take_along_axis(found, order, axis=1)]
    return result


def _codes(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1].astype(np.int32)


def _other_people(latents: np.ndarray, identities: np.ndarray, n: int) -> np.ndarray:
    everyone = np.arange(len(latents))
    return nearest(latents, everyone, everyone, n, _codes(identities))


def supervised_shift(latents: np.ndarray, attributes: Sequence[np.ndarray], identities: np.ndarray,
                     *, n: int, alpha: float, beta: float) -> np.ndarray:
    """Shift by one attribute after the other, each starting from the last one's result.

    For each attribute, D_i^n holds the n nearest other people with the sample's own value, C_i^n
    the n nearest samples with another value; all by their distances before that attribute's shift.

    :param attributes: (N,) arrays of labels, in the order of application; the last counts most.
    """
    people = _codes(identities)
    for labels in attributes:
        attraction = np.empty((len(latents), n), np.int64)
        repulsion = np.empty((len(latents), n), np.int64)
        for value in np.unique(labels):
            same, clashing = np.flatnonzero(labels == value), np.flatnonzero(labels != value)
            attraction[same] = nearest(latents, same, same, n, people)
            if beta:
                repulsion[same] = nearest(latents, same, clashing, n)
        latents = attract(latents, attraction, alpha)
        if beta:
            latents = repel(latents, repulsion, beta)
    return latents


def cluster_centres(latents: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return the (k, D) float32 centres that k-means finds."""
    return KMeans(k, n_init=1, random_state=seed).fit(latents).cluster_centers_.astype(np.float32)


def representatives(latents: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return (k, D) float32 centres of small clusters, by mini-batch k-means."""
    means = MiniBatchKMeans(k, n_init=1, random_state=seed, batch_size=4096)
    return means.fit(latents).cluster_centers_.astype(np.float32)


def small_groups(latents: np.ndarray, identities: np.ndarray, *, count: int, size: int,
                 seed: int) -> np.ndarray:
    """Return (count, size) indices of groups of similar faces, each of `size` different people.

    Their means vary nearly as much as single faces, but none is the face of a person.

    :raises ValueError: when there are too few samples or people.
    """
    people = _codes(identities)
    if count > len(latents) or size > people.max() + 1:
        raise ValueError(f'{count} groups of {size} people cannot be made of {len(latents)} faces '
                         f'of {people.max() + 1} people')
    first = np.random.default_rng(seed).permutation(len(latents))[:count]
    squares = np.square(latents).sum(axis=1)
    groups = np.empty((count, size), np.int64)
    for start in range(0, count, _CHUNK):
        group = [first[start:start + _CHUNK]]
        distances = squares - 2 * (latents[group[0]] @ latents.T)
        while len(group) < size:
            np.copyto(distances, np.inf, where=people[group[-1]][:, None] == people[None, :])
            group.append(distances.argmin(axis=1))
        groups[start:start + _CHUNK] = np.stack(group, axis=1)
    return groups


def cluster_shift(latents: np.ndarray, centres: np.ndarray, alpha: float) -> np.ndarray:
    """Return (1 − α) x_i + α c_i, c_i the centre of the cluster that x_i lies in."""
    return (1 - alpha) * latents + alpha * centres[pairwise_distances_argmin(latents, centres)]


def neighbour_shift(latents: np.ndarray, identities: np.ndarray, *, n: int,
                    alpha: float) -> np.ndarray:
    """Return eq. (11), n_i the one of the n nearest other people nearest to the mean."""
    sets = _other_people(latents, identities, n)
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
            chosen = _other_people(cell, identities, n)[:, -1]
            targets[:, :, row, column] = (1 - alpha) * cell + alpha * cell[chosen]
    return targets
