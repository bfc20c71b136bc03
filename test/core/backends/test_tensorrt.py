# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines: built right, kept, tested at start, and never trusted; with stand-ins."""

import logging
import os
import pathlib
import threading

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnxruntime')

import fake_tensorrt  # noqa: E402
import torch  # noqa: E402
from fake_tensorrt import TENSORRT_8, TENSORRT_10  # noqa: E402
from small_chains import small_chain  # noqa: E402

from deid_ros.core.backends import cuda, make_backend, self_test  # noqa: E402
from deid_ros.core.backends.options import BackendOptions  # noqa: E402
from deid_ros.core.deidentification.calibration_faces import calibration_faces  # noqa: E402
from deid_ros.core.deidentification.chain import load_chain  # noqa: E402
from deid_ros.core.deidentification.weights import ModelStore  # noqa: E402
from deid_ros.core.errors import AnonymizationError, ConfigurationError  # noqa: E402
from deid_ros.core.resources import models_directory  # noqa: E402

_OPTIONS = BackendOptions(max_batch=16)
_REQUIRE_DEVICE = cuda.require_device


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))


@pytest.fixture(params=[TENSORRT_8, TENSORRT_10])
def fakes(request, monkeypatch):
    with fake_tensorrt.installed(monkeypatch, request.param) as fakes:
        yield fakes


@pytest.fixture(scope='module')
def store():
    return ModelStore(str(models_directory()))


@pytest.fixture(scope='module')
def chain():
    return small_chain('fully connected', 'cluster', 'small')._replace(name='cluster/runtime')


def _engines(tmp_path):
    return list(tmp_path.rglob('*.trt'))


@pytest.mark.parametrize(('mode', 'way'), [('cluster', 'runtime'), ('neighbour', 'runtime'),
                                           ('cell', 'runtime'), ('attribute', 'finetuned')])
def test_a_whole_chain_is_one_engine(fakes, store, mode, way):
    chain = load_chain(store, mode, way)
    backend = make_backend('tensorrt', chain, _OPTIONS)
    build, = fakes.builds
    face = (64, 64, 3) if chain.color else (64, 64)
    expected = {'faces': (-1, *face)}
    if chain.shift is not None:
        expected['control'] = (1, 1)
    assert build['inputs'] == expected
    assert build['profile']['faces'] == ((1, *face), (8, *face), (16, *face))
    assert build['flags'] == {'FP16', 'OBEY_PRECISION_CONSTRAINTS'}
    assert 0 < build['workspace'] <= 1 << 28
    faces = calibration_faces(chain.color)[:5]
    reference = make_backend('onnxruntime', chain)
    assert np.abs(backend.run(faces).astype(int) - reference.run(faces)).max() <= 1
    assert backend.device == 'cpu'  # the stand-in's
    assert 'fp16 on ' + fake_tensorrt.DEVICE in backend.note
    assert 'identities not compared' in backend.note


def test_larger_batches_are_split(fakes, chain):
    backend = make_backend('tensorrt', chain, _OPTIONS)
    fakes.batches.clear()
    faces = calibration_faces(False)[:37]
    together = backend.run(faces)
    assert fakes.batches == [16, 16, 5]
    assert len(together) == 37
    assert np.abs(together[36:].astype(int) - backend.run(faces[36:])).max() <= 1


def test_alpha_is_the_engines_input(fakes, chain):
    backend = make_backend('tensorrt', chain, _OPTIONS)
    faces = calibration_faces(False)[:3]
    full = backend.run(faces)
    backend.alpha = 0.0
    none = backend.run(faces)
    assert np.abs(full.astype(int) - none).max() > 5
    assert len(fakes.builds) == 1


def test_each_thread_has_a_context_of_its_own(fakes, chain):
    backend = make_backend('tensorrt', chain, _OPTIONS)
    faces = calibration_faces(False)[:4]
    expected, before = backend.run(faces), fakes.contexts
    results = []
    threads = [threading.Thread(target=lambda: results.extend(
        backend.run(faces) for _ in range(3))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fakes.contexts == before + 3
    assert len(results) == 9
    assert all(np.abs(result.astype(int) - expected).max() <= 1 for result in results)


def test_engine_is_built_once(fakes, chain, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        make_backend('tensorrt', chain, _OPTIONS)
    assert any(record.message.startswith('please wait: the TensorRT engine for cluster/runtime')
               for record in caplog.records)
    make_backend('tensorrt', chain, _OPTIONS)
    assert len(fakes.builds) == 1
    file, = _engines(tmp_path)
    assert 'cluster-runtime-fp16-1-8-16-Fake-TX2' in file.name


@pytest.mark.parametrize('change', ['weights', 'precision', 'batch', 'device', 'capability'])
def test_another_anything_is_another_engine(fakes, chain, change, monkeypatch, tmp_path):
    make_backend('tensorrt', chain, _OPTIONS)
    options = _OPTIONS
    if change == 'weights':
        chain = chain._replace(key='other')
    elif change == 'precision':
        options = options._replace(precision='fp32')
    elif change == 'batch':
        options = options._replace(max_batch=4)
    elif change == 'device':
        monkeypatch.setattr(cuda, 'device_name', lambda: 'Orin')
    else:
        monkeypatch.setattr(cuda, 'compute_capability', lambda: '8.7')
    make_backend('tensorrt', chain, options)
    assert len(fakes.builds) == 2
    assert len(_engines(tmp_path)) == 2


def test_another_tensorrt_builds_its_own(monkeypatch, chain, tmp_path):
    for version in (TENSORRT_8, TENSORRT_10):
        with fake_tensorrt.installed(monkeypatch, version) as fakes:
            make_backend('tensorrt', chain, _OPTIONS)
            assert len(fakes.builds) == 1
    assert len(_engines(tmp_path)) == 2


def _renamed_from_elsewhere(path, content):
    """Give the file of another machine the name of ours."""
    return content.replace(b'"compute_capability": "6.2"', b'"compute_capability": "7.2"')


@pytest.mark.parametrize('damage', [
    lambda path, content: b'',
    lambda path, content: b'rubbish',
    lambda path, content: content[:-1],
    lambda path, content: content[:60],
    lambda path, content: content.replace(b'engine 1', b'engine 9'),
    lambda path, content: content[:-1] + bytes([content[-1] ^ 1]),
    lambda path, content: content.replace(b'{', b'[', 1),
    lambda path, content: b'deid_ros TensorRT engine 1\n[]\n',
    lambda path, content: b'deid_ros TensorRT engine 1\n\xff\n',
    _renamed_from_elsewhere,
], ids=['empty', 'rubbish', 'cut', 'cut in the header', 'another format', 'a bit', 'no JSON',
        'no header', 'no text', 'from elsewhere'])
def test_a_file_that_is_not_the_engine_is_replaced(fakes, chain, damage, tmp_path, caplog):
    make_backend('tensorrt', chain, _OPTIONS)
    file, = _engines(tmp_path)
    good = file.read_bytes()
    file.write_bytes(damage(file, good))
    backend = make_backend('tensorrt', chain, _OPTIONS)
    assert len(fakes.builds) == 2
    assert 'is built anew' in caplog.text
    assert len(backend.run(calibration_faces(False)[:2])) == 2
    assert file.read_bytes() != damage(file, good)
    make_backend('tensorrt', chain, _OPTIONS)
    assert len(fakes.builds) == 2


@pytest.mark.parametrize(('fault', 'reason'), [('does not load', 'version tag does not match'),
                                              ('loading raises', 'out of memory')])
def test_an_engine_that_does_not_load_is_built_anew(fakes, chain, caplog, fault, reason):
    make_backend('tensorrt', chain, _OPTIONS)
    fakes.fault = fault
    with pytest.raises(ConfigurationError, match=reason):
        make_backend('tensorrt', chain, _OPTIONS)  # nor does the new one
    assert len(fakes.builds) == 2
    assert 'is built anew' in caplog.text


def test_cache_that_cannot_be_written_to_is_no_obstacle(fakes, chain, tmp_path, monkeypatch,
                                                        caplog):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    assert len(make_backend('tensorrt', chain, _OPTIONS).run(calibration_faces(False)[:2])) == 2
    assert 'will be built at each start' in caplog.text


def test_no_half_written_file_is_left(fakes, chain, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    make_backend('tensorrt', chain, _OPTIONS)
    assert [path for path in pathlib.Path(tmp_path).rglob('*') if path.is_file()] == []


_MISBEHAVIOUR = ['build fails', 'out of memory', 'does not load', 'loading raises',
                 'no memory for a context', 'does not start', 'profile of one', 'short batch',
                 'writes the first face only', 'NaN', 'wrong faces', 'one wrong face']


@pytest.mark.parametrize('fault', _MISBEHAVIOUR)
def test_an_engine_that_misbehaves_is_refused(fakes, chain, fault, tmp_path):
    fakes.fault = fault
    with pytest.raises(ConfigurationError):
        make_backend('tensorrt', chain, _OPTIONS)
    assert _engines(tmp_path) == []


@pytest.mark.parametrize('fault', _MISBEHAVIOUR)
def test_another_backend_steps_in_where_that_is_allowed(fakes, chain, fault, caplog):
    fakes.fault = fault
    backend = make_backend('tensorrt', chain, _OPTIONS._replace(allow_fallback=True))
    assert backend.name == 'torch'
    assert backend.stands_in.startswith('the backend torch on cpu stands in for tensorrt: ')
    assert backend.stands_in in caplog.text


def test_the_next_but_one_backend_steps_in(fakes, chain, monkeypatch):
    import deid_ros.core.backends.torch_backend as torch_backend

    def broken(chain):
        raise ConfigurationError('torch is broken, too')

    fakes.fault = 'NaN'
    monkeypatch.setattr(torch_backend, 'TorchBackend', broken)
    backend = make_backend('tensorrt', chain, _OPTIONS._replace(allow_fallback=True))
    assert backend.name == 'onnxruntime'
    assert 'torch is broken, too' in backend.stands_in


@pytest.mark.parametrize('fault', ['short batch', 'writes the first face only', 'NaN',
                                   'does not start'])
def test_what_goes_wrong_later_withholds_the_frame(fakes, chain, fault):
    backend = make_backend('tensorrt', chain, _OPTIONS)
    faces = calibration_faces(False)[:3]
    backend.run(faces)
    fakes.fault = fault
    with pytest.raises(AnonymizationError):
        backend.run(faces)


def test_a_kept_engine_that_fails_the_test_is_built_anew(fakes, chain, monkeypatch, caplog):
    make_backend('tensorrt', chain, _OPTIONS)
    real, calls = self_test.self_test, []

    def once_bad(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise ConfigurationError('the engine fails its self-test: on purpose')
        return real(*arguments)

    import deid_ros.core.backends.tensorrt.backend as tensorrt_backend

    monkeypatch.setattr(tensorrt_backend, 'self_test', once_bad)
    make_backend('tensorrt', chain, _OPTIONS)
    assert len(fakes.builds) == 2
    assert 'on purpose' in caplog.text


def test_int8_is_calibrated_on_nobody(fakes, chain):
    options = _OPTIONS._replace(precision='int8')
    if not fakes.has_int8:
        with pytest.raises(ConfigurationError, match='Fake TX2 cannot do well. Use fp16'):
            make_backend('tensorrt', chain, options)
        return
    make_backend('tensorrt', chain, options)
    assert fakes.builds[0]['flags'] == {'FP16', 'INT8', 'OBEY_PRECISION_CONSTRAINTS'}
    assert len(fakes.calibrated) == 32


def test_fp32_needs_no_flags(fakes, chain):
    make_backend('tensorrt', chain, _OPTIONS._replace(precision='fp32'))
    assert fakes.builds[0]['flags'] == set()


@pytest.mark.parametrize(('mode', 'way'), [('cluster', 'runtime'), ('neighbour', 'runtime'),
                                           ('cell', 'runtime')])
def test_the_layers_of_a_shift_are_the_shift(fakes, store, mode, way):
    import torch2trt

    import deid_ros.core.backends.tensorrt.shift  # noqa: F401
    from deid_ros.core.backends.torch_backend import ShiftModule

    shift = load_chain(store, mode, way).shift
    size = shift.arrays['centres'].shape
    module = torch.nn.Sequential(ShiftModule(shift))
    latents = torch.randn((6, size[1]) if mode == 'cluster' else (6, 256, 2, 2),
                          generator=torch.Generator().manual_seed(0))
    settings = {'module': module, 'device_types': {}, 'default_device_type': 'GPU',
                'gpu_fallback': True, 'fp16_mode': False, 'int8_mode': False}
    with torch2trt.ConversionContext(fake_tensorrt.Network(fakes), torch2trt_kwargs=settings):
        result = module[0](latents, torch.full((1, 1), 0.7))
    # The stand-in has compared the values; this is that the layers were made at all.
    assert result._trt.shape == result.shape


def test_unknown_shift_is_refused(fakes, chain, monkeypatch):
    from deid_ros.core.backends.torch_backend import ShiftModule

    def forward(self, latents, control):
        self.kind = 'sideways'
        return latents

    monkeypatch.setattr(ShiftModule, 'forward', forward)
    with pytest.raises(ConfigurationError, match="cannot shift by 'sideways'"):
        make_backend('tensorrt', chain, _OPTIONS)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a device')
def test_without_a_device_there_is_no_silent_substitute(fakes, chain, monkeypatch):
    monkeypatch.setattr(cuda, 'require_device', _REQUIRE_DEVICE)
    with pytest.raises(ConfigurationError, match='finds no CUDA device'):
        make_backend('tensorrt', chain)
    assert fakes.builds == []


@pytest.mark.parametrize(('drawn_elsewhere', 'passes'), [(3, True), (12, False)])
def test_rounding_may_draw_few_faces_to_other_centres(chain, drawn_elsewhere, passes, monkeypatch):
    monkeypatch.setattr(self_test, 'FaceRecognizer', fake_tensorrt.missing)
    backend = make_backend('onnxruntime', chain)
    infer = backend._infer

    def rounding(faces, control):
        result = infer(faces, control)
        if backend.alpha and len(faces) > 1:
            result[:drawn_elsewhere] = result[:drawn_elsewhere, ::-1]
        return result

    backend._infer = rounding
    if passes:
        assert 'difference 0.0000' in self_test.self_test(backend, chain, 'fp16')
        return
    with pytest.raises(ConfigurationError, match='drawn to other centres is 0.18'):
        self_test.self_test(backend, chain, 'fp16')


def test_the_recognizer_judges_where_it_is_there(fakes, chain, monkeypatch):
    class Recognizer:
        def __init__(self, distance):
            self._distance = distance

        def distance(self, one, other):
            assert one.dtype == np.uint8
            return self._distance

    monkeypatch.setattr(self_test, 'FaceRecognizer', lambda: Recognizer(0.05))
    assert 'identity distance 0.050' in make_backend('tensorrt', chain, _OPTIONS).note
    monkeypatch.setattr(self_test, 'FaceRecognizer', lambda: Recognizer(0.2))
    with pytest.raises(ConfigurationError, match='0.2000; at most 0.1'):
        make_backend('tensorrt', chain, _OPTIONS)
