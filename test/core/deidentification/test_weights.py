# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Weights are used only when they are exactly what models.json names, and never unpickled."""

import hashlib
import json

import numpy as np
import pytest

from deid_ros.core.deidentification import networks
from deid_ros.core.deidentification.chain import load_chain
from deid_ros.core.deidentification.weights import ModelStore, save_arrays
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import models_directory


def _write(folder, content):
    """Make a folder of models with two modes whose one network has the given file content."""
    (folder / 'net.npz').write_bytes(content)
    entry = {'file': 'net.npz', 'sha256': hashlib.sha256(content).hexdigest(),
             'layers': networks.fully_connected_encoder((8,))}
    mode = {'color': False, 'alpha': 1.0, 'networks': [],
            'apply': {'finetuned': {'encoder': 'net'}}}
    (folder / 'models.json').write_text(json.dumps(
        {'files': {'net': entry}, 'modes': {'cluster': mode, 'cell': mode}}))
    return ModelStore(str(folder))


@pytest.fixture
def good(tmp_path):
    save_arrays(str(tmp_path / 'x.npz'), {'1.weight': np.ones((8, 4096)), '1.bias': np.zeros(8)})
    return (tmp_path / 'x.npz').read_bytes()


def test_arrays_come_back_in_single_precision(tmp_path, good):
    network = _write(tmp_path, good).network('net')
    assert network.layers == networks.fully_connected_encoder((8,))
    assert network.arrays['1.weight'].dtype == np.float32
    assert network.arrays['1.weight'].shape == (8, 4096)


def test_same_arrays_give_the_same_file(tmp_path, good):
    save_arrays(str(tmp_path / 'y.npz'), {'1.weight': np.ones((8, 4096)), '1.bias': np.zeros(8)})
    assert (tmp_path / 'y.npz').read_bytes() == good


def test_every_flipped_byte_is_refused(tmp_path, good):
    store = _write(tmp_path, good)
    for position in np.linspace(0, len(good) - 1, 40).astype(int):
        changed = bytearray(good)
        changed[position] ^= 1
        (tmp_path / 'net.npz').write_bytes(bytes(changed))
        with pytest.raises(ConfigurationError, match='SHA-256'):
            store.network('net')


class _Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


def test_pickle_is_refused_even_with_the_right_hash(tmp_path):
    harm = tmp_path / 'harm'
    for save, name in ((np.savez, 'p.npz'), (np.save, 'p.npy')):
        array = np.array([_Harmful(str(harm))], dtype=object)
        save(str(tmp_path / name), array, allow_pickle=True)
        store = _write(tmp_path, (tmp_path / name).read_bytes())
        with pytest.raises(ConfigurationError, match='no plain arrays'):
            store.network('net')
    assert not harm.exists()


def test_unknown_mode_lists_the_known_ones(tmp_path, good):
    store = _write(tmp_path, good)
    with pytest.raises(ConfigurationError, match="'blend' is none of cell, cluster"):
        load_chain(store, 'blend')


def test_unknown_or_unavailable_way_to_shift_is_an_error(tmp_path, good):
    store = _write(tmp_path, good)
    with pytest.raises(ConfigurationError, match='finetuned, runtime'):
        load_chain(store, 'cell', 'sometimes')
    with pytest.raises(ConfigurationError, match='only as finetuned'):
        load_chain(store, 'cell', 'runtime')


@pytest.mark.parametrize('content', [None, '', '[]', '{}', '{"files": {}}'])
def test_unreadable_list_of_models_is_an_error(tmp_path, content):
    if content is not None:
        (tmp_path / 'models.json').write_text(content)
    with pytest.raises(ConfigurationError, match='models.json'):
        ModelStore(str(tmp_path))


def test_missing_file_and_missing_entry_are_errors(tmp_path, good):
    store = _write(tmp_path, good)
    (tmp_path / 'net.npz').unlink()
    with pytest.raises(ConfigurationError, match='net.npz'):
        store.network('net')
    with pytest.raises(ConfigurationError, match="no weights 'other', only net"):
        store.network('other')


def test_key_changes_with_the_weights(tmp_path, good):
    keys = []
    for value in (1, 2):
        save_arrays(str(tmp_path / 'x.npz'), {'1.weight': np.full((8, 4096), value),
                                              '1.bias': np.zeros(8)})
        keys.append(load_chain(_write(tmp_path, (tmp_path / 'x.npz').read_bytes()), 'cell').key)
    assert keys[0] != keys[1]


def test_shipped_measures_are_of_the_shipped_weights():
    store = ModelStore(str(models_directory()))
    measures = json.loads((models_directory() / 'models.json').read_text())['measures']
    assert measures
    for key, figures in measures.items():
        assert figures['chain'] == load_chain(store, *key.split('/')).key


def test_shipped_weights_are_whole_and_small_enough():
    store = ModelStore(str(models_directory()))
    for mode, description in store.modes.items():
        for way in description['apply']:
            assert load_chain(store, mode, way).networks
    files = [models_directory() / entry['file'] for entry in store.entries.values()]
    assert sum(path.stat().st_size for path in files) <= 64 * 2 ** 20
