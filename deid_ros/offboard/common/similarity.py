# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Similarity transforms that align points, and faces."""

import cv2
import numpy as np


def similarities(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the (..., 2, 3) similarity transforms from points to targets, by least squares.

    :param points: (..., K, 2); `targets` likewise, or one set for all.
    """
    # With complex numbers, rotation and scale are a factor: target ≈ factor · point + offset.
    before, after = (part[..., 0] + 1j * part[..., 1] for part in (points, targets))
    before_mean, after_mean = (part.mean(axis=-1, keepdims=True) for part in (before, after))
    centred = before - before_mean
    factor = (((after - after_mean) * centred.conj()).sum(axis=-1)
              / np.square(np.abs(centred)).sum(axis=-1))
    offset = after_mean[..., 0] - factor * before_mean[..., 0]
    return np.stack([np.stack([factor.real, -factor.imag, offset.real], axis=-1),
                     np.stack([factor.imag, factor.real, offset.imag], axis=-1)], axis=-2)


def aligned(face: np.ndarray, landmarks: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """Return a face with eyes and nose in their places, (side, side) or (side, side, C) uint8.

    :param face: (H, W) or (H, W, C) uint8.
    :param landmarks: (5, 2) of it, see `FaceRecognizer.landmarks`.
    :param places: (3, 2) where the middles of the eyes, that on the right of the image first, and
        the base of the nose shall lie, as shares of the side.
    """
    points = np.stack([landmarks[:2].mean(axis=0), landmarks[2:4].mean(axis=0), landmarks[4]])
    # Pixel centres are whole numbers to OpenCV.
    to_aligned = similarities(points * face.shape[1::-1] - 0.5, places * side - 0.5)
    return cv2.warpAffine(face, to_aligned, (side, side), flags=cv2.INTER_CUBIC,
                          borderMode=cv2.BORDER_REPLICATE)
