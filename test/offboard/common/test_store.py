# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The store: what is measured once, and by several at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.recognition import FaceRecognizer
from deid_ros.offboard.common.store import Store, face_key


def test_values_come_back_by_kind_and_face(tmp_path):
    store = Store(tmp_path / 'new')
    store.put('length', [(b'a', np.array([1.5, 2.5])), (b'b', np.array([3.0]))])
    assert {key: list(value) for key, value in store.get('length', [b'a', b'b', b'c']).items()
            } == {b'a': [1.5, 2.5], b'b': [3.0]}
    assert store.get('width', [b'a']) == {}
    store.close()
    assert list(Store(tmp_path / 'new').get('length', [b'b'])[b'b']) == [3.0]


def test_more_faces_than_a_query_takes(tmp_path):
    store = Store(tmp_path)
    keys = [str(number).encode() for number in range(2500)]
    store.put('number', [(key, np.array([float(key)])) for key in keys])
    found = store.get('number', keys)
    assert [found[key][0] for key in keys] == list(range(2500))


def test_runs_beside_each_other_lose_nothing(tmp_path):
    Store(tmp_path).close()

    def run(number):
        store = Store(tmp_path)
        for index in range(40):
            store.put('k', [(f'{number} {index}'.encode(), np.array([index]))])
        store.close()

    with ThreadPoolExecutor(4) as runs:
        list(runs.map(run, range(4)))
    keys = [f'{number} {index}'.encode() for number in range(4) for index in range(40)]
    assert len(Store(tmp_path).get('k', keys)) == 160


def test_faces_are_told_apart_by_pixels_and_shape():
    face = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    other = face.copy()
    other[5, 5] ^= 1
    assert face_key(face) == face_key(face.copy())
    assert len({face_key(face), face_key(other), face_key(face.T), face_key(face.reshape(32, 128))
                }) == 4


def test_a_face_is_measured_once(tmp_path, monkeypatch, dlib_networks):
    face = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    store = Store(tmp_path)
    first = face_networks.descriptors(np.stack([face, face]), store)
    assert np.array_equal(first[0], first[1])
    assert np.allclose(first[0], FaceRecognizer().describe(face), atol=1e-6), 'as dlib says it'
    monkeypatch.setattr(face_networks, '_descriptor', lambda face: pytest.fail('it was known'))
    assert np.array_equal(face_networks.descriptors(np.stack([face]), store), first[:1])
