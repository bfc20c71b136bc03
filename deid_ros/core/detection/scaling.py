# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Detection on a smaller copy of the image, which costs less time."""

from typing import List, Optional

import cv2
import numpy as np

from deid_ros.core.detection.detector import Detector
from deid_ros.core.faces import Face


def detect_at_width(detector: Detector, bgr: np.ndarray, width: int = 0,
                    threshold: Optional[float] = None) -> List[Face]:
    """Return the faces of an image that the detector sees shrunk to `width` pixels.

    :param bgr: (H, W, 3) uint8, color order blue, green, red.
    :param width: width of the image given to the detector, in pixels; its height follows. 0, or
        at least W, means the image as it is: enlarging adds time but nothing to see.
    :param threshold: least score to report; None means the detector's default.
    :returns: faces in pixels of `bgr`.
    :raises DetectionError: whatever the detector raises.
    """
    full_height, full_width = bgr.shape[:2]
    if not 0 < width < full_width:
        return detector.detect(bgr, threshold)
    height = max(1, int(round(full_height * width / full_width)))
    # Area interpolation: others alias, and small faces turn into noise.
    small = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA)
    factors = full_width / width, full_height / height
    return [_scaled(face, factors[0], factors[1]) for face in detector.detect(small, threshold)]


def _scaled(face: Face, factor_x: float, factor_y: float) -> Face:
    landmarks = face.landmarks
    if landmarks is not None:
        landmarks = landmarks * np.array([factor_x, factor_y], np.float32)
    return Face(face.box.scaled(factor_x, factor_y), face.score, landmarks)
