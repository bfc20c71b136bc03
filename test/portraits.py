# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Public-domain photos that pip packages carry."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
from missing import missing


def astronaut() -> np.ndarray:
    """Return the portrait of Eileen Collins (NASA), (512, 512, 3) uint8 BGR."""
    return _photo('skimage', 'data/astronaut.png', 'scikit-image')


def admiral() -> np.ndarray:
    """Return the portrait of Grace Hopper (US Navy), (600, 512, 3) uint8 BGR."""
    return _photo('matplotlib', 'mpl-data/sample_data/grace_hopper.jpg', 'matplotlib')


def _photo(module: str, path: str, package: str) -> np.ndarray:
    """Read a file of a package, which need not be importable itself; see `missing`."""
    spec = importlib.util.find_spec(module)
    for folder in (spec and spec.submodule_search_locations) or []:
        bgr = cv2.imread(str(Path(folder) / path))
        if bgr is not None:
            return bgr
    return missing(f'no portrait; it comes with: pip install {package}')
