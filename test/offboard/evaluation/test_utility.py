# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Utility: moved landmarks, turned heads, learnt expressions, frames that differ by known noise."""

import numpy as np
import pytest

pytest.importorskip('sklearn')
pytest.importorskip('skimage')

from deid_ros.core.faces import Box, Face, Region  # noqa: E402
from deid_ros.offboard.evaluation import utility  # noqa: E402

# Outer and inner corner of the eye on the right of the image, the same on the left, nose.
UPRIGHT = np.array([[0.8, 0.3], [0.6, 0.3], [0.2, 0.3], [0.4, 0.3], [0.5, 0.6]])


def _turned(points, degrees):
    angle = np.radians(degrees)
    return (points - 0.5) @ np.array([[np.cos(angle), np.sin(angle)],
                                      [-np.sin(angle), np.cos(angle)]]) + 0.5


def test_landmark_error_is_in_distances_between_the_eyes():
    moved = UPRIGHT + [0.03, 0.04]
    one_moved = UPRIGHT.copy()
    one_moved[4, 1] += 0.1
    found = utility.landmark_error(np.stack([UPRIGHT] * 2), np.stack([moved, one_moved]))
    # 0.05 for each point, and 0.1 for one of five; the eyes' middles are 0.4 apart.
    assert found.value == pytest.approx(100 * np.mean([0.05, 0.02]) / 0.4)


def test_roll_and_yaw():
    aside = UPRIGHT.copy()
    aside[4, 0] += 0.4 * 0.35  # as far aside as it lies before the eyes: half a right angle
    heads = np.stack([UPRIGHT, _turned(UPRIGHT, 20), _turned(UPRIGHT, -170), aside,
                      _turned(aside, 20)])
    assert utility.roll_and_yaw(heads) == pytest.approx(
        np.array([[0, 0], [20, 0], [-170, 0], [0, 45], [20, 45]]), abs=1e-6)


def test_pose_error_goes_the_short_way_round():
    one, other = (_turned(UPRIGHT, degrees)[None] for degrees in (175, -175))
    found = utility.pose_error(one, other)
    assert found['roll'].value == pytest.approx(10)
    assert found['yaw'].value == pytest.approx(0, abs=1e-6)


def _labels(tmp_path, text):
    path = tmp_path / 'labels.csv'
    path.write_text(text)
    return path


def test_labels_by_image(tmp_path):
    path = _labels(tmp_path, 'image,Smiling,Male\nb.jpg,-1,1\na.jpg,1,1\n')
    assert utility.read_labels(path, np.array(['a.jpg', 'b.jpg']), ['Smiling']).tolist() == [
        [True], [False]]


@pytest.mark.parametrize(('text', 'message'), [
    ('image,Male\na.jpg,1\n', 'no column Smiling'),
    ('image,Smiling\nb.jpg,1\n', 'no row for 1 of the 1 images, such as a.jpg'),
    ('image,Smiling\na.jpg,0.7\n', 'must be -1 or 1'),
    ('', 'no column Smiling, image'),
])
def test_wrong_labels_are_errors(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        utility.read_labels(_labels(tmp_path, text), np.array(['a.jpg']), ['Smiling'])


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
    classifier = utility.ExpressionClassifier(faces, labels, identities)
    assert classifier.agreement(faces).value == 100
    half = faces.copy()
    half[:30] = half[:30].transpose(0, 2, 1)
    assert classifier.agreement(half).value == 50
    color = np.repeat(faces[..., None], 3, axis=3)
    assert classifier.agreement(color).value == 100
    assert classifier.chance == pytest.approx(100 * 2 / 3)


def test_nobody_is_judged_by_what_was_trained_on_them():
    # Everybody looks like themselves alone, and labels are by person: nothing can be learnt that
    # holds for others, but all of it by heart.
    random = np.random.default_rng(1)
    people = random.integers(0, 256, (40, 64, 64), np.uint8)
    faces = np.repeat(people, 3, axis=0)
    labels = np.repeat(random.random(40) < 0.5, 3)
    identities = np.repeat(np.array([f'{index}' for index in range(40)]), 3)
    assert utility.ExpressionClassifier(faces, labels, identities).agreement(faces).value < 80


def test_expressions_need_five_people(striped):
    faces, labels, _ = striped
    with pytest.raises(ValueError, match='5 people or more, not 1'):
        utility.ExpressionClassifier(faces, labels, np.array(['one'] * 60))


def test_detection_agreement():
    one, other = Face(Box(0, 0, 10, 10), 0.9), Face(Box(50, 50, 10, 10), 0.8)
    near = Face(Box(1, 0, 10, 10), 0.5)
    far = Face(Box(8, 0, 10, 10), 0.5)
    assert utility.detection_agreement([[one, other]], [[near]]).value == 50
    assert utility.detection_agreement([[one, other], [one]], [[near, far], [far]]
                                       ).value == pytest.approx(100 / 3)
    assert utility.detection_agreement([[one, near]], [[near]]).value == 50, 'one for each'
    with pytest.raises(ValueError, match='share of nothing'):
        utility.detection_agreement([[]], [[one]])


def _frame():
    return np.random.default_rng(0).integers(20, 230, (40, 60, 3), np.uint8)


def test_outside_is_exact_or_has_a_ratio():
    frame = _frame()
    treated = frame.copy()
    treated[10:20, 10:20] = 0
    region = [Region(10, 10, 20, 20)]
    outside = utility.Outside()
    outside.add(frame, treated, region)
    exact = outside.figures()
    assert exact['outside exact'].value == 100
    assert exact['outside PSNR'].value == np.inf
    assert exact['outside SSIM'].value == pytest.approx(1)

    outside.add(frame, treated + np.uint8(5), region)
    both = outside.figures()
    assert both['outside exact'].value == 50
    # Half of the pixels differ by 5.
    assert both['outside PSNR'].value == pytest.approx(10 * np.log10(255 ** 2 / 12.5))
    assert 0.9 < both['outside SSIM'].value < 1


def test_one_changed_pixel_outside_is_not_exact():
    frame = _frame()
    changed = frame.copy()
    changed[39, 59, 2] ^= 1
    outside = utility.Outside()
    outside.add(frame, changed, [Region(10, 10, 20, 20)])
    assert outside.figures()['outside exact'].value == 0


def test_frames_without_an_outside_tell_nothing():
    outside = utility.Outside()
    outside.add(_frame(), _frame(), [Region(0, 0, 60, 40)])
    assert outside.figures() == {}
