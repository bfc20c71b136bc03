# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`build_engines`: the engines that the node will ask for, with its own parameters."""

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('torch')
pytest.importorskip('onnxruntime')

import fake_tensorrt  # noqa: E402

from deid_ros.core.backends import make_backend  # noqa: E402
from deid_ros.core.backends.options import BackendOptions  # noqa: E402
from deid_ros.core.deidentification.chain import load_chain  # noqa: E402
from deid_ros.core.deidentification.weights import ModelStore  # noqa: E402
from deid_ros.core.resources import models_directory  # noqa: E402
from deid_ros.node import build_engines  # noqa: E402


@pytest.fixture(autouse=True)
def fakes(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    with fake_tensorrt.installed(monkeypatch) as fakes:
        yield fakes


def test_engines_are_those_that_the_node_asks_for(fakes, tmp_path, capsys):
    file = tmp_path / 'node.yaml'
    file.write_text('/**:\n  ros__parameters:\n    backend:\n      type: tensorrt\n'
                    '      max_batch: 4\n    deid:\n      shift_mode: cell\n')
    assert build_engines.main(['build_engines', '--ros-args', '--params-file', str(file),
                               '-p', 'backend.precision:=fp32']) == 0
    out = capsys.readouterr().out
    assert '[1/1] cell/finetuned, fp32, batches to 4' in out
    assert '1 of 1 engines are ready' in out
    chain = load_chain(ModelStore(str(models_directory())), 'cell')
    make_backend('tensorrt', chain, BackendOptions(4, 'fp32'))
    assert len(fakes.builds) == 1


def test_an_engine_that_fails_does_not_stop_the_others(fakes, capsys):
    assert build_engines.main(['build_engines', '--modes', 'cell', '--precisions', 'int8',
                               'fp16']) == 1
    out = capsys.readouterr().out
    assert '[1/2] cell/finetuned, int8' in out
    assert 'failed: backend.precision is' in out
    assert '1 of 2 engines are ready' in out


@pytest.mark.parametrize(('arguments', 'named'), [
    (['--modes', 'sideways'], "shift_mode 'sideways' is none of"),
    (['--ros-args', '-p', 'backend.max_batch:=0'], 'backend.max_batch')])
def test_a_wrong_request_is_named(fakes, capsys, arguments, named):
    assert build_engines.main(['build_engines', *arguments]) == 2
    assert named in capsys.readouterr().err
    assert fakes.builds == []
