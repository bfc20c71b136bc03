# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""CenterFace: its decoding, and the care for its file."""

import pathlib
import shutil
from typing import List

import numpy as np
import pytest

from deid_ros.core.detection.centerface import CenterFace, decode
from deid_ros.core.errors import ConfigurationError, DetectionError
from deid_ros.core.resources import MODELS_VARIABLE, models_directory


def plain_outputs(height: int = 8, width: int = 12) -> List[np.ndarray]:
    return [np.zeros((1, channels, height, width), np.float32) for channels in (1, 2, 2, 10)]


def test_decodes_a_cell_to_pixels() -> None:
    heatmap, scale, offset, landmarks = plain_outputs()
    heatmap[0, 0, 3, 5] = 0.9
    scale[0, :, 3, 5] = np.log([5, 4])  # height, width in cells of 4 px
    offset[0, :, 3, 5] = 0.25, -0.5  # y, x
    landmarks[0, :, 3, 5] = [0.3, 0.2, 0.3, 0.8, 0.5, 0.5, 0.8, 0.3, 0.8, 0.7]
    boxes, scores, points = decode([heatmap, scale, offset, landmarks], 0.5)
    assert scores == pytest.approx([0.9])
    # Centre (4·(5 − 0.5 + 0.5), 4·(3 + 0.25 + 0.5)) = (20, 15), size (16, 20).
    np.testing.assert_allclose(boxes, [[12, 5, 16, 20]], rtol=1e-6)
    np.testing.assert_allclose(
        points, [[(15.2, 11), (24.8, 11), (20, 15), (16.8, 21), (23.2, 21)]], rtol=1e-6)
    assert points.dtype == np.float32


def test_decodes_nothing() -> None:
    boxes, scores, points = decode(plain_outputs(), 0.2)
    assert (boxes.shape, scores.shape, points.shape) == ((0, 4), (0,), (0, 5, 2))


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_broken_heat_map_is_an_error_not_an_empty_image(value: float) -> None:
    outputs = plain_outputs()
    outputs[0][0, 0, 1, 1] = value
    with pytest.raises(DetectionError, match='heat map'):
        decode(outputs, 0.2)


@pytest.fixture
def changed_file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / 'centerface.onnx'
    shutil.copy(models_directory() / 'centerface.onnx', path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def test_a_changed_shipped_file_is_refused(monkeypatch: pytest.MonkeyPatch,
                                           changed_file: pathlib.Path) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(changed_file.parent))
    with pytest.raises(ConfigurationError, match='sha256 .* Install deid_ros again'):
        CenterFace()


def test_a_network_of_the_user_may_differ(changed_file: pathlib.Path,
                                          portrait: np.ndarray) -> None:
    assert len(CenterFace(str(changed_file)).detect(portrait)) == 1


@pytest.mark.parametrize(('content', 'message'), [
    (None, r'mine\.onnx cannot be read'), (b'', r'cannot load .*mine\.onnx'),
    (b'no network', r'cannot load .*mine\.onnx'),
])
def test_a_bad_file_of_the_user_is_named(tmp_path: pathlib.Path, content: bytes,
                                         message: str) -> None:
    path = tmp_path / 'mine.onnx'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        CenterFace(str(path))


def test_a_missing_shipped_file_is_named(monkeypatch: pytest.MonkeyPatch,
                                         tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    with pytest.raises(ConfigurationError, match=r'centerface\.onnx cannot be read'):
        CenterFace()
