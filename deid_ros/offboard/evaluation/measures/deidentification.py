# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The paper's measures of de-identified 64×64 faces (section 4.1): FCNS, DEID, DIV."""

import numpy as np

from deid_ros.offboard.common.recognition import SAME_PERSON
from deid_ros.offboard.evaluation.measures.figures import SEED, Figure, pair_share, share


def differing(descriptors_a: np.ndarray, descriptors_b: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether each pair of descriptors belongs to different people (DEID)."""
    return np.linalg.norm(descriptors_a - descriptors_b, axis=1) > SAME_PERSON


def random_pairs(count: int, pairs: int = 10_000, seed: int = SEED
                 ) -> tuple[np.ndarray, np.ndarray]:
    """Return the two indices of distinct random pairs out of `count` faces, for DIV."""
    first, second = np.triu_indices(count, 1)
    chosen = np.random.default_rng(seed).permutation(len(first))[:pairs]
    return first[chosen], second[chosen]


def fcns(found: np.ndarray) -> Figure:
    """Return FCNS: the share of faces in which a face is found.

    :param found: (N,) bool, see `face_networks.detected`.
    """
    return share(found)


def deid(originals: np.ndarray, described: np.ndarray) -> Figure:
    """Return DEID: the share of new faces further than 0.6 from their own original.

    :param originals: (N, 128) descriptors of the originals.
    :param described: (N, 128) descriptors of the new faces, in the same order.
    """
    return share(differing(originals, described))


def div(described: np.ndarray, pairs: int = 10_000) -> Figure:
    """Return DIV: the share of random pairs of new faces that are further than 0.6 apart.

    :param described: (N, 128) descriptors of the new faces, N at least 2.
    :param pairs: how many distinct pairs; all there are where that is less.
    """
    first, second = random_pairs(len(described), pairs)
    return pair_share(differing(described[first], described[second]), first, second)
