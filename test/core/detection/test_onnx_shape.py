# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Input sizes in ONNX files."""

import pytest

from deid_ros.core.detection.onnx_shape import with_fixed_input
from deid_ros.core.resources import models_directory


def test_only_the_size_changes() -> None:
    onnxruntime = pytest.importorskip('onnxruntime')
    content = (models_directory() / 'centerface.onnx').read_bytes()
    fixed = with_fixed_input(content, (1, 3, 320, 64))
    session = onnxruntime.InferenceSession(fixed, providers=['CPUExecutionProvider'])
    assert session.get_inputs()[0].shape == [1, 3, 320, 64]
    assert with_fixed_input(content, (1, 3)) == content  # no input has two dimensions
    assert abs(len(fixed) - len(content)) < 50


@pytest.mark.parametrize('content', [b'\x3a\x7f', b'\x3a', b'\x3b\x00', b'\x08\xff'])
def test_other_files_are_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match='ONNX file'):
        with_fixed_input(content, (1, 3, 320, 320))
