# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What holds for every detector, on real photos."""

import warnings
from typing import Any

import cv2
import numpy as np
import pytest
from missing import offboard
from shared_data import shared_data

from deid_ros.core.detection import Detector, check_faces, detect_at_width
from deid_ros.core.faces import Box

#: The face of the portrait, measured by hand.
FACE = Box(180, 65, 88, 110)
FAST = ('centerface', 'yunet', 'libfacedetection', 'dlib_hog')
WITH_LANDMARKS = ('centerface', 'yunet')

pytestmark = pytest.mark.filterwarnings('ignore:Image size')  # libfacedetection above 960 px


def only(*names: str) -> Any:
    return pytest.mark.parametrize('detector', names, indirect=True)


def test_finds_the_portrait(detector: Detector, portrait: np.ndarray) -> None:
    faces = check_faces(detector.detect(portrait), 512, 512)
    best = max(faces, key=lambda face: face.score)
    assert best.box.iou(FACE) > 0.5
    assert all(face.score >= detector.default_threshold for face in faces)
    assert all(type(value) is float for face in faces for value in (*face.box, face.score))


@only(*WITH_LANDMARKS)
def test_landmarks_lie_on_the_face(detector: Detector, portrait: np.ndarray) -> None:
    expected = [(203, 102), (247, 104), (223, 126), (203, 142), (242, 144)]
    points = detector.detect(portrait)[0].landmarks
    assert points is not None
    assert points.dtype == np.float32
    assert np.abs(points - expected).max() < 5


@only(*WITH_LANDMARKS)
def test_landmarks_of_a_mirrored_face_are_left_first_too(detector: Detector,
                                                         portrait: np.ndarray) -> None:
    points = detector.detect(np.ascontiguousarray(portrait[:, ::-1]))[0].landmarks
    assert points is not None
    assert points[0, 0] < points[1, 0]
    assert points[3, 0] < points[4, 0]


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (31, 33), (1, 500), (500, 1), (17, 300)])
@pytest.mark.parametrize('value', [0, 255])
def test_finds_nothing_in_plain_images_of_any_shape(detector: Detector, height: int, width: int,
                                                    value: int) -> None:
    assert detector.detect(np.full((height, width, 3), value, np.uint8)) == []


@only(*FAST)
def test_is_not_confused_by_changing_sizes(detector: Detector, portrait: np.ndarray) -> None:
    sizes = [(512, 512), (300, 317), (640, 480), (512, 512)]
    first = [detector.detect(cv2.resize(portrait, size))[0].box for size in sizes]
    for size, box in zip(sizes, first):
        detector.detect(np.zeros((20, 300, 3), np.uint8))
        assert detector.detect(cv2.resize(portrait, size))[0].box == box


@only('centerface', 'libfacedetection')
def test_takes_4k_images(detector: Detector, portrait: np.ndarray) -> None:
    large = np.zeros((2160, 3840, 3), np.uint8)
    large[1500:2012, 3200:3712] = portrait
    faces = check_faces(detector.detect(large), 3840, 2160)
    assert any(face.box.iou(FACE._replace(x=FACE.x + 3200, y=FACE.y + 1500)) > 0.5
               for face in faces)


@only(*FAST)
def test_takes_any_memory_layout(detector: Detector, portrait: np.ndarray) -> None:
    view = np.zeros((512, 600, 4), np.uint8)[:, 30:542, 2::-1]
    view[...] = portrait
    assert view.strides[2] < 0
    assert detector.detect(view)[0].box == detector.detect(portrait)[0].box


@only(*FAST)
def test_leaves_the_image_as_it_is(detector: Detector, portrait: np.ndarray) -> None:
    image = portrait.copy()
    image.setflags(write=False)
    detector.detect(image)
    assert (image == portrait).all()


@only('centerface', 'yunet')
def test_keeps_a_face_that_the_edge_cuts(detector: Detector, portrait: np.ndarray) -> None:
    # 230 and 140 are no multiples of 32, so the networks see padding beside the cut face.
    for image in (portrait[:, :230], portrait[:140], portrait[:, 200:], portrait[90:]):
        height, width = image.shape[:2]
        assert check_faces(detector.detect(image), width, height)


@only(*FAST)
def test_threshold_only_filters(detector: Detector, portrait: np.ndarray) -> None:
    assert detector.detect(portrait, 99.0) == []
    low = detector.detect(portrait, detector.default_threshold)
    assert [face.box for face in low] == [face.box for face in detector.detect(portrait)]


@pytest.mark.parametrize(('detector', 'recall'), [
    ('centerface', 0.95), ('yunet', 0.94), ('libfacedetection', 0.85), ('dlib_hog', 0.03),
], indirect=['detector'])
def test_recall_on_photos(detector: Detector, recall: float) -> None:
    detection = offboard('evaluation.detection')
    photos = detection.read_photos(shared_data() / 'detection_dev.tar', 15)
    result = detection.measure(detector, photos, 640, None)
    assert np.mean([found for _, found in result.faces]) >= recall
    assert result.false_positives.mean() < 6


@only('centerface')
def test_every_box_in_a_crowd_is_sane(detector: Detector) -> None:
    capture = cv2.VideoCapture(str(shared_data() / 'clips' / 'street_1080p.mp4'))
    decoded, frame = capture.read()
    assert decoded
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert len(check_faces(detect_at_width(detector, frame, 960, 0.05), 1920, 1080)) > 4
