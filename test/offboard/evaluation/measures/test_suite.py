# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which measures are taken: those for which there is what they need."""

import cv2
import numpy as np
import pytest
from fakes import FakeDetector

pytest.importorskip('sklearn')
pytest.importorskip('skimage')

from deid_ros.core.faces import Box  # noqa: E402
from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.datasets import (
    Faces,  # noqa: E402
    tight,
)
from deid_ros.offboard.common.training_people import TrainingPeople
from deid_ros.offboard.evaluation.measures import suite
from deid_ros.offboard.evaluation.measures.catalogue import MEASURES  # noqa: E402

ALWAYS = {'FCNS', 'DEID', 'DIV', 'unchanged', 'ANON', 'landmarks', 'roll', 'yaw'}


@pytest.fixture(scope='module')
def faces(portrait_crops):
    darker = [cv2.subtract(face, np.full_like(face, 20)) for face in portrait_crops]
    return Faces(np.stack([*portrait_crops, *darker]), np.array(['1', '2', '3', '4']),
                 np.array(['a', 'b', 'a', 'b']))


def test_identity_is_no_anonymizer(faces, tmp_path):
    unknown = Faces(faces.pixels, faces.names, np.array(['all'] * 4))
    figures = suite.measure(suite.Originals(unknown), faces.pixels)
    assert set(figures) == ALWAYS
    assert figures['DEID'].value == 0
    assert figures['unchanged'].value == 100
    assert figures['landmarks'].value == figures['yaw'].value == 0
    assert figures['DIV'].value == pytest.approx(100 * 4 / 6), 'two of six pairs are of one person'
    assert figures['ANON'].value == 2


def test_what_is_known_adds_measures(faces):
    described = face_networks.descriptors(faces.pixels)
    originals = suite.Originals(faces, training_people=TrainingPeople(described, faces.identities),
                                  detector=FakeDetector(Box(10, 10, 50, 50)))
    figures = suite.measure(originals, faces.pixels, [np.array([0]), np.array([0])] * 2)
    assert set(figures) <= set(MEASURES)
    assert figures['re-id rank-1'].value == figures['parrot rank-1'].value == 100
    assert figures['ANON'].value == 1, 'one face for each person'
    assert figures['detection'].value == 100
    # Everybody was made of a, and is in the training set: only a is who a was made of.
    assert figures['LEAK near'].value == figures['LEAK rank-1'].value == 50
    assert figures['LEAK crowd'].value == 0, 'no face is nearer than the originals themselves'
    without = suite.measure(originals, faces.pixels)
    assert 'LEAK crowd' in without
    assert 'LEAK near' not in without


def test_people_are_looked_for_with_all_keys(faces):
    others = [faces.pixels[[1, 0, 3, 2]]] * 3
    figures = suite.measure(suite.Originals(faces), faces.pixels, with_other_keys=others)
    assert figures['DEID'].value == 0, 'of the first key alone'
    assert figures['re-id rank-1'].value == pytest.approx(100 / 4)
    # Of twelve pairs of keys, half are of one that has swapped them and one that has not.
    assert figures['parrot rank-1'].value == pytest.approx(100 / 2)


def test_a_detector_that_finds_nothing_says_nothing(faces):
    blind = FakeDetector()
    assert 'detection' not in suite.measure(suite.Originals(faces, detector=blind),
                                              faces.pixels)


def test_tight_is_the_middle_of_the_context():
    pixels = np.zeros((1, 96, 96, 3), np.uint8)
    pixels[:, 16:80, 16:80] = (10, 100, 200)
    faces = Faces(pixels, np.array(['1']), np.array(['a']))
    color = tight(faces, color=True).pixels
    assert color.shape == (1, 64, 64, 3)
    assert (color == (10, 100, 200)).all()
    luminance = tight(faces, color=False).pixels
    assert luminance.shape == (1, 64, 64)
    assert (luminance == cv2.cvtColor(color[0], cv2.COLOR_BGR2GRAY)).all()
