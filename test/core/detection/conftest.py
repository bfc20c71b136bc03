# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Real detectors, each made once, and a real face."""

from pathlib import Path
from typing import Dict

import numpy as np
import pytest
from portraits import astronaut
from shared_data import shared_data

from deid_ros.core.detection import DETECTORS, Detector, make_detector

_made: Dict[str, Detector] = {}


@pytest.fixture(params=list(DETECTORS))
def detector(request: pytest.FixtureRequest) -> Detector:
    """Each detector in turn, or only those that a test names by `indirect`.

    They are dependencies of the tests: in CI, a missing one is a failure.
    """
    name = request.param
    if name not in _made:
        model_path = str(request.getfixturevalue('yunet_file')) if name == 'yunet' else ''
        _made[name] = make_detector(name, model_path)
    return _made[name]


@pytest.fixture
def yunet_file() -> Path:
    return shared_data() / 'models' / 'yunet_n_dynamic.onnx'


@pytest.fixture
def portrait() -> np.ndarray:
    return astronaut()
