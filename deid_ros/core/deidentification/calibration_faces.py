# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Synthetic faces that engines are tested and calibrated with, as no photo may be shipped.

`models/calibration_faces.png` holds 64 of them. Each was decoded from four latents, one for each
part of a face; each of these is an average of several people. See
`deid_ros.offboard.maintenance.make_calibration_faces`.
"""

import cv2
import numpy as np

from deid_ros.core.deidentification.networks import FACE_SIZE
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import models_directory, read_model, sha256_of

FILE = 'calibration_faces.png'
#: Faces in a row, and rows.
SIDE = 8
_SHA256 = '71463a4b866c90496867e1d3719869b443ff055cd6c01ee9f17bf49a1870572b'
_ADVICE = 'Install the package again.'


def calibration_faces(color: bool) -> np.ndarray:
    """Return 64 faces, always the same.

    :param color: whether as (64, 64, 64, 3) BGR, else as (64, 64, 64) luminance; uint8.
    :raises ConfigurationError: the file is missing or another one.
    """
    path = models_directory() / FILE
    content = read_model(path, _ADVICE)
    found = sha256_of(content)
    if found != _SHA256:
        raise ConfigurationError('{} is not the file that comes with deid_ros: its SHA-256 is {}, '
                                 'not {}. {}'.format(path, found, _SHA256, _ADVICE))
    sheet = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert sheet is not None  # these very bytes are a picture
    if not color:
        sheet = cv2.cvtColor(sheet, cv2.COLOR_BGR2GRAY)
    tiles = sheet.reshape((SIDE, FACE_SIZE, SIDE, FACE_SIZE) + sheet.shape[2:]).swapaxes(1, 2)
    return np.ascontiguousarray(tiles.reshape((-1,) + tiles.shape[2:]))
