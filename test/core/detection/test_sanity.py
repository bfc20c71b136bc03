# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Nonsense from a detector is an error."""

import numpy as np
import pytest

from deid_ros.core.detection import check_faces
from deid_ros.core.errors import DetectionError
from deid_ros.core.faces import Box, Face

GOOD = Face(Box(10.0, 10.0, 20.0, 20.0), 0.9, np.zeros((5, 2), np.float32))
NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize('box', [
    GOOD.box, Box(-19.5, -19.5, 20, 20), Box(99.9, 49.9, 20, 20), Box(-100, -100, 500, 500),
])
def test_boxes_that_touch_the_image_are_normal(box: Box) -> None:
    faces = [Face(box, 0.5), GOOD]
    assert check_faces(faces, 100, 50) == faces


def test_no_face_is_normal() -> None:
    assert check_faces([], 100, 50) == []


@pytest.mark.parametrize('box', [
    Box(NAN, 10, 20, 20), Box(10, NAN, 20, 20), Box(10, 10, NAN, 20), Box(10, 10, 20, NAN),
    Box(-INF, 10, 20, 20), Box(10, 10, INF, 20), Box(10, 10, 0, 20), Box(10, 10, 20, -1),
    Box(100, 10, 20, 20), Box(10, 50, 20, 20), Box(-20, 10, 20, 20), Box(10, -21, 20, 20),
])
def test_a_box_of_nonsense_is_named(box: Box) -> None:
    with pytest.raises(DetectionError) as caught:
        check_faces([GOOD, Face(box, 0.9)], 100, 50)
    assert repr(box) in str(caught.value)


@pytest.mark.parametrize('score', [NAN, INF, -INF])
def test_a_score_of_nonsense_is_named(score: float) -> None:
    with pytest.raises(DetectionError, match=repr(score)):
        check_faces([Face(GOOD.box, score)], 100, 50)


@pytest.mark.parametrize('landmarks', [np.full((5, 2), NAN), np.zeros((4, 2)), np.zeros(10)])
def test_landmarks_of_nonsense_are_named(landmarks: np.ndarray) -> None:
    with pytest.raises(DetectionError, match='landmarks'):
        check_faces([Face(GOOD.box, 0.9, landmarks)], 100, 50)
