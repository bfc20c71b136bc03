# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The people of the training set; no new face may show one of them."""

import numpy as np

from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.datasets import Faces, tight
from deid_ros.offboard.common.recognition import distances
from deid_ros.offboard.common.store import Store

#: A face is too close to a training identity if it is nearer than this share of unseen people are
#: to their nearest one.
CLOSE_QUANTILE = 0.05
_CHUNK = 256


class TrainingPeople:
    """The people of the training set.

    :param described: (N, 128) descriptors of the training faces.
    :param identities: (N,) the people in them.
    """

    def __init__(self, described: np.ndarray, identities: np.ndarray) -> None:
        order = np.argsort(identities, kind='stable')
        self._described = described[order]
        #: (P,) names of the people, sorted.
        self.people, self._starts = np.unique(identities[order], return_index=True)
        #: (N,) index in `people` of each training face.
        self.codes = np.searchsorted(self.people, identities)

    def distances(self, described: np.ndarray) -> np.ndarray:
        """Return the (M, P) float32 distances of (M, 128) descriptors to each identity."""
        return np.concatenate([
            np.minimum.reduceat(distances(described[start:start + _CHUNK], self._described),
                                self._starts, axis=1)
            for start in range(0, len(described), _CHUNK)])


def people_of(training: Faces, store: Store | None) -> TrainingPeople:
    """Return the people of the training set, in luminance.

    :param training: (N, 96, 96, 3) faces, see `training_faces`.
    """
    faces = tight(training, color=False)
    return TrainingPeople(face_networks.descriptors(faces.pixels, store), faces.identities)
