# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Several looks at one image: boxes land where they belong, and each face comes once."""

from typing import List, Optional

import numpy as np
import pytest

from deid_ros.core.detection import Detector, Plan, look_at, make_detector
from deid_ros.core.detection.looks import Look, whole
from deid_ros.core.errors import DetectionError
from deid_ros.core.faces import Box, Face, Region


class Bright(Detector):
    """Sees a face where an image is white."""

    default_threshold = 0.2
    score = 0.9

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        rows, columns = np.nonzero(bgr[:, :, 0] > 127)
        if not rows.size or self.score < (self.default_threshold if threshold is None
                                          else threshold):
            return []
        left, top = float(columns.min()), float(rows.min())
        box = Box(left, top, columns.max() + 1 - left, rows.max() + 1 - top)
        eye = np.array([[left, top]] * 5, np.float32)
        return [Face(box, self.score, eye)]


@pytest.fixture
def image() -> np.ndarray:
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[60:100, 100:130] = 255
    return picture


@pytest.mark.parametrize('turns', range(4))
@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('scale', [0.5, 1.0, 2.0])
def test_boxes_land_where_they_belong(image: np.ndarray, scale: float, mirrored: bool,
                                      turns: int) -> None:
    look = Look(Region(40, 20, 240, 180), scale, mirrored, turns)
    face, = look_at(Bright(), image, Plan([look]))
    assert tuple(face.box) == pytest.approx((100, 60, 30, 40), abs=1)
    assert face.landmarks is not None
    x, y = face.landmarks[0]
    assert min(abs(x - 100), abs(x - 130)) <= 1
    assert min(abs(y - 60), abs(y - 100)) <= 1


def test_a_face_in_several_parts_comes_once_and_whole(image: np.ndarray) -> None:
    parts = [Look(Region(0, 0, 115, 200), 2.0), Look(Region(115, 0, 300, 200), 2.0)]
    face, = look_at(Bright(), image, Plan([whole(300, 200, 1.0), *parts]))
    assert face.box == Box(100, 60, 30, 40)
    # Where nothing shows it whole, all that is seen of it is treated.
    assert len(look_at(Bright(), image, Plan(parts))) == 2


def test_weak_faces_count_where_one_is_expected(image: np.ndarray) -> None:
    weak = Bright()
    weak.score = 0.1
    plan = Plan([whole(300, 200, 1.0)])
    assert look_at(weak, image, plan) == []
    assert len(look_at(weak, image, plan._replace(expected=[Box(102, 62, 30, 40)]))) == 1
    assert look_at(weak, image, plan._replace(expected=[Box(10, 62, 30, 40)])) == []


def test_nonsense_in_any_look_is_an_error(image: np.ndarray) -> None:
    weird = Bright()
    weird.score = float('nan')
    with pytest.raises(DetectionError):
        look_at(weird, image, Plan([whole(300, 200, 1.0), Look(Region(0, 0, 10, 10), 2.0)]))


def test_images_of_one_size_are_computed_at_once(portrait: np.ndarray) -> None:
    detector = make_detector('centerface')
    upright, mirrored = detector.detect_all([portrait, np.ascontiguousarray(portrait[:, ::-1])])
    assert upright[0].box == pytest.approx(detector.detect(portrait)[0].box, abs=0.01)
    assert len(mirrored) == 1
