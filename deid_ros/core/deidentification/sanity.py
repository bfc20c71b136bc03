# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The last check before pixels are written: that every face is treated, and as a whole."""

import math
import operator
from typing import Optional, Sequence

import numpy as np

from deid_ros.core.compositing import Patch
from deid_ros.core.errors import AnonymizationError, raised_as
from deid_ros.core.faces import Box, Face, Region, region_of

# Of the box, on each side: what is left is the middle half, with the eyes, the nose and the mouth.
_CORE = -0.25
# Gray levels of standard deviation under which a picture shows nothing, so that even a sound
# anonymizer may give it back as it was.
_FLAT = 2.0


def check_patches(patches: Sequence[Optional[Patch]], faces: Sequence[Face], bgr: np.ndarray
                  ) -> None:
    """Make sure that `patches` replace `faces`, one each, in the frame `bgr`, (H, W, 3) uint8.

    :raises AnonymizationError: a patch is missing, has the wrong shape, type or place, holds NaN,
        leaves the middle of its face to be seen, or is the original again.
    """
    if len(patches) != len(faces):
        raise AnonymizationError('the anonymizer gave {} patches for {} faces'.format(
            len(patches), len(faces)))
    for patch, face in zip(patches, faces):
        if patch is None:
            raise AnonymizationError('the anonymizer gave no patch for the face at {}'.format(
                face.box))
        # What is no patch at all fails in ways of its own.
        with raised_as(AnonymizationError, 'the check of the patch for {}'.format(face.box)):
            _check_patch(patch, face.extent, bgr)


def _check_patch(patch: Patch, box: Box, bgr: np.ndarray) -> None:
    height, width = bgr.shape[:2]
    region = Region(*(operator.index(value) for value in patch.region))
    shape = (region.bottom - region.top, region.right - region.left)
    if not _contains(Region(0, 0, width, height), region):
        raise AnonymizationError('patch {} reaches out of the {} × {} image'.format(
            region, width, height))
    if not _contains(region, region_of(box, width, height)):
        raise AnonymizationError('patch {} does not cover the face at {}'.format(region, box))
    if patch.pixels.shape != shape + (3,) or patch.pixels.dtype != np.uint8:
        raise AnonymizationError('patch pixels are {} {}, must be {} uint8'.format(
            patch.pixels.shape, patch.pixels.dtype, shape + (3,)))
    if patch.alpha.shape != shape or patch.alpha.dtype != np.float32:
        raise AnonymizationError('patch alpha is {} {}, must be {} float32'.format(
            patch.alpha.shape, patch.alpha.dtype, shape))
    # Written so that NaN fails it too.
    if not (patch.alpha.min() >= 0 and patch.alpha.max() <= 1):
        raise AnonymizationError('patch alpha is not within 0…1')
    invented = patch.invented
    if invented is not None:
        if invented.shape != shape or invented.dtype != np.float32:
            raise AnonymizationError('what the patch invents is {} {}, must be {} float32'.format(
                invented.shape, invented.dtype, shape))
        if not (invented.min() >= 0 and (invented <= patch.alpha).all()):
            raise AnonymizationError('a patch cannot invent more than it replaces')

    core = _pixels_inside(box.grown(_CORE), width, height)
    if core.is_empty:
        return
    inside = (slice(core.top - region.top, core.bottom - region.top),
              slice(core.left - region.left, core.right - region.left))
    if patch.alpha[inside].min() < 1:
        raise AnonymizationError('the patch lets the middle of the face at {} show'.format(box))
    original = bgr[core.slices]
    if (np.array_equal(patch.pixels[inside], original)
            and original.std(axis=(0, 1)).max() > _FLAT):
        raise AnonymizationError('the face at {} came back unchanged'.format(box))


def _pixels_inside(box: Box, width: int, height: int) -> Region:
    """Return the pixels of the image whose centres lie in the box."""
    return Region(max(0, math.ceil(box.x - 0.5)), max(0, math.ceil(box.y - 0.5)),
                  min(width, math.floor(box.x + box.width + 0.5)),
                  min(height, math.floor(box.y + box.height + 0.5)))


def _contains(outer: Region, inner: Region) -> bool:
    return (outer.left <= inner.left and outer.top <= inner.top
            and outer.right >= inner.right and outer.bottom >= inner.bottom)
