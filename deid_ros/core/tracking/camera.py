# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How the camera has moved between two frames, told from small gray copies of them."""

import functools
from typing import NamedTuple

import cv2
import numpy as np

# Width of the small copy, in pixels. A shift is found to a few tenths of its pixels.
_WIDTH = 192
# What is smaller than so many pixels a side, or has gray levels that deviate by less, shows
# nothing that could be compared.
_SMALL, _FLAT = 8, 2.0
# Pictures that share less than this of their width or height are not compared: a few pixels are
# always alike.
_LEAST_OVERLAP = 0.25


class View(NamedTuple):
    """What the tracker keeps of a frame: a small gray copy, and the frame's own size in pixels.

    `gray` is (h, w) float32 in 0…255.
    """

    gray: np.ndarray
    width: int
    height: int


class Shift(NamedTuple):
    """By how much the picture moved, in pixels of the frame, and how well both pictures correlate.

    `correlation` is that of both pictures where they overlap, -1…1, whatever their brightness and
    contrast. It is 1 where one of them is too small or flat to tell.
    """

    x: float
    y: float
    correlation: float


def view_of(bgr: np.ndarray) -> View:
    """Return the view of a frame, (H, W, 3) uint8."""
    height, width = bgr.shape[:2]
    small_width = min(_WIDTH, width)
    small_height = max(1, int(round(height * small_width / width)))
    # Some of the pixels first: to read all of a large frame would take most of the time.
    some = cv2.resize(bgr, (2 * small_width, 2 * small_height), interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(some, (small_width, small_height), interpolation=cv2.INTER_AREA)
    return View(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32), width, height)


def shift_between(before: View, after: View) -> Shift:
    """Return how the picture moved between two frames of the same size.

    Sought is a translation, which is what turning a camera makes of most of the picture, by phase
    correlation, which follows the background however many people move in front of it.
    """
    height, width = before.gray.shape
    if min(height, width) < _SMALL or min(before.gray.std(), after.gray.std()) < _FLAT:
        return Shift(0.0, 0.0, 1.0)
    # Not left to phaseCorrelate, which at some sizes would write into what it is given.
    window = _window(width, height)
    (x, y), _ = cv2.phaseCorrelate(before.gray * window, after.gray * window)
    still = _correlation(before.gray, after.gray, 0, 0)
    moved = _correlation(before.gray, after.gray, int(round(x)), int(round(y)))
    if not moved >= still:  # So a peak that is noise moves nothing.
        return Shift(0.0, 0.0, still)
    return Shift(x * before.width / width, y * before.height / height, moved)


@functools.lru_cache(maxsize=8)
def _window(width: int, height: int) -> np.ndarray:
    return np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]).astype(np.float32)


def _correlation(before: np.ndarray, after: np.ndarray, x: int, y: int) -> float:
    """Return the correlation of two pictures where they overlap, the second one moved by (x, y)."""
    height, width = before.shape
    if width - abs(x) < _LEAST_OVERLAP * width or height - abs(y) < _LEAST_OVERLAP * height:
        return -1.0
    first = before[max(0, -y):height - max(0, y), max(0, -x):width - max(0, x)]
    second = after[max(0, y):height + min(0, y), max(0, x):width + min(0, x)]
    first, second = (first - first.mean()).ravel(), (second - second.mean()).ravel()
    power = float(first.dot(first)) * float(second.dot(second))
    return float(first.dot(second)) / power ** 0.5 if power > 0 else 1.0
