# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Baselines: blur, pixelate, mask, k-Same. All take and return (N, 64, 64) uint8 luminance."""

import cv2
import numpy as np

from deid_ros.core.compositing import composite
from deid_ros.core.deidentification import make_anonymizer
from deid_ros.core.faces import Box, Face
from deid_ros.core.pipeline import PipelineSettings


def shipped(faces: np.ndarray, name: str) -> np.ndarray:
    """Return faces treated by a simple anonymizer; `name` is blur, pixelate or mask."""
    anonymizer = make_anonymizer(name)
    height, width = faces.shape[1:]
    face = Face(Box(0, 0, width, height), 1.0)
    result = np.empty_like(faces)
    for original, new in zip(faces, result):
        bgr = cv2.cvtColor(original, cv2.COLOR_GRAY2BGR)
        patches = anonymizer.anonymize(bgr, [face], PipelineSettings().box_margin)
        new[...] = cv2.cvtColor(composite(bgr, patches), cv2.COLOR_BGR2GRAY)
    return result


def blur(faces: np.ndarray, sigma: float) -> np.ndarray:
    """Return faces with a Gaussian blur; `sigma` in pixels."""
    return np.stack([cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
                     for face in faces])


def pixelate(faces: np.ndarray, squares: int) -> np.ndarray:
    """Return faces as `squares` × `squares` squares of their mean luminance."""
    height, width = faces.shape[1:]
    return np.stack([cv2.resize(cv2.resize(face, (squares, squares), interpolation=cv2.INTER_AREA),
                                (width, height), interpolation=cv2.INTER_NEAREST)
                     for face in faces])


def k_same(samples: np.ndarray, k: int) -> np.ndarray:
    """Return the k-Same of samples: each is replaced by the mean of a group of k, itself included.

    A sample forms a group with the k − 1 nearest ones that are left, and so on. When fewer than 2k
    are left, they form the last group, so that every mean is of k samples or more.
    E. Newton, L. Sweeney, B. Malin, "Preserving privacy by de-identifying face images", IEEE
    Transactions on Knowledge and Data Engineering 17(2), 2005.

    :param samples: (N, D); of one person each, if k people are to share a face.
    :return: (N, D) float32.
    :raises ValueError: there are fewer than k samples.
    """
    if not 0 < k <= len(samples):
        raise ValueError(f'k-Same with k = {k} of {len(samples)} samples: k must be within 1 and '
                         'their number')
    samples = samples.astype(np.float32)
    result = np.empty_like(samples)
    left = np.arange(len(samples))
    while len(left):
        distances = np.square(samples[left] - samples[left[0]]).sum(axis=1)
        size = k if len(left) >= 2 * k else len(left)
        group = np.argsort(distances, kind='stable')[:size]
        result[left[group]] = samples[left[group]].mean(axis=0)
        left = np.delete(left, group)
    return result


def k_same_pixels(faces: np.ndarray, k: int) -> np.ndarray:
    """Return k-Same of the faces' pixels."""
    means = k_same(faces.reshape(len(faces), -1), k)
    return np.rint(means).astype(np.uint8).reshape(faces.shape)
