# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who is it? dlib's face recognition network, as the judge of anonymization."""

import cv2
import numpy as np

from deid_ros.core.detection.dlib_hog import INSTALL_DLIB
from deid_ros.core.resources import require
from deid_ros.offboard.packaged import packaged_file

#: Descriptors further apart than this belong to two people (dlib: 99.4 % right on LFW).
SAME_PERSON = 0.6

# The network's input, and a border in which the landmarks of a tight crop can lie.
_SIZE = 150
_BORDER = 40


class FaceRecognizer:
    """Describes faces by 128 numbers that lie close together for the same person.

    :raises ConfigurationError: dlib or its networks (`face_recognition_models`) are missing.
    """

    def __init__(self) -> None:
        dlib = require('dlib', INSTALL_DLIB)
        self._landmarks = dlib.shape_predictor(
            _model_file('shape_predictor_5_face_landmarks.dat'))
        self._network = dlib.face_recognition_model_v1(
            _model_file('dlib_face_recognition_resnet_model_v1.dat'))
        # The crop is the face, so its rectangle is known and needs no detector: an anonymized
        # face, in which a detector may find nothing, is compared all the same.
        self._rectangle = dlib.rectangle(_BORDER, _BORDER, _BORDER + _SIZE - 1, _BORDER + _SIZE - 1)

    def describe(self, bgr: np.ndarray) -> np.ndarray:
        """Return the descriptor of a face, (128,) float64.

        :param bgr: (H, W, 3) uint8, cropped tight as by dlib's frontal detector.
        """
        shrinks = min(bgr.shape[:2]) > _SIZE
        crop = cv2.resize(bgr, (_SIZE, _SIZE),
                          interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        image = cv2.copyMakeBorder(crop, _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_REPLICATE)
        rgb = np.ascontiguousarray(image[:, :, ::-1])
        shape = self._landmarks(rgb, self._rectangle)
        return np.array(self._network.compute_face_descriptor(rgb, shape))

    def distance(self, one: np.ndarray, other: np.ndarray) -> float:
        """Return how far apart two faces (see `describe`) are; compare with `SAME_PERSON`."""
        return float(np.linalg.norm(self.describe(one) - self.describe(other)))


def _model_file(name: str) -> str:
    return str(packaged_file('face_recognition_models', f'models/{name}'))
