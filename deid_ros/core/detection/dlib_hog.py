# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""dlib's frontal face detector: gradients and a linear classifier, no network."""

import threading
from typing import Any, List, Optional

import numpy as np

from deid_ros.core.detection.detector import Detector
from deid_ros.core.faces import Box, Face
from deid_ros.core.resources import require

INSTALL_DLIB = 'pip install dlib-bin (or, where that has no build, pip install dlib)'


class DlibHog(Detector):
    """Finds upright frontal faces from 80 px on, without landmarks.

    Scores are distances from the classifier's boundary, about -1…4. dlib's own threshold is 0; the
    default here finds half as many faces again, with next to no wrong ones.

    :raises ConfigurationError: the package `dlib` is missing.
    """

    name = 'dlib_hog'
    default_threshold = -0.2

    def __init__(self) -> None:
        self._detector = require('dlib', INSTALL_DLIB).get_frontal_face_detector()
        # The detector object holds the image's feature pyramid.
        self._lock = threading.Lock()

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        """Return the faces of an image; see `Detector.detect`."""
        if threshold is None:
            threshold = self.default_threshold
        with self._lock:
            rectangles, scores, _ = self._detector.run(
                np.ascontiguousarray(bgr[:, :, ::-1]), 0, threshold)
        return [Face(box_of(rectangle), score) for rectangle, score in zip(rectangles, scores)]


def box_of(rectangle: Any) -> Box:
    """Return a `dlib.rectangle`, whose right and bottom pixels belong to it, as a box."""
    return Box(float(rectangle.left()), float(rectangle.top()),
               float(rectangle.width()), float(rectangle.height()))
