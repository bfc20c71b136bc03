# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Public-domain photos that pip packages carry."""

import importlib.util
import os
from pathlib import Path

import cv2
import numpy as np
import pytest


def astronaut() -> np.ndarray:
    """Return the portrait of Eileen Collins (NASA), (512, 512, 3) uint8 BGR.

    Only the file is used: scikit-image itself need not be importable. Where it is absent, skip
    the test, or in CI fail it.
    """
    spec = importlib.util.find_spec('skimage')
    for folder in (spec and spec.submodule_search_locations) or []:
        bgr = cv2.imread(str(Path(folder) / 'data' / 'astronaut.png'))
        if bgr is not None:
            return bgr
    reason = 'no portrait; it comes with: pip install scikit-image'
    if os.environ.get('CI') == 'true':
        pytest.fail(reason)
    pytest.skip(reason)
