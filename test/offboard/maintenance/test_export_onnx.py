# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`export_onnx`."""

import numpy as np
import pytest

pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

from deid_ros.core.backends import make_backend  # noqa: E402
from deid_ros.core.deidentification.calibration_faces import calibration_faces  # noqa: E402
from deid_ros.core.deidentification.chain import load_chain  # noqa: E402
from deid_ros.core.deidentification.weights import ModelStore  # noqa: E402
from deid_ros.core.resources import models_directory  # noqa: E402
from deid_ros.offboard.maintenance import export_onnx  # noqa: E402


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def test_exported_models_give_the_chains_faces(tmp_path, capsys):
    assert export_onnx.main([str(tmp_path / 'out'), '--modes', 'cluster', 'cell']) == 0
    assert '--maxShapes=faces:32x64x64x3' in capsys.readouterr().out
    session = onnxruntime.InferenceSession(
        str(tmp_path / 'out' / 'cluster-runtime.onnx'), providers=['CPUExecutionProvider'])
    faces = calibration_faces(False)[:3].astype(np.float32) / 255
    chain = load_chain(ModelStore(str(models_directory())), 'cluster')
    result, = session.run(['result'], {'faces': faces,
                                         'alpha': np.full((1, 1), chain.alpha, np.float32)})
    assert np.abs(result - make_backend('onnxruntime', chain).run(faces)).max() <= 1e-5


def test_exported_models_are_for_tensorrt_8_2(tmp_path):
    import onnx

    export_onnx.main([str(tmp_path), '--modes', 'cluster', 'neighbour', '--apply', 'runtime'])
    for path in tmp_path.glob('*.onnx'):
        model = onnx.load(str(path))
        assert [entry.version for entry in model.opset_import] == [13]
