# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who is it? dlib's recognition network, as the judge of what chains and engines make."""

import cv2
import numpy as np

from deid_ros.core.detection.dlib_hog import INSTALL_DLIB
from deid_ros.core.resources import packaged_file, require


class FaceRecognizer:
    """Describes faces by 128 numbers that lie close together for the same person.

    :raises ConfigurationError: dlib or its networks (`face_recognition_models`) are missing.
    """

    NETWORK = 'dlib_face_recognition_resnet_model_v1.dat'
    LANDMARKS = 'shape_predictor_5_face_landmarks.dat'
    # The network's input, and a border in which the landmarks of a tight crop can lie.
    _SIZE, _BORDER = 150, 40

    def __init__(self) -> None:
        dlib = require('dlib', INSTALL_DLIB)
        self._predictor = dlib.shape_predictor(model_file(self.LANDMARKS))
        self._network = dlib.face_recognition_model_v1(model_file(self.NETWORK))
        # The crop is the face, so its rectangle is known and needs no detector: an anonymized
        # face, in which a detector may find nothing, is compared all the same.
        end = self._BORDER + self._SIZE - 1
        self._rectangle = dlib.rectangle(self._BORDER, self._BORDER, end, end)

    def describe(self, face: np.ndarray) -> np.ndarray:
        """Return the descriptor of a face, (128,) float64.

        :param face: (H, W, 3) BGR or (H, W) luminance, uint8, cropped tight as by dlib's frontal
            detector.
        """
        rgb = framed(face, self._SIZE, self._BORDER)
        shape = self._predictor(rgb, self._rectangle)
        return np.array(self._network.compute_face_descriptor(rgb, shape))

    def landmarks(self, face: np.ndarray) -> np.ndarray:
        """Return where dlib sees the corners of both eyes and the base of the nose.

        :param face: as for `describe`.
        :return: (5, 2) float64 (x, y) as shares of the crop's sides: outer and inner corner of
            the eye that is further right in the image, the same of the other eye, nose.
        """
        shape = self._predictor(framed(face, self._SIZE, self._BORDER), self._rectangle)
        points = np.array([(point.x, point.y) for point in shape.parts()], np.float64)
        return (points - self._BORDER) / self._SIZE

    def distance(self, one: np.ndarray, other: np.ndarray) -> float:
        """Return how far apart two faces (see `describe`) are; compare with `SAME_PERSON`."""
        return float(np.linalg.norm(self.describe(one) - self.describe(other)))


def framed(face: np.ndarray, size: int, border: int) -> np.ndarray:
    """Return the crop as RGB, `size` pixels a side, with its edge repeated `border` pixels wide."""
    rgb = cv2.cvtColor(face, cv2.COLOR_GRAY2RGB if face.ndim == 2 else cv2.COLOR_BGR2RGB)
    shrinks = min(face.shape[:2]) > size
    resized = cv2.resize(rgb, (size, size),
                         interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(resized, border, border, border, border, cv2.BORDER_REPLICATE)


def model_file(name: str) -> str:
    """Return the path of one of dlib's network files; raises as `packaged_file` does."""
    return str(packaged_file('face_recognition_models', f'models/{name}'))
