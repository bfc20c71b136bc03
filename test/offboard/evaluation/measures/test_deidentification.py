# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The measures: known shares, known faces."""

from itertools import islice

import cv2
import numpy as np
import pytest
from descriptors import on_a_line
from shared_data import shared_data

from deid_ros.core.errors import ConfigurationError
from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.datasets import encoded_images, load_faces
from deid_ros.offboard.evaluation.measures import deidentification


def test_pairs_are_distinct_and_repeatable():
    first, second = deidentification.random_pairs(30, 200)
    assert len(set(zip(first, second, strict=True))) == 200
    assert (first < second).all()
    again = deidentification.random_pairs(30, 200)
    assert np.array_equal(first, again[0])
    assert len(deidentification.random_pairs(5)[0]) == 10  # no more pairs than there are


def test_other_person_beyond_the_threshold():
    one = np.zeros((3, 128), np.float32)
    other = one.copy()
    other[:, 0] = [0.0, 0.6, 0.61]
    assert list(deidentification.differing(one, other)) == [False, False, True]


def test_figures_of_known_descriptors():
    originals = on_a_line(0, 1, 2, 3)
    new = on_a_line(0.5, 1.7, 2.0, 3.7)
    assert deidentification.deid(originals, new).value == 50
    # 1.2, 1.5, 3.2, 0.3, 2, 1.7 apart
    assert deidentification.div(new).value == pytest.approx(100 * 5 / 6)
    assert deidentification.div(new).count == 6
    assert deidentification.div(new, pairs=4).count == 4
    assert deidentification.fcns(np.array([True, False, True, True])).value == 75


@pytest.fixture(scope='module')
def few_faces(tmp_path_factory, dlib_networks):
    folder = tmp_path_factory.mktemp('faces')
    for name, content in islice(encoded_images(shared_data() / 'lfw.tar'), 0, 13000, 1000):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_real_faces_are_found_and_cropped_once(few_faces, tmp_path, monkeypatch):
    faces = load_faces(few_faces, tmp_path, choice='central')
    assert len(faces) >= 12
    assert faces.pixels.shape[1:] == (64, 64, 3)
    assert len(set(faces.identities)) == len(faces)
    monkeypatch.setattr('deid_ros.offboard.common.datasets._crops', None)
    again = load_faces(few_faces, tmp_path, choice='central')
    assert np.array_equal(again.pixels, faces.pixels)


def test_real_faces_are_faces_and_blurred_ones_are_not(few_faces, tmp_path):
    faces = load_faces(few_faces, tmp_path, choice='central').pixels
    blurred = np.stack([cv2.GaussianBlur(face, (0, 0), 9) for face in faces])
    assert face_networks.detected(faces).all()
    assert not face_networks.detected(blurred).any()
    described = face_networks.descriptors(faces)
    first, second = deidentification.random_pairs(len(faces))
    assert deidentification.differing(described[first], described[second]).mean() > 0.9
    brighter = np.clip(faces * 1.2, 0, 255).astype(np.uint8)
    assert not deidentification.differing(described, face_networks.descriptors(brighter)).any()


def test_unreadable_image_is_an_error(tmp_path, dlib_networks):
    (tmp_path / 'faces').mkdir()
    (tmp_path / 'faces' / 'broken.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match='broken.jpg cannot be read as an image'):
        load_faces(tmp_path / 'faces', tmp_path)


def test_number_of_processes_must_be_one(tmp_path, monkeypatch):
    monkeypatch.setenv('DEID_ROS_PROCESSES', '0')
    with pytest.raises(ConfigurationError, match="DEID_ROS_PROCESSES is '0'"):
        face_networks.detected(np.arange(30, dtype=np.uint8).repeat(64 * 64).reshape(30, 64, 64))


def test_missing_or_faceless_data_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        load_faces(tmp_path / 'nowhere', tmp_path)
    pytest.importorskip('dlib')
    (tmp_path / 'empty').mkdir()
    cv2.imwrite(str(tmp_path / 'empty' / 'gray.png'), np.full((90, 90, 3), 90, np.uint8))
    with pytest.raises(ValueError, match='no face'):
        load_faces(tmp_path / 'empty', tmp_path)
