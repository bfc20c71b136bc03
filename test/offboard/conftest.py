# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of dlib's networks and faces, for the off-board tests."""

from importlib.util import find_spec

import numpy as np
import pytest
from portraits import admiral, astronaut

from deid_ros.core.deidentification.alignment import crop
from deid_ros.core.detection.dlib_hog import DlibHog


@pytest.fixture(scope='session')
def dlib_networks() -> None:
    """Skip without dlib and its networks."""
    pytest.importorskip('dlib')
    if find_spec('face_recognition_models') is None:
        pytest.skip('face_recognition_models is not installed')


@pytest.fixture(scope='session')
def portrait_crops(dlib_networks: None) -> np.ndarray:
    """The faces of two people, (2, 64, 64, 3) uint8 BGR, cropped tight."""
    detector = DlibHog()
    return np.stack([crop(photo, max(detector.detect(photo), key=lambda face: face.score).box, 64)
                     for photo in (astronaut(), admiral())])
