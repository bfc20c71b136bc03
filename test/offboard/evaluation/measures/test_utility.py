# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Utility: moved landmarks, turned heads, learnt expressions, frames that differ by known noise."""

import numpy as np
import pytest

pytest.importorskip('sklearn')
pytest.importorskip('skimage')

from deid_ros.core.faces import Box, Face, Region  # noqa: E402
from deid_ros.offboard.evaluation.measures import utility  # noqa: E402

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
