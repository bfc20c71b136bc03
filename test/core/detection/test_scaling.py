# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Detection on a smaller copy."""

from typing import List, Optional

import numpy as np
import pytest

from deid_ros.core.detection import Detector, detect_at_width
from deid_ros.core.detection.centerface import CenterFace
from deid_ros.core.faces import Box, Face


class BrightSpot(Detector):
    """Reports the box around all bright pixels, and its corners as landmarks."""

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        self.shape, self.threshold = bgr.shape, threshold
        rows, columns = np.nonzero(bgr[:, :, 0] > 127)
        box = Box(float(columns.min()), float(rows.min()), float(np.ptp(columns) + 1),
                  float(np.ptp(rows) + 1))
        points = [(box.x, box.y), (box.x + box.width, box.y), (box.x, box.y), (box.x, box.y),
                  (box.x + box.width, box.y + box.height)]
        return [Face(box, 1.0, np.array(points, np.float32))]


@pytest.fixture
def image() -> np.ndarray:
    image = np.zeros((480, 1000, 3), np.uint8)
    image[120:160, 600:700] = 255
    return image


def test_maps_boxes_and_landmarks_back(image: np.ndarray) -> None:
    detector = BrightSpot()
    face, = detect_at_width(detector, image, 250, 0.7)
    assert detector.shape == (120, 250, 3)
    assert detector.threshold == 0.7
    assert face.box == Box(600, 120, 100, 40)
    assert face.landmarks is not None
    assert face.landmarks.dtype == np.float32
    np.testing.assert_array_equal(face.landmarks[[0, 4]], [(600, 120), (700, 160)])


@pytest.mark.parametrize('width', [0, 1000, 2000])
def test_never_enlarges(image: np.ndarray, width: int) -> None:
    detector = BrightSpot()
    assert detect_at_width(detector, image, width)[0].box == Box(600, 120, 100, 40)
    assert detector.shape == image.shape
    assert detector.threshold is None


def test_a_flat_image_keeps_a_row() -> None:
    detector = BrightSpot()
    assert detect_at_width(detector, np.full((1, 500, 3), 255, np.uint8), 10)[0].box.height == 1
    assert detector.shape == (1, 10, 3)


def test_a_real_face_is_where_it_was(portrait: np.ndarray) -> None:
    detector = CenterFace()
    full, = detector.detect(portrait)
    for width in (256, 301, 400):
        small, = detect_at_width(detector, portrait, width)
        assert small.box.iou(full.box) > 0.8
        assert small.landmarks is not None
        assert full.landmarks is not None
        assert np.abs(small.landmarks - full.landmarks).max() < 5
