# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Array geometry that several detectors share."""

import cv2
import numpy as np


def padded(bgr: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return a copy of the image with black on the right and below, `width` × `height` pixels."""
    return cv2.copyMakeBorder(bgr, 0, height - bgr.shape[0], 0, width - bgr.shape[1],
                              cv2.BORDER_CONSTANT)


def non_maximum_suppression(boxes: np.ndarray, scores: np.ndarray,
                            max_iou: float) -> np.ndarray:
    """Return the indices of the boxes that remain when each face keeps its best box.

    In numpy rather than `cv2.dnn.NMSBoxes`, whose input and output types change between versions.

    :param boxes: (N, 4) float: x, y, width, height.
    :param scores: (N,) float.
    :param max_iou: boxes that share more than this with a better one are dropped.
    :returns: (M,) int, best score first.
    """
    near, far = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    areas = boxes[:, 2] * boxes[:, 3]
    rest = np.argsort(-scores, kind='stable')
    kept = []
    while rest.size:
        best, rest = rest[0], rest[1:]
        kept.append(best)
        sides = np.minimum(far[best], far[rest]) - np.maximum(near[best], near[rest])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        rest = rest[~(shared > max_iou * (areas[best] + areas[rest] - shared))]
    return np.array(kept, int)


def touching(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Tell which boxes (N, 4) share area with an image; the others were "seen" in its padding.

    Where a face is cut by the edge, the centre of its box may be beyond the edge: such boxes
    count. So do boxes that are not numbers, for `check_faces` to report.

    :returns: (N,) bool.
    """
    near, far = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    outside: np.ndarray = ((near >= (width, height)) | (far <= 0)).any(axis=1)
    return ~outside


def left_first(landmarks: np.ndarray) -> np.ndarray:
    """Return landmarks (..., 5, 2) as float32 with the left one of each pair (in the image) first.

    Networks name eyes and mouth corners after the person's sides, and differ in which is first.
    """
    ordered = np.array(landmarks, np.float32)
    for first in (0, 3):
        pair = ordered[..., first:first + 2, :]
        order = np.argsort(pair[..., :1], axis=-2, kind='stable')
        ordered[..., first:first + 2, :] = np.take_along_axis(pair, order, axis=-2)
    return ordered
