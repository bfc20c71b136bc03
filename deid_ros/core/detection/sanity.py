# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The check of every detector's answer before any pixel depends on it."""

import math
from typing import List, Sequence

import numpy as np

from deid_ros.core.errors import DetectionError
from deid_ros.core.faces import Face, region_of


def check_faces(faces: Sequence[Face], width: int, height: int) -> List[Face]:
    """Return `faces` if all of them can be faces of an image of `width` × `height` pixels.

    A detector that gives nonsense is broken, so neither its other boxes nor the absence of boxes
    can be trusted: nothing is repaired or left out. Boxes that are partly outside are normal.

    :raises DetectionError: a number is NaN or infinite, a box has no area or lies wholly outside
        of the image, or the landmarks are not (5, 2); the message holds the value.
    """
    for face in faces:
        if not all(math.isfinite(value) for value in tuple(face.box) + (face.score,)):
            raise DetectionError(f'The detector gave {face.box} with score {face.score!r}; all '
                                 'values must be finite.')
        if face.box.width <= 0 or face.box.height <= 0:
            raise DetectionError(f'The detector gave {face.box}; width and height must be '
                                 'above 0.')
        if region_of(face.box, width, height).is_empty:
            raise DetectionError(f'The detector gave {face.box}, which lies outside of the image '
                                 f'of {width}x{height} pixels.')
        if face.landmarks is not None and not (np.shape(face.landmarks) == (5, 2)
                                               and np.isfinite(face.landmarks).all()):
            raise DetectionError(f'The detector gave the landmarks {face.landmarks!r} for '
                                 f'{face.box}; allowed are 5 finite points (x, y).')
    return list(faces)
