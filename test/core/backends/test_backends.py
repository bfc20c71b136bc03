# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every backend runs the same chain to the same result, whatever the batch."""

import importlib

import numpy as np
import pytest
from small_chains import identities_for, small_chain

from deid_ros.core.backends import BACKENDS, make_backend
from deid_ros.core.backends.backend import Backend
from deid_ros.core.deidentification.chain import Chain, RuntimeShift
from deid_ros.core.errors import AnonymizationError, ConfigurationError

_FAMILIES = ('fully connected', 'convolutional gray', 'convolutional color')
_CASES = [(family, kind) for family in _FAMILIES for kind in (None, 'cluster', 'neighbour', 'cell')
          if (family, kind) != ('fully connected', 'cell')]
_SYNTHETIC = [('fully connected', 'synthetic'), ('fully connected', 'synthetic, k')]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))


@pytest.fixture
def fake_tensorrt(monkeypatch):
    pytest.importorskip('torch')
    from fake_tensorrt import installed

    with installed(monkeypatch) as fakes:
        yield fakes


@pytest.fixture(params=BACKENDS)
def engine(request):
    importorskip = {'torch': ['torch'], 'onnxruntime': ['onnx', 'onnxruntime'],
                    'tensorrt': ['torch']}[request.param]
    for package in importorskip:
        pytest.importorskip(package)
    if request.param == 'tensorrt':
        request.getfixturevalue('fake_tensorrt')
    return request.param


def _faces(count, color):
    shape = (count, 64, 64) + ((3,) if color else ())
    return np.random.default_rng(1).random(shape, np.float32)


@pytest.mark.parametrize(('family', 'kind'), _CASES + _SYNTHETIC)
def test_a_face_gives_the_same_alone_and_in_a_batch(engine, family, kind):
    backend = make_backend(engine, small_chain(family, kind, 'chain'))
    faces, identities = _faces(7, backend.color), identities_for(backend, 7)
    together = backend.run(faces, identities)
    alone = np.concatenate([
        backend.run(faces[index:index + 1],
                    None if identities is None else identities[index:index + 1])
        for index in range(7)])
    assert together.dtype == np.float32
    assert together.shape == faces.shape
    assert np.abs(together - alone).max() <= 1e-5


@pytest.mark.parametrize(('family', 'kind'), _CASES + _SYNTHETIC)
def test_backends_agree(family, kind, fake_tensorrt):
    for package in ('torch', 'onnx', 'onnxruntime'):
        pytest.importorskip(package)
    chain = small_chain(family, kind, 'chain')
    backends = [make_backend(name, chain) for name in BACKENDS]
    results = [backend.run(_faces(5, chain.color), identities_for(backend, 5))
               for backend in backends]
    for result in results[1:]:
        assert np.abs(results[0] - result).max() <= 1e-4


def test_bytes_give_bytes(engine):
    backend = make_backend(engine, small_chain('fully connected', None, 'chain'))
    faces = (255 * _faces(3, False)).astype(np.uint8)
    result = backend.run(faces)
    assert result.dtype == np.uint8
    expected = backend.run(faces.astype(np.float32) / 255)
    assert np.abs(result / 255 - expected).max() <= 0.5 / 255 + 1e-6


def test_no_faces_give_no_faces(engine):
    backend = make_backend(engine, small_chain('fully connected', None, 'chain'))
    assert backend.run(_faces(0, False)).shape == (0, 64, 64)


@pytest.mark.parametrize(('family', 'kind'), [case for case in _CASES if case[1]])
def test_alpha_changes_a_runningsmall_chain(engine, family, kind):
    chain = small_chain(family, kind, 'shifting')
    backend = make_backend(engine, chain)
    plain = make_backend(engine, chain._replace(shift=None, key='plain'))
    faces = _faces(4, backend.color)
    backend.alpha = 0.0
    assert np.abs(backend.run(faces) - plain.run(faces)).max() <= 1e-5
    backend.alpha = 1.0
    assert np.abs(backend.run(faces) - plain.run(faces)).max() > 1e-2


def test_full_cluster_shift_depends_on_the_cluster_alone(engine):
    chain = small_chain('fully connected', 'cluster', 'chain')
    one = chain._replace(shift=RuntimeShift('cluster', 1, {
        'centres': chain.shift.arrays['centres'][:1]}), key='one')
    backend = make_backend(engine, one)
    backend.alpha = 1.0
    faces = _faces(3, False)
    result = backend.run(faces)
    assert np.abs(result - result[:1]).max() <= 1e-5


def test_new_faces_differ_by_identity_and_alpha_is_its_strength(engine):
    chain = small_chain('fully connected', 'synthetic', 'chain')
    backend, plain = make_backend(engine, chain), make_backend(
        engine, chain._replace(shift=None, key='plain'))
    face = _faces(1, False)
    one, other = (backend.run(face, np.array([number])) for number in (1, 4))
    assert np.abs(one - other).max() > 1e-2
    backend.alpha = 0.0
    assert np.abs(backend.run(face, np.array([1])) - plain.run(face)).max() <= 1e-5


def test_indistinguishable_faces_give_the_same_new_face(engine):
    chain = small_chain('fully connected', 'synthetic, k', 'chain')
    centre = {**chain.shift.arrays, 'centres': chain.shift.arrays['centres'][:1]}
    backend = make_backend(engine, chain._replace(
        shift=RuntimeShift('synthetic', 1, centre), key='one'))
    result = backend.run(_faces(3, False), np.array([2, 2, 3]))
    assert np.abs(result[0] - result[1]).max() <= 1e-5
    assert np.abs(result[0] - result[2]).max() > 1e-2


@pytest.mark.parametrize('identities', [
    None, np.array([0, 1]), np.array([0, 1, 6]), np.array([0, 1, -1]), np.array([0.0, 1.0, 2.0]),
    np.array([[0], [1], [2]])], ids=str)
def test_identities_that_are_none_are_refused(engine, identities):
    backend = make_backend(engine, small_chain('fully connected', 'synthetic', 'chain'))
    with pytest.raises(AnonymizationError, match='one integer within 0 and 5 for each of 3 faces'):
        backend.run(_faces(3, False), identities)


def test_identities_are_for_chains_that_have_some(engine):
    backend = make_backend(engine, small_chain('fully connected', 'cluster', 'chain'))
    with pytest.raises(AnonymizationError, match='no synthetic identities'):
        backend.run(_faces(1, False), np.array([0]))


class _Fake(Backend):
    def __init__(self, infer):
        super().__init__(Chain('', False, [], None, 1.0, '', {}))
        self._infer = lambda faces, control: infer(faces)


def _spoiled(faces, value):
    result = faces.copy()
    result[1, 3, 3] = value
    return result


@pytest.mark.parametrize('infer', [
    lambda faces: faces[:1],
    lambda faces: _spoiled(faces, np.nan),
    lambda faces: _spoiled(faces, np.inf),
    lambda faces: np.zeros_like(faces),
    lambda faces: np.concatenate([faces[:1], np.full_like(faces[1:], 0.4)]),
    lambda faces: 1 / 0,
], ids=['short batch', 'NaN', 'infinity', 'all black', 'one gray face', 'exception'])
def test_what_is_no_face_is_refused(infer):
    with pytest.raises(AnonymizationError):
        _Fake(infer).run(_faces(2, False))


@pytest.mark.parametrize('faces', [
    np.zeros((2, 64, 64, 3), np.uint8), np.zeros((2, 32, 32), np.uint8),
    np.zeros((64, 64), np.uint8), np.zeros((2, 64, 64), np.float64)])
def test_faces_of_another_shape_or_type_are_refused(faces):
    with pytest.raises(AnonymizationError):
        _Fake(lambda faces: faces).run(faces)


def test_unknown_backend_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match='onnxruntime, torch'):
        make_backend('abacus', Chain('', False, [], None, 1.0, '', {}))


@pytest.mark.parametrize('name', BACKENDS)
def test_missing_package_is_named(name, monkeypatch):
    monkeypatch.setitem(importlib.sys.modules, name, None)
    monkeypatch.delitem(importlib.sys.modules, f'deid_ros.core.backends.{name}_backend',
                        raising=False)
    with pytest.raises(ConfigurationError, match=name):
        make_backend(name, Chain('', False, [], None, 1.0, '', {}))


def test_changed_weights_are_another_cached_model(tmp_path):
    for package in ('onnx', 'onnxruntime'):
        pytest.importorskip(package)
    chain = small_chain('fully connected', None, 'first')
    make_backend('onnxruntime', chain)
    make_backend('onnxruntime', chain)
    make_backend('onnxruntime', chain._replace(key='second'))
    assert len(list(tmp_path.rglob('*.onnx'))) == 2


def test_a_cached_model_that_was_exchanged_is_not_run(tmp_path, caplog):
    for package in ('onnx', 'onnxruntime'):
        pytest.importorskip(package)
    chain = small_chain('fully connected', None, 'chain')
    expected = make_backend('onnxruntime', chain).run(_faces(2, False))
    file, = tmp_path.rglob('*.onnx')
    good = file.read_bytes()
    make_backend('onnxruntime', small_chain('fully connected', 'cluster', 'other'))
    other = next(path for path in tmp_path.rglob('*.onnx') if path != file)
    for exchanged in (good[:-1] + bytes([good[-1] ^ 1]), other.read_bytes(), b''):
        file.write_bytes(exchanged)
        caplog.clear()
        assert np.array_equal(make_backend('onnxruntime', chain).run(_faces(2, False)), expected)
        assert f'the cached model {file} is made anew' in caplog.text
        assert file.read_bytes() == good


def test_home_that_cannot_be_written_to_is_no_obstacle(tmp_path, monkeypatch):
    for package in ('onnx', 'onnxruntime'):
        pytest.importorskip(package)
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    backend = make_backend('onnxruntime', small_chain('fully connected', None, 'chain'))
    assert backend.run(_faces(2, False)).shape == (2, 64, 64)
