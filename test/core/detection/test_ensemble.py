# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Several detectors as one."""

from typing import List, Optional, Sequence

import numpy as np
import pytest

from deid_ros.core.detection import Detector, make_detector
from deid_ros.core.detection.ensemble import Ensemble
from deid_ros.core.errors import DetectionError
from deid_ros.core.faces import Box, Face

IMAGE = np.zeros((100, 200, 3), np.uint8)
LEFT, RIGHT = Box(10, 10, 40, 40), Box(120, 20, 40, 40)


class Fixed(Detector):
    """Reports the same boxes always."""

    def __init__(self, name: str, boxes: Sequence[Box], score: float = 0.5,
                 device: str = 'cpu') -> None:
        self.name, self.device = name, device
        self.faces = [Face(box, score) for box in boxes]
        self.thresholds: List[Optional[float]] = []

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        self.thresholds.append(threshold)
        return self.faces


def boxes_of(*detectors: Detector) -> List[Box]:
    return [face.box for face in Ensemble(detectors).detect(IMAGE)]


def test_keeps_what_any_detector_saw() -> None:
    assert boxes_of(Fixed('a', [LEFT]), Fixed('b', [RIGHT]), Fixed('c', [])) == [LEFT, RIGHT]


def test_one_face_seen_twice_has_the_box_of_the_first_detector() -> None:
    shifted = LEFT._replace(x=14.0)
    assert boxes_of(Fixed('a', [LEFT], 0.1), Fixed('b', [RIGHT, shifted], 0.9)) == [LEFT, RIGHT]


def test_neighbours_that_one_detector_tells_apart_stay_apart() -> None:
    near = LEFT._replace(x=20.0)
    assert near.iou(LEFT) > 0.5
    assert boxes_of(Fixed('a', []), Fixed('b', [LEFT, near])) == [LEFT, near]


def test_a_large_box_does_not_hide_two_faces() -> None:
    both, faces = Box(10, 10, 80, 40), [Box(10, 10, 40, 40), Box(50, 10, 40, 40)]
    assert boxes_of(Fixed('a', [both]), Fixed('b', faces)) == [both] + faces


def test_passes_the_threshold_on() -> None:
    detectors = [Fixed('a', [LEFT]), Fixed('b', [RIGHT])]
    ensemble = Ensemble(detectors)
    ensemble.detect(IMAGE)
    ensemble.detect(IMAGE, 0.7)
    assert [each.thresholds for each in detectors] == [[None, 0.7]] * 2


def test_nonsense_is_not_hidden_by_a_good_box() -> None:
    with pytest.raises(DetectionError, match='nan'):
        boxes_of(Fixed('a', [LEFT]), Fixed('b', [LEFT._replace(y=float('nan'))]))


def test_a_failure_of_one_is_a_failure() -> None:
    class Broken(Fixed):
        def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
            raise RuntimeError('broken')

    with pytest.raises(RuntimeError, match='broken'):
        boxes_of(Fixed('a', [LEFT]), Broken('b', []))


def test_reports_names_and_device() -> None:
    ensemble = Ensemble([Fixed('a', []), Fixed('b', [], device='cuda')])
    assert (ensemble.name, ensemble.device) == ('a+b', 'cuda')


def test_real_detectors_agree_on_one_face(portrait: np.ndarray) -> None:
    ensemble = make_detector(['centerface', 'libfacedetection'])
    face, = ensemble.detect(portrait)
    assert face.landmarks is not None
