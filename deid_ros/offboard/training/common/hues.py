# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Colors for gray faces: color networks can be trained where most faces are gray.

Tight crops of frontal faces lie over each other, and hues vary slowly over a face. So a gray face
takes the blurred hues of a color face whose brightness is spread alike. Only hues are taken: the
networks see no detail of the faces that lend them.
"""

import cv2
import numpy as np
from tqdm import tqdm

# The lender is the best of this many, so that hair lies over hair. More would make the same few
# evenly lit faces lend to everybody.
_CANDIDATES = 16
# σ of the blur of the hues, as a share of the crop's side; finer hues belong to the lender alone.
_SIGMA = 0.05
# Hues fade in the dark; how far they are changed for a face that is darker or brighter there.
_LEAST_GAIN, _MOST_GAIN = 0.4, 1.6


def lend_hues(faces: np.ndarray, lenders: np.ndarray, seed: int) -> np.ndarray:
    """Return the faces with their own luminance and the hues of others.

    :param faces: (N, size, size, 3) uint8 BGR, of which only the luminance is used.
    :param lenders: (M, size, size, 3) uint8 BGR, faces in color, cropped like the others.
    :param seed: the same seed gives the same lenders.
    """
    random = np.random.default_rng(seed)
    size = faces.shape[1]
    smooth = [_smoothed(lender, _SIGMA * size) for lender in lenders]
    small = np.stack([_thumbnail(lender[:, :, 0]) for lender in smooth])
    result = np.empty_like(faces)
    for face, colored in zip(tqdm(faces, desc='hues', mininterval=5), result, strict=True):
        luminance = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
        blurred = cv2.GaussianBlur(luminance, (0, 0), _SIGMA * size).astype(np.float32)
        candidates = random.integers(0, len(lenders), _CANDIDATES)
        distances = np.square(small[candidates] - _thumbnail(blurred)).sum(axis=1)
        lender = smooth[candidates[distances.argmin()]]
        gain = np.clip((blurred + 16) / (lender[:, :, 0] + 16), _LEAST_GAIN, _MOST_GAIN)
        hues = 128 + (lender[:, :, 1:] - 128) * gain[:, :, None]
        picture = np.dstack([luminance, np.clip(np.rint(hues), 0, 255).astype(np.uint8)])
        colored[:] = cv2.cvtColor(picture, cv2.COLOR_YCrCb2BGR)
    return result


def _smoothed(face: np.ndarray, sigma: float) -> np.ndarray:
    """Return (size, size, 3) float32 YCrCb without detail."""
    converted = cv2.cvtColor(face, cv2.COLOR_BGR2YCrCb)
    return cv2.GaussianBlur(converted, (0, 0), sigma).astype(np.float32)


def _thumbnail(luminance: np.ndarray) -> np.ndarray:
    """Return how brightness is spread, with mean 0 and deviation 1, (64,) float32."""
    small = cv2.resize(luminance.astype(np.float32), (8, 8), interpolation=cv2.INTER_AREA).ravel()
    return (small - small.mean()) / (small.std() + 1)
