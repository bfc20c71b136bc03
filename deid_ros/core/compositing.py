# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Laying new faces over a frame."""

from typing import Sequence

import numpy as np

from deid_ros.core.deidentification.anonymizer import Patch

# The part of the ellipse's radius over which a new face fades into the frame.
_FEATHER = 0.15


def feathered_ellipse(height: int, width: int) -> np.ndarray:
    """Return (height, width) float32: 1 inside the inscribed ellipse, fading to 0 at its rim."""
    y = (np.arange(height, dtype=np.float32) + 0.5) * (2.0 / height) - 1
    x = (np.arange(width, dtype=np.float32) + 0.5) * (2.0 / width) - 1
    radius = np.sqrt(y[:, None] ** 2 + x[None, :] ** 2)
    return np.clip((1 - radius) / _FEATHER, 0, 1)


def composite(bgr: np.ndarray, patches: Sequence[Patch]) -> np.ndarray:
    """Return a copy of the frame with the patches laid over it, one after the other.

    Where two faces overlap, the later patch fades into the earlier one, never into the original.

    :param bgr: (H, W, 3) uint8.
    :returns: (H, W, 3) uint8; equal to `bgr` outside of the patches' regions.
    """
    result = bgr.copy()
    for patch in patches:
        below = result[patch.region.slices]
        alpha = patch.alpha[..., None]
        below[...] = np.rint(below + alpha * (patch.pixels.astype(np.float32) - below))
    return result
