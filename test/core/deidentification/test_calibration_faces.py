# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from deid_ros.core.deidentification.calibration_faces import FILE, calibration_faces
from deid_ros.core.errors import ConfigurationError


def test_faces_are_64_different_ones_in_color_and_gray():
    color, gray = calibration_faces(True), calibration_faces(False)
    assert (color.shape, gray.shape) == ((64, 64, 64, 3), (64, 64, 64))
    assert color.dtype == gray.dtype == np.uint8
    assert len({face.tobytes() for face in color}) == 64
    assert np.abs(color.mean(axis=3) - gray).mean() < 10


def test_another_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv('DEID_ROS_MODELS', str(tmp_path))
    with pytest.raises(ConfigurationError, match='cannot be read'):
        calibration_faces(True)
    (tmp_path / FILE).write_bytes(b'something else')
    with pytest.raises(ConfigurationError, match='its SHA-256 is'):
        calibration_faces(True)


def test_the_file_can_be_made_again():
    pytest.importorskip('torch')
    from deid_ros.core.deidentification.weights import ModelStore
    from deid_ros.core.resources import models_directory
    from deid_ros.offboard.maintenance.make_calibration_faces import make_sheet

    sheet = make_sheet(ModelStore(str(models_directory())))
    tiles = sheet.reshape(8, 64, 8, 64, 3).swapaxes(1, 2).reshape(64, 64, 64, 3)
    # Where rounding differs between processors, by one gray level.
    assert np.abs(tiles.astype(int) - calibration_faces(True)).max() <= 1
