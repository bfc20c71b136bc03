# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Gray faces get the chroma of color faces."""

import cv2
import numpy as np

from deid_ros.offboard.training.common.colorization import colorized

_RANDOM = np.random.default_rng(5)
_NOISE = _RANDOM.integers(40, 216, (6, 96, 96), np.uint8)
_GRAY = np.stack([np.dstack(3 * [cv2.GaussianBlur(face, (0, 0), 2)]) for face in _NOISE])


def _plain(*bgr):
    return np.full((1, 96, 96, 3), bgr, np.uint8)


def test_the_luminance_stays_and_the_chroma_is_that_of_the_color_face():
    colored = colorized(_GRAY, _plain(90, 120, 180), seed=0)
    luminance = np.stack([cv2.cvtColor(face, cv2.COLOR_BGR2GRAY) for face in colored])
    assert np.abs(luminance.astype(int) - _GRAY[..., 0]).max() <= 2
    assert (colored[..., 2].astype(int) > colored[..., 0]).all()


def test_chroma_comes_from_a_face_with_similar_light():
    left = np.tile(np.linspace(30, 220, 96).astype(np.uint8), (96, 1))
    gray = np.repeat(np.stack([left, left[:, ::-1]])[..., None], 3, axis=3)
    red = np.clip(gray[0].astype(int) + (-30, 0, 30), 0, 255).astype(np.uint8)
    blue = np.clip(gray[1].astype(int) + (30, 0, -30), 0, 255).astype(np.uint8)
    colored = colorized(gray, np.stack([red, blue]), seed=0).astype(int)
    assert (colored[0, :, 30:66, 2] > colored[0, :, 30:66, 0]).all()
    assert (colored[1, :, 30:66, 2] < colored[1, :, 30:66, 0]).all()


def test_no_detail_of_the_color_face_is_transferred():
    checks = np.indices((96, 96)).sum(axis=0) % 2 * 2 - 1
    color_face = np.full((96, 96, 3), 128) + checks[..., None] * (60, 0, -60)
    colored = colorized(_GRAY, color_face.astype(np.uint8)[None], seed=0).astype(int)
    assert np.abs(colored[..., 2] - colored[..., 0]).max() <= 4


def test_the_same_seed_gives_the_same_colors():
    color_faces = _RANDOM.integers(0, 256, (9, 96, 96, 3), np.uint8)
    one, other = (colorized(_GRAY, color_faces, seed=1) for _ in range(2))
    assert np.array_equal(one, other)
