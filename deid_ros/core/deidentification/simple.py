# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The simple anonymizers: blur, pixelate, mask. No network, and nothing of the face remains.

Their strength is tied to the face's size, so a near face is as unrecognizable as a far one.
"""

from typing import Any, List, Sequence, Tuple

import cv2
import numpy as np

from deid_ros.core.compositing import Patch, feathered_ellipse, lay
from deid_ros.core.deidentification.anonymizer import Anonymizer
from deid_ros.core.errors import AnonymizationError
from deid_ros.core.faces import Face, region_of

# With these strengths dlib takes 0 % (blur), 0.3 % (pixelate) and 0.3 % (mask) of 338 CelebA faces
# for the person they were (distance at most 0.6), and finds a face in 0, 1 and 0 of them. That of
# the mask, which keeps nothing of a face, is what hair and clothes around it tell: there is no
# less. Blurred with 5/64 of the face's size instead, 10 % are recognized.
_BLUR_SIGMA = 0.2
# Squares across a face.
_PIXELATE_SQUARES = 6
# In pixels: smaller ones could be what the camera's picture already shows.
_LEAST_SQUARE = 4.0
_MASK_GRAY = 96
# σ, in pixels, of a strong blur in the shrunk picture that it is computed on.
_COARSE_SIGMA = 3.2


class _RegionAnonymizer(Anonymizer):
    """Replaces the ellipse in the grown box of a face by something made from those pixels alone."""

    def anonymize(self, bgr: np.ndarray, faces: Sequence[Face], box_margin: float) -> List[Patch]:
        treated = bgr.copy()
        patches: List[Any] = [None] * len(faces)
        # From the largest face down, each made from what the larger ones have become: a small
        # face's blur would not hide the part of a large one that lies in its region.
        for index in sorted(range(len(faces)), key=lambda index: -faces[index].box.height):
            patches[index] = self._patch(treated, faces[index], box_margin)
            lay(patches[index], treated)
        return patches

    def _patch(self, bgr: np.ndarray, face: Face, box_margin: float) -> Patch:
        box = face.extent.grown(box_margin)
        region = region_of(box, bgr.shape[1], bgr.shape[0])
        if region.is_empty:
            raise AnonymizationError('the face at {} lies outside of the {} × {} image'.format(
                face.extent, bgr.shape[1], bgr.shape[0]))
        size = max(face.box.width, face.box.height)
        return Patch(region, self._pixels(bgr[region.slices], size),
                     feathered_ellipse(box, region))

    def _pixels(self, crop: np.ndarray, face_size: float) -> np.ndarray:
        """Return new pixels, same shape as `crop`, for a face `face_size` pixels large."""
        raise NotImplementedError


class Blur(_RegionAnonymizer):
    """Gaussian blur that grows with the face."""

    name = 'blur'

    def _pixels(self, crop: np.ndarray, face_size: float) -> np.ndarray:
        return blurred(crop, max(1.0, _BLUR_SIGMA * face_size))


class Pixelate(_RegionAnonymizer):
    """Squares of the mean color, the same number across every face."""

    name = 'pixelate'

    def _pixels(self, crop: np.ndarray, face_size: float) -> np.ndarray:
        height, width = crop.shape[:2]
        square = max(_LEAST_SQUARE, face_size / _PIXELATE_SQUARES)
        small = _resized(crop, _at_least_one(width / square, height / square), cv2.INTER_AREA)
        return _resized(small, (width, height), cv2.INTER_NEAREST)


class Mask(_RegionAnonymizer):
    """A gray ellipse. The only one that keeps nothing at all of the face, not even its color."""

    name = 'mask'

    def _pixels(self, crop: np.ndarray, face_size: float) -> np.ndarray:
        return np.full_like(crop, _MASK_GRAY)


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Return a picture with a Gaussian blur; beyond its edge its border is repeated.

    It is shrunk first where the blur leaves nothing finer, so the cost does not grow with σ.

    :param picture: (H, W, C) uint8.
    :param sigma: in pixels.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, _COARSE_SIGMA / sigma)
    small = _resized(picture, _at_least_one(width * scale, height * scale), cv2.INTER_AREA)
    if small.shape[:2] != (1, 1):
        small = cv2.GaussianBlur(small, (0, 0), sigma * scale, borderType=cv2.BORDER_REPLICATE)
    return _resized(small, (width, height), cv2.INTER_LINEAR)


def _resized(picture: np.ndarray, size: Tuple[int, int], interpolation: int) -> np.ndarray:
    if picture.shape[:2] == (1, 1):  # which OpenCV 4.5, of Ubuntu 22.04, does not take
        return np.tile(picture, (size[1], size[0], 1))
    return cv2.resize(picture, size, interpolation=interpolation)


def _at_least_one(width: float, height: float) -> Tuple[int, int]:
    return max(1, int(round(width))), max(1, int(round(height)))
