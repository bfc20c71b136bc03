# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Colorization of gray faces by chroma transfer, to train color networks on gray data.

Tight crops of frontal faces are roughly aligned, and chroma varies slowly over a face. So a gray
face gets the blurred chroma of a color face with a similar distribution of brightness. No detail of
the color face is transferred.
"""

import cv2
import numpy as np
from tqdm import tqdm

# The color face is the best of this many random ones. With more, a few evenly lit faces would be
# chosen for most.
_CANDIDATES = 16
# σ of the blur of the chroma, as a share of the crop's side; finer chroma is that of one person.
_SIGMA = 0.05
# Limits of the gain by which chroma is fitted to a face that is darker or brighter there.
_LEAST_GAIN, _MOST_GAIN = 0.4, 1.6


def colorized(faces: np.ndarray, color_faces: np.ndarray, seed: int) -> np.ndarray:
    """Return the faces with their own luminance and the chroma of others.

    :param faces: (N, size, size, 3) uint8 BGR, of which only the luminance is used.
    :param color_faces: (M, size, size, 3) uint8 BGR, cropped like the others.
    :param seed: of the random choice.
    """
    random = np.random.default_rng(seed)
    size = faces.shape[1]
    smooth = [_smoothed(face, _SIGMA * size) for face in color_faces]
    small = np.stack([_thumbnail(face[:, :, 0]) for face in smooth])
    result = np.empty_like(faces)
    for face, colored in zip(tqdm(faces, desc='colorization', mininterval=5), result, strict=True):
        luminance = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
        blurred = cv2.GaussianBlur(luminance, (0, 0), _SIGMA * size).astype(np.float32)
        candidates = random.integers(0, len(color_faces), _CANDIDATES)
        distances = np.square(small[candidates] - _thumbnail(blurred)).sum(axis=1)
        source = smooth[candidates[distances.argmin()]]
        gain = np.clip((blurred + 16) / (source[:, :, 0] + 16), _LEAST_GAIN, _MOST_GAIN)
        chroma = 128 + (source[:, :, 1:] - 128) * gain[:, :, None]
        picture = np.dstack([luminance, np.clip(np.rint(chroma), 0, 255).astype(np.uint8)])
        colored[:] = cv2.cvtColor(picture, cv2.COLOR_YCrCb2BGR)
    return result


def _smoothed(face: np.ndarray, sigma: float) -> np.ndarray:
    """Return (size, size, 3) float32 YCrCb without detail."""
    converted = cv2.cvtColor(face, cv2.COLOR_BGR2YCrCb)
    return cv2.GaussianBlur(converted, (0, 0), sigma).astype(np.float32)


def _thumbnail(luminance: np.ndarray) -> np.ndarray:
    """Return the coarse luminance with mean 0 and deviation 1, (64,) float32."""
    small = cv2.resize(luminance.astype(np.float32), (8, 8), interpolation=cv2.INTER_AREA).ravel()
    return (small - small.mean()) / (small.std() + 1)
