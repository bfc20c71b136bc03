# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Cutting a face out upright, and laying it back where it was."""

import math

import cv2
import numpy as np
import pytest

from deid_ros.core.deidentification.alignment import (
    BOX_MAPPINGS,
    TIGHT,
    BoxMapping,
    Square,
    crop,
    cut,
    match_detail,
    match_tone,
    misfit,
    put,
    roll_of,
    square_of,
)
from deid_ros.core.detection import DETECTORS
from deid_ros.core.faces import Box, Face, Region

# A frontal face in a box of 100: eyes, nose, mouth corners.
_LANDMARKS = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
_BOX = Box(0, 0, 100, 100)


def _turned(degrees, landmarks=_LANDMARKS):
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return ((landmarks - 50) @ turn.T + 50).astype(np.float32)


def _picture(height=240, width=320, sigma=4):
    return cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8),
                            (0, 0), sigma)


def _inside(square, region, size, rim):
    """Return where in `region` a picture of the square shows, but for `rim` pixels of its edge."""
    shown = put(np.ones((size, size), np.float32), square, region) > 0.99
    return cv2.erode(shown.astype(np.uint8), np.ones((2 * rim + 1,) * 2)) > 0


def _detail(face):
    face = face.astype(np.float32)
    return face - cv2.GaussianBlur(face, (0, 0), 1.5)


@pytest.mark.parametrize('degrees', [-60, -10, 0, 25, 80])
def test_roll_is_the_angle_of_the_face(degrees):
    assert math.degrees(roll_of(_turned(degrees))) == pytest.approx(degrees, abs=0.01)


def test_box_mapping_moves_along_the_axis_of_the_face():
    face = Face(_BOX, 1.0, _turned(90))
    square = square_of(face, BoxMapping(0.8, 0.1), True)
    assert square.side == pytest.approx(80)
    assert (square.x, square.y) == pytest.approx((40, 50))  # down is left, when lying on its side
    upright = square_of(face, BoxMapping(0.8, 0.1), False)
    assert (upright.x, upright.y, upright.roll) == pytest.approx((50, 60, 0))


def test_every_detector_has_its_mapping():
    assert set(BOX_MAPPINGS) == set(DETECTORS)
    assert BOX_MAPPINGS['dlib_hog'] == TIGHT


def test_crop_inside_is_the_pixels_themselves():
    picture = _picture()
    assert np.array_equal(crop(picture, Box(10, 20, 64, 64), 64), picture[20:84, 10:74])


@pytest.mark.parametrize('box', [Box(-30, -30, 64, 64), Box(300, 200, 64, 64),
                                 Box(-500, -500, 64, 64), Box(900, 10, 64, 64)])
def test_crop_over_the_edge_repeats_the_border(box):
    picture = _picture()
    around = cv2.copyMakeBorder(picture, 1000, 1000, 1000, 1000, cv2.BORDER_REPLICATE)
    expected = around[1000 + int(box.y):1064 + int(box.y), 1000 + int(box.x):1064 + int(box.x)]
    assert np.array_equal(crop(picture, box, 64), expected)


def test_cut_without_roll_is_the_crop():
    picture = _picture()
    for size in (40, 64, 130):
        box = Box(50, 40, size, size)
        square = Square(50 + size / 2, 40 + size / 2, size, 0)
        difference = cut(picture, square, 64).astype(int) - crop(picture, box, 64)
        assert np.abs(difference).max() <= 1


@pytest.mark.parametrize('degrees', [-30, 0, 12, 45])
@pytest.mark.parametrize('side', [64, 90])
def test_what_is_cut_and_put_back_is_where_it_was(degrees, side):
    picture = _picture()
    square = Square(160.5, 120.2, side, math.radians(degrees))
    region = Region(80, 50, 240, 190)
    back = put(cut(picture, square, 128).astype(np.float32), square, region)
    inside = _inside(square, region, 128, 2)
    assert inside.sum() > 0.7 * side * side
    difference = np.abs(back - picture[region.slices].astype(np.float32))[inside]
    assert difference.mean() < 2


@pytest.mark.parametrize('degrees', [0, 12, 30])
@pytest.mark.parametrize('side', [24, 32, 40, 64])
def test_a_small_face_stays_sharp(side, degrees):
    # What a camera shows at its own resolution: details of a few pixels.
    picture = _picture(sigma=1)
    square = Square(160.5, 120.2, side, math.radians(degrees))
    region = Region(110, 70, 210, 170)
    back = put(cut(picture, square, 64).astype(np.float32), square, region)
    inside = _inside(square, region, 64, 4)
    before, after = (_detail(each)[inside] for each in (picture[region.slices], back))
    assert 0.9 < after.std() / before.std() < 1.1
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.97


def test_a_fine_pattern_put_into_few_pixels_becomes_gray():
    columns = np.where(np.arange(64) % 2, 255, 0).astype(np.float32)
    picture = np.repeat(columns[None], 64, axis=0)
    shown = put(picture, Square(50, 50, 20, 0), Region(44, 44, 56, 56))
    assert np.abs(shown - 127.5).max() < 40  # without shrinking: 121


def test_share_inside_the_image():
    assert Square(50, 50, 40, 0.5).share_inside(100, 100) == 1
    assert Square(0, 50, 40, 0).share_inside(100, 100) == 0.5
    assert Square(-100, 50, 40, 0).share_inside(100, 100) == 0


@pytest.mark.parametrize('degrees', [-70, -20, 0, 20, 70])
def test_frontal_landmarks_fit(degrees):
    assert misfit(Face(_BOX, 1.0, _turned(degrees))) is None


def test_no_landmarks_fit():
    assert misfit(Face(_BOX, 1.0)) is None


@pytest.mark.parametrize(('landmarks', 'reason'), [
    (_LANDMARKS * [1, -1] + [0, 100], 'order'),
    (np.array([[30, 40], [70, 40], [80, 60], [35, 80], [65, 80]]), 'profile'),
    (_LANDMARKS + [200, 0], 'outside'),
    (_LANDMARKS * np.nan, 'finite'),
])
def test_landmarks_that_do_not_fit_are_named(landmarks, reason):
    assert reason in misfit(Face(_BOX, 1.0, landmarks.astype(np.float32)))


def test_tone_becomes_that_of_the_original():
    original = _picture(64, 64)
    pale = (original.astype(np.float32) - 128) * 0.8 + 150
    matched = match_tone(pale, original, np.ones((64, 64), np.float32))
    assert np.abs(matched - original).max() < 0.5


def test_tone_of_a_flat_face_stays_flat():
    original = _picture(64, 64)
    matched = match_tone(np.full((64, 64, 3), 7.0), original, np.ones((64, 64), np.float32))
    assert np.allclose(matched, original.mean(axis=(0, 1)), atol=0.5)


@pytest.mark.parametrize('shape', [(64, 64), (64, 64, 3)])
def test_a_new_face_is_no_sharper_than_the_original(shape):
    random = np.random.default_rng(0)
    sharp = random.integers(60, 200, shape).astype(np.uint8)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    weight = np.ones((64, 64), np.float32)

    matched = match_detail(sharp, soft, weight)
    assert matched.shape == shape
    assert matched.dtype == np.float32
    assert np.abs(_detail(matched)).mean() < 0.2 * np.abs(_detail(sharp)).mean()
    # What is coarse stays.
    assert np.abs(cv2.GaussianBlur(matched - sharp, (0, 0), 6)).max() < 2


def test_a_soft_new_face_stays_as_it_is():
    random = np.random.default_rng(0)
    sharp = random.integers(60, 200, (64, 64)).astype(np.uint8)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    weight = np.ones((64, 64), np.float32)
    assert match_detail(soft, sharp, weight) == pytest.approx(soft, abs=1e-4)
    flat = np.full((64, 64), 9, np.uint8)
    assert match_detail(flat, flat, weight) == pytest.approx(flat)
