# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`build_engines` and `export_onnx`."""

import numpy as np
import pytest

pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

from deid_ros.core.backends import make_backend  # noqa: E402
from deid_ros.core.deidentification.chain import load_chain  # noqa: E402
from deid_ros.core.deidentification.nobody import faces_of_nobody  # noqa: E402
from deid_ros.core.deidentification.weights import ModelStore  # noqa: E402
from deid_ros.core.resources import models_directory  # noqa: E402
from deid_ros.offboard import build_engines, export_onnx  # noqa: E402


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture
def fakes(monkeypatch):
    pytest.importorskip('torch')
    import fake_tensorrt

    with fake_tensorrt.installed(monkeypatch) as fakes:
        yield fakes


def test_engines_are_those_that_the_node_asks_for(fakes, tmp_path, capsys):
    file = tmp_path / 'node.yaml'
    file.write_text('/**:\n  ros__parameters:\n    backend:\n      type: tensorrt\n'
                    '      max_batch: 4\n    deid:\n      shift_mode: cell\n')
    assert build_engines.main(['--params', str(file), '-p', 'backend.precision:=fp32']) == 0
    out = capsys.readouterr().out
    assert '[1/1] cell/finetuned, fp32, batches to 4' in out
    assert '1 of 1 engines are ready' in out
    chain = load_chain(ModelStore(str(models_directory())), 'cell')
    from deid_ros.core.backends.options import BackendOptions
    make_backend('tensorrt', chain, BackendOptions(4, 'fp32'))
    assert len(fakes.builds) == 1


def test_an_engine_that_fails_does_not_stop_the_others(fakes, capsys):
    assert build_engines.main(['--modes', 'cell', '--precisions', 'int8', 'fp16']) == 1
    out = capsys.readouterr().out
    assert '[1/2] cell/finetuned, int8' in out
    assert 'failed: ' in out
    assert '1 of 2 engines are ready' in out


def test_unknown_mode_is_named(capsys):
    with pytest.raises(SystemExit) as end:
        build_engines.main(['--modes', 'sideways'])
    assert end.value.code == 2
    assert "shift_mode 'sideways' is none of" in capsys.readouterr().err


def test_exported_models_give_the_chains_faces(tmp_path, capsys):
    assert export_onnx.main([str(tmp_path / 'out'), '--modes', 'cluster', 'cell']) == 0
    assert '--maxShapes=faces:32x64x64x3' in capsys.readouterr().out
    session = onnxruntime.InferenceSession(
        str(tmp_path / 'out' / 'cluster-runtime.onnx'), providers=['CPUExecutionProvider'])
    faces = faces_of_nobody(False)[:3].astype(np.float32) / 255
    chain = load_chain(ModelStore(str(models_directory())), 'cluster')
    result, = session.run(['result'], {'faces': faces,
                                         'alpha': np.array(chain.alpha, np.float32)})
    assert np.abs(result - make_backend('onnxruntime', chain).run(faces)).max() <= 1e-5


def test_exported_models_are_for_tensorrt_8_2(tmp_path):
    import onnx

    export_onnx.main([str(tmp_path), '--modes', 'cluster', 'neighbour', '--apply', 'runtime'])
    for path in tmp_path.glob('*.onnx'):
        model = onnx.load(str(path))
        assert [entry.version for entry in model.opset_import] == [13]
