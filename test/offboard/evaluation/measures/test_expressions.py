# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Utility: expressions that can be learnt, and those that cannot."""

import cv2
import numpy as np
import pytest

pytest.importorskip('sklearn')

from deid_ros.offboard.evaluation.measures import expressions  # noqa: E402

# Outer and inner corner of the eye on the right of the image, the same on the left, nose.
_LANDMARKS = np.array([[0.8, 0.3], [0.65, 0.3], [0.2, 0.3], [0.35, 0.3], [0.5, 0.6]])


def _shown(faces):
    return expressions.face_and_mouth(faces, np.stack([_LANDMARKS] * len(faces)))


def _labels(tmp_path, text):
    path = tmp_path / 'labels.csv'
    path.write_text(text)
    return path


def test_labels_by_image(tmp_path):
    path = _labels(tmp_path, 'image,Smiling,Male\nb.jpg,-1,1\na.jpg,1,1\n')
    assert expressions.read_labels(path, np.array(['a.jpg', 'b.jpg']), ['Smiling']).tolist() == [
        [True], [False]]


@pytest.mark.parametrize(('text', 'message'), [
    ('image,Male\na.jpg,1\n', 'no column Smiling'),
    ('image,Smiling\nb.jpg,1\n', 'no row for 1 of the 1 images, such as a.jpg'),
    ('image,Smiling\na.jpg,0.7\n', 'must be -1 or 1'),
    ('', 'no column Smiling, image'),
])
def test_wrong_labels_are_errors(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        expressions.read_labels(_labels(tmp_path, text), np.array(['a.jpg']), ['Smiling'])


@pytest.fixture(scope='module')
def striped():
    """Faces with stripes lying or standing, by label, of ten people."""
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3 == 0
    wave = (127 + 80 * np.sin(np.arange(64) * 0.8))[None, :]
    faces = np.stack([np.repeat(wave, 64, axis=0).T if label else np.repeat(wave, 64, axis=0)
                      for label in labels])
    noisy = np.clip(faces + random.normal(0, 10, faces.shape), 0, 255).astype(np.uint8)
    return noisy, labels, np.array([f'{index % 10}' for index in range(60)])


def test_expressions_are_learnt_and_compared_with_the_label(striped):
    faces, labels, identities = striped
    classifier = expressions.ExpressionClassifier(_shown(faces), labels, identities)
    assert classifier.agreement(_shown(faces)).value == 100
    assert classifier.on_originals == classifier.agreement(_shown(faces))
    half = faces.copy()
    half[:30] = half[:30].transpose(0, 2, 1)
    assert classifier.agreement(_shown(half)).value == 50
    color = np.repeat(faces[..., None], 3, axis=3)
    assert classifier.agreement(_shown(color)).value == 100
    assert classifier.chance == pytest.approx(100 * 2 / 3)


def test_nobody_is_judged_by_what_was_trained_on_them():
    # Everybody looks like themselves alone, and labels are by person: nothing can be learnt that
    # holds for others, but all of it by heart.
    random = np.random.default_rng(1)
    people = random.integers(0, 256, (40, 64, 64), np.uint8)
    faces = np.repeat(people, 3, axis=0)
    labels = np.repeat(random.random(40) < 0.5, 3)
    identities = np.repeat(np.array([f'{index}' for index in range(40)]), 3)
    classifier = expressions.ExpressionClassifier(_shown(faces), labels, identities)
    assert classifier.agreement(_shown(faces)).value < 80


def test_expressions_need_five_people(striped):
    faces, labels, _ = striped
    with pytest.raises(ValueError, match='5 people or more, not 1'):
        expressions.ExpressionClassifier(_shown(faces), labels, np.array(['one'] * 60))


def test_faces_are_aligned_by_their_landmarks():
    # A head turned by 30° to the side, with a bright mouth.
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    face = np.zeros((64, 64), np.uint8)
    mouth = 64 * ((np.array([0.5, 0.8]) - 0.5) @ turn + 0.5)
    cv2.circle(face, tuple(mouth.round().astype(int).tolist()), 4, 255, -1)
    upright = np.zeros_like(face)
    cv2.circle(upright, (32, 51), 4, 255, -1)
    landmarks = np.stack([(_LANDMARKS - 0.5) @ turn + 0.5, _LANDMARKS])
    turned, straight = expressions.face_and_mouth(np.stack([face, upright]), landmarks)
    for one, other in zip(turned, straight, strict=True):
        where = [np.argwhere(view > 127).mean(axis=0) for view in (one, other)]
        assert where[0] == pytest.approx(where[1], abs=1.5)
    # The second view shows the mouth, larger.
    assert (straight[1] > 127).sum() > 1.5 * (straight[0] > 127).sum()
