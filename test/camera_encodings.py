# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pictures as a camera would send them, made by OpenCV alone, not by the code under test."""


from typing import Callable, Dict

import cv2
import numpy as np

_BAYER_CHANNELS = {'b': 0, 'g': 1, 'r': 2}


def _semi_planar(bgr: np.ndarray, u_first: bool) -> np.ndarray:
    height, width = bgr.shape[:2]
    planar = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    u, v = planar[height:].reshape(2, height // 2, width // 2)
    chroma = np.dstack([u, v] if u_first else [v, u]).reshape(height // 2, width)
    return np.vstack([planar[:height], chroma])


def _mosaic(bgr: np.ndarray, filters: str) -> np.ndarray:
    image = np.empty(bgr.shape[:2], np.uint8)
    for site, color in enumerate(filters):
        rows, columns = slice(site // 2, None, 2), slice(site % 2, None, 2)
        image[rows, columns] = bgr[rows, columns, _BAYER_CHANNELS[color]]
    return image


#: Encoding name → function from (H, W, 3) uint8 BGR to the array whose bytes the message holds;
#: the first axis is the rows.
CAMERA_ENCODINGS: Dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'bgr8': lambda bgr: bgr,
    'rgb8': lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB),
    'mono8': lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY),
    'yuv422_yuy2': lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_YUY2),
    'nv12': lambda bgr: _semi_planar(bgr, u_first=True),
    'bayer_rggb8': lambda bgr: _mosaic(bgr, 'rggb'),
}
