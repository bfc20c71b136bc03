# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Laying new faces over a frame."""

import math
from typing import NamedTuple, Optional, Sequence

import cv2
import numpy as np

from deid_ros.core.faces import Box, Region

# The part of the ellipse's radius over which a new face fades into the frame.
_FEATHER = 0.15


class Patch(NamedTuple):
    """New pixels for one face.

    `pixels` is (h, w, 3) uint8 BGR, `alpha` (h, w) float32 in 0…1, the share of the new pixel in
    the result; h and w are those of `region`, which lies inside the image. `invented`, where there
    is one, is (h, w) float32 in 0…1: where it is 1, nothing of what was there is left but its tone
    and blurred hues.
    """

    region: Region
    pixels: np.ndarray
    alpha: np.ndarray
    invented: Optional[np.ndarray] = None


def feathered_ellipse(box: Box, region: Region) -> np.ndarray:
    """Return how much of each pixel of `region` belongs to the ellipse inscribed in `box`.

    The ellipse is that of the whole box, also where the image's edge cuts the region off it.

    :returns: (h, w) float32: 1 inside of the ellipse, fading to 0 at its rim.
    """
    y = _from_middle(region.top, region.bottom, box.y, box.height)
    x = _from_middle(region.left, region.right, box.x, box.width)
    radius = np.sqrt(y[:, None] ** 2 + x[None, :] ** 2)
    return np.clip((1 - radius) / _FEATHER, 0, 1)


def _from_middle(start: int, end: int, box_start: float, box_size: float) -> np.ndarray:
    """Return where pixels start…end-1 lie on one axis of a box: 0 in its middle, ±1 at its ends."""
    # In whole pixels, so that a box smaller than one still fills it.
    first, last = math.floor(box_start), math.ceil(box_start + box_size)
    middles = np.arange(start, end) + (0.5 - float(first))
    return (middles * (2.0 / (last - first)) - 1).astype(np.float32)


def composite(bgr: np.ndarray, patches: Sequence[Patch]) -> np.ndarray:
    """Return a copy of the frame with the patches laid over it, one after the other.

    Where two faces overlap, the later patch fades into the earlier one, never into the original.

    :param bgr: (H, W, 3) uint8.
    :returns: (H, W, 3) uint8; equal to `bgr` outside of the patches' regions.
    """
    result = bgr.copy()
    for patch in patches:
        lay(patch, result)
    return result


def beneath(patch: Patch, others: Sequence[Patch]) -> Patch:
    """Return the patch without what is invented by others, as if it lay below these.

    Nobody is seen there, so there is nothing to be hidden either.

    :param others: in the order in which they are laid over the frame.
    """
    region = patch.region
    shown = np.zeros_like(patch.alpha)
    for other in others:
        shared = Region(max(region.left, other.region.left), max(region.top, other.region.top),
                        min(region.right, other.region.right),
                        min(region.bottom, other.region.bottom))
        if shared.is_empty:
            continue
        here = shown[shared.moved(-region.left, -region.top).slices]
        there = shared.moved(-other.region.left, -other.region.top).slices
        # What is invented can be covered again by what is not.
        here *= 1 - other.alpha[there]
        if other.invented is not None:
            np.maximum(here, other.invented[there], out=here)
    return patch._replace(alpha=patch.alpha * (1 - shown))


def lay(patch: Patch, bgr: np.ndarray) -> None:
    """Lay one patch over `bgr`, (H, W, 3) uint8, in place."""
    below = bgr[patch.region.slices]
    # Three steps in place of cv2.blendLinear, which OpenCV's Python module lacks before 4.5.2.
    change = cv2.subtract(patch.pixels, below, dtype=cv2.CV_32F)
    change = cv2.multiply(change, cv2.merge([patch.alpha] * 3))
    below[...] = cv2.add(below, change, dtype=cv2.CV_8U)
