# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What runs the networks, and what the node says of it."""

import pytest
from ros_rig import wait_until

pytest.importorskip('torch')
pytest.importorskip('onnxruntime')

import fake_tensorrt  # noqa: E402

PARAMETERS = {'deid__method': 'autoencoder', 'backend__type': 'tensorrt', 'backend__max_batch': 64}


@pytest.fixture(autouse=True)
def fakes(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    with fake_tensorrt.installed(monkeypatch) as fakes:
        yield fakes


def _values(status):
    return {value.key: value.value for value in status.values}


def test_diagnostics_name_backend_and_device(make_rig):
    rig = make_rig(**PARAMETERS)
    status = wait_until(lambda: (status := rig.status()) and status.values and status, 'no status')
    assert _values(status)['backend'].startswith('tensorrt, fp16 on Fake TX2; self-test against')
    assert _values(status)['method device'] == 'cpu'  # the stand-in's
    assert 'stands in' not in status.message


def test_node_says_what_it_waits_for(make_rig, monkeypatch):
    rig = make_rig(activate=False, **PARAMETERS)
    said = []
    monkeypatch.setattr(rig.node._core_log, '_logger', _Logger(said))
    rig.activate()
    assert said[0].startswith('please wait: the TensorRT engine for synthetic/runtime, fp16')
    assert any(line.startswith('done after') for line in said)


class _Logger:
    def __init__(self, said):
        self.info = self.warning = self.error = said.append


def test_engine_that_fails_keeps_the_node_from_being_configured(make_rig, fakes):
    fakes.fault = 'NaN'
    rig = make_rig(activate=False, **PARAMETERS)
    assert rig.node.trigger_configure().name == 'FAILURE'
    status = rig.node._node_status()
    assert 'fails its self-test' in status.message


def test_a_substitute_is_warned_of(make_rig, fakes):
    fakes.fault = 'NaN'
    rig = make_rig(backend__allow_fallback=True, **PARAMETERS)
    status = rig.node._node_status()
    assert status.level == b'\x01'
    assert 'the backend torch on cpu stands in for tensorrt: ' in status.message
    assert _values(status)['backend'] == 'torch'
