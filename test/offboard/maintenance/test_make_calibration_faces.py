# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from deid_ros.core.deidentification.calibration_faces import calibration_faces
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.resources import models_directory


def test_the_file_can_be_made_again():
    pytest.importorskip('torch')
    from deid_ros.offboard.maintenance.make_calibration_faces import make_sheet

    sheet = make_sheet(ModelStore(str(models_directory())))
    tiles = sheet.reshape(8, 64, 8, 64, 3).swapaxes(1, 2).reshape(64, 64, 64, 3)
    # Where rounding differs between processors, by one gray level.
    assert np.abs(tiles.astype(int) - calibration_faces(True)).max() <= 1
