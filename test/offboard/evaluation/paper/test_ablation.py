# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Networks of the tables: trained once, from the shipped ones, by recipes with other values."""

import hashlib
import json

import numpy as np
import pytest

pytest.importorskip('sklearn')
torch = pytest.importorskip('torch')

from deid_ros.core.backends.torch_layers import module_of  # noqa: E402
from deid_ros.core.deidentification import networks  # noqa: E402
from deid_ros.core.deidentification.weights import ModelStore, save_arrays  # noqa: E402
from deid_ros.offboard.common.datasets import Faces  # noqa: E402
from deid_ros.offboard.evaluation.paper import ablation  # noqa: E402
from deid_ros.offboard.evaluation.paper.inputs import EvaluationInputs  # noqa: E402
from deid_ros.offboard.evaluation.paper.methods import (  # noqa: E402
    Ablation,
    LatentKSame,
    ShippedMode,
)

_WIDTHS = (8, 6)
_PLAIN = Ablation('plain', 'fc', {'epochs': 1})
_SHIFTED = Ablation('shifted', 'fc_cluster', {'epochs': 1}, {'k': 3})
_RECIPES = {
    'fc': 'stage: autoencoder\nwidths: [8, 6]\nepochs: 3\n',
    'fc_cluster': ('stage: encoder\nwidths: [8, 6]\nbase: fc\nepochs: 3\n'
                   'shift: {mode: cluster, k: 4}\n'),
}


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """Return inputs with tiny networks and 40 random faces to train on."""
    layers = {'fc/encoder': networks.fully_connected_encoder(_WIDTHS),
              'fc/decoder': networks.fully_connected_decoder(_WIDTHS),
              'deblurrer_gray/deblurrer': networks.deblurrer(1),
              'smoothener_gray/smoothener': networks.smoothener(1)}
    torch.manual_seed(0)
    (tmp_path / 'models').mkdir()
    (tmp_path / 'recipes').mkdir()
    files = {}
    for name, content in layers.items():
        path = tmp_path / 'models' / (name.replace('/', '_') + '.npz')
        save_arrays(str(path), {key: value.numpy() for key, value
                                in module_of(content).state_dict().items()})
        files[name] = {'file': path.name, 'layers': content,
                       'sha256': hashlib.sha256(path.read_bytes()).hexdigest()}
    modes = {'reconstruct': {'color': False, 'alpha': 0, 'networks': list(layers)[1:],
                             'apply': {'finetuned': {'encoder': 'fc/encoder'}}}}
    (tmp_path / 'models' / 'models.json').write_text(json.dumps({'modes': modes, 'files': files}))
    for name, text in _RECIPES.items():
        (tmp_path / 'recipes' / f'{name}.yaml').write_text(text)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 96, 96, 3), np.uint8)
    training = Faces(pixels, np.array([f'{index}.png' for index in range(40)]),
                     np.array([f'{index // 2}' for index in range(40)]))
    monkeypatch.setattr(ablation, 'training_faces', lambda data, cache: training)
    return EvaluationInputs(ModelStore(str(tmp_path / 'models')), tmp_path / 'faces.tar',
                    tmp_path / 'labels.csv', tmp_path / 'runs', tmp_path, tmp_path / 'recipes')


@pytest.fixture
def faces():
    return np.random.default_rng(1).integers(0, 256, (6, 64, 64), np.uint8)


def _chain(method, inputs):
    return ablation.trained_chain(method.resolved(inputs.recipes), inputs)


def test_autoencoder_stands_alone_and_encoder_is_followed_by_the_rest(inputs, faces):
    assert len(_chain(_PLAIN, inputs).networks) == 2
    chain = _chain(_SHIFTED, inputs)
    assert len(chain.networks) == 4
    for method in (_PLAIN, _SHIFTED):
        new = method.new_faces(faces, inputs)
        assert new.shape == faces.shape
        assert new.dtype == np.uint8


def test_trained_network_is_not_trained_again(inputs, monkeypatch):
    first = _chain(_SHIFTED, inputs)

    def refuse(*_, **__):
        raise AssertionError('trained again')

    monkeypatch.setattr(ablation, 'train', refuse)
    again = _chain(_SHIFTED, inputs)
    assert first.key == again.key
    for name, array in first.networks[0].arrays.items():
        assert np.array_equal(array, again.networks[0].arrays[name])


def test_changed_recipe_or_base_is_another_run(inputs):
    before = _chain(_SHIFTED, inputs).name
    path = inputs.recipes / 'fc_cluster.yaml'
    path.write_text(path.read_text() + 'learning_rate: 0.1\n')
    changed = _chain(_SHIFTED, inputs).name
    inputs.models.entries['fc/encoder']['sha256'] = 'another'
    rebased = ablation._named_by_content(_SHIFTED.resolved(inputs.recipes), inputs.models).name
    assert len({before, changed, rebased}) == 3


def test_encoder_starts_from_the_shipped_one_whatever_lay_there(inputs):
    run = inputs.runs / 'fc'
    run.mkdir(parents=True)
    (run / 'encoder.npz').write_bytes(b'of an older release')
    _chain(_SHIFTED, inputs)
    shipped = inputs.models.entries['fc/encoder']
    assert hashlib.sha256((run / 'encoder.npz').read_bytes()).hexdigest() == shipped['sha256']


def test_k_same_of_latents_gives_groups_one_face(inputs, faces):
    new = LatentKSame(3).new_faces(faces, inputs)
    assert len(np.unique(new.reshape(len(new), -1), axis=0)) == 2
    # With k = 1 every latent stays itself: the plain autoencoder.
    alone = LatentKSame(1).new_faces(faces, inputs).astype(int)
    plain = ShippedMode('reconstruct').new_faces(faces, inputs)
    assert np.abs(alone - plain).max() <= 1
