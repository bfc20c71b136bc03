# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training: recipes, exact resume, and what lands on disk."""

import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip('sklearn')
torch = pytest.importorskip('torch')

from deid_ros.core.backends import make_backend  # noqa: E402
from deid_ros.core.deidentification.chain import load_chain  # noqa: E402
from deid_ros.core.deidentification.weights import ModelStore  # noqa: E402
from deid_ros.offboard.common.datasets import Faces  # noqa: E402
from deid_ros.offboard.training.cli import in_order  # noqa: E402
from deid_ros.offboard.training.common import augmentation  # noqa: E402
from deid_ros.offboard.training.common.data import TrainingData, read_labels  # noqa: E402
from deid_ros.offboard.training.common.recipe import Augmentation, load_recipe  # noqa: E402
from deid_ros.offboard.training.common.runs import load_run  # noqa: E402
from deid_ros.offboard.training.common.trainer import CHECKPOINT, CURVE  # noqa: E402
from deid_ros.offboard.training.export import MODES_FILE, export  # noqa: E402
from deid_ros.offboard.training.stages import train  # noqa: E402

_REPOSITORY = Path(__file__).resolve().parents[3]
_CPU = torch.device('cpu')
_PLAIN = '''
stage: autoencoder
family: {family}
color: {color}
widths: {widths}
epochs: 3
batch_size: 32
augmentation: {{flip: true, shift: 0.05, scale: 0.05, rotation: 5}}
'''
_ENCODER = '''
stage: encoder
family: {family}
color: {color}
widths: {widths}
base: plain
shift: {shift}
epochs: 3
epochs_per_view: 2
batch_size: 32
'''
_FULLY_CONNECTED = {'family': 'fully_connected', 'color': 'false', 'widths': '[12, 8]'}
_CONVOLUTIONAL = {'family': 'convolutional', 'color': 'true', 'widths': '[2, 2, 4, 4, 8]'}


@pytest.fixture(scope='module')
def data():
    random = np.random.default_rng(0)
    count = 120
    coarse = random.integers(0, 256, (count, 6, 6, 3), np.uint8)
    pixels = coarse.repeat(16, axis=1).repeat(16, axis=2)
    names = np.array([f'{index}.png' for index in range(count)])
    return TrainingData(Faces(pixels, names, np.array([f'{index // 2}' for index in range(count)])),
                        {'mood': random.choice(['glad', 'sad'], count)})


def _recipe(folder, name, text):
    path = folder / f'{name}.yaml'
    path.write_text(text)
    return load_recipe(path)


def _arrays(path):
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.mark.parametrize(('values', 'shift'), [
    (_FULLY_CONNECTED, '{mode: cluster, k: 5}'),
    (_FULLY_CONNECTED, '{mode: attribute, attributes: [mood], n: 2, beta: 0.5}'),
    (_CONVOLUTIONAL, '{mode: neighbour, n: 3, alpha: 0.8}'),
    (_CONVOLUTIONAL, '{mode: cell, n: 3}'),
])
def test_resumed_run_gives_the_same_weights(tmp_path, data, values, shift, monkeypatch):
    monkeypatch.setattr('deid_ros.offboard.training.stages.REPRESENTATIVES', 20)
    monkeypatch.setattr('deid_ros.offboard.training.stages.GROUPS', 20)
    plain = _recipe(tmp_path, 'plain', _PLAIN.format(**values))
    encoder = _recipe(tmp_path, 'shifted', _ENCODER.format(shift=shift, **values))
    for runs, stops in (('at once', (None,)), ('in steps', (1, 2, None))):
        for recipe in (plain, encoder):
            for stop in stops:
                train(recipe, data, tmp_path / runs, device=_CPU, until=stop)
    for name, role in (('plain', 'encoder'), ('plain', 'decoder'), ('shifted', 'encoder')):
        one, other = (tmp_path / runs / name / f'{role}.npz' for runs in ('at once', 'in steps'))
        assert one.read_bytes() == other.read_bytes()
    curves = [(tmp_path / runs / 'shifted' / CURVE).read_text() for runs in ('at once', 'in steps')]
    assert curves[0] == curves[1]
    assert len(curves[0].splitlines()) == 4


def test_color_networks_can_start_as_those_for_luminance(tmp_path, data):
    values = {**_CONVOLUTIONAL, 'color': 'false'}
    gray = _recipe(tmp_path, 'gray', _PLAIN.format(**values))
    train(gray, data, tmp_path, device=_CPU)
    color = _recipe(tmp_path, 'color', _PLAIN.format(**_CONVOLUTIONAL).replace(
        'epochs: 3', 'epochs: 0\nstart: gray'))
    train(color, data, tmp_path, device=_CPU)

    def pictures(recipe):
        faces = augmentation.view(augmentation.planes(data.faces.pixels, recipe.color), None, 0)
        with torch.no_grad():
            return load_run(tmp_path, recipe.name, 'decoder', recipe)(
                load_run(tmp_path, recipe.name, 'encoder', recipe)(faces))

    # Luminance has whole numbers only.
    assert torch.allclose(pictures(color), pictures(gray).repeat(1, 3, 1, 1), atol=0.01)


def test_what_others_start_from_is_trained_before_them():
    shipped = [load_recipe(path) for path in (_REPOSITORY / 'config' / 'training').glob('*.yaml')]
    for given in (shipped, shipped[::-1]):
        recipes = in_order(given)
        assert {recipe.name for recipe in recipes} == {recipe.name for recipe in shipped}
        trained: set[str] = set()
        for recipe in recipes:
            assert {recipe.base, recipe.start} - {None} <= trained, recipe.name
            trained.add(recipe.name)


def test_recipes_cannot_start_from_each_other(tmp_path):
    text = 'stage: contrast\nstart: {}\nattributes: [smile]\nsoft_biometrics: [smile]\n'
    recipes = [_recipe(tmp_path, name, text.format(start))
               for name, start in (('one', 'two'), ('two', 'one'))]
    with pytest.raises(ValueError, match='one.* start from each other'):
        in_order(recipes)


def test_a_start_is_for_color(tmp_path):
    with pytest.raises(ValueError, match='start is for color networks and contrast'):
        _recipe(tmp_path, 'gray', 'stage: deblurrer\nstart: other\n')


@pytest.mark.parametrize('stage', ['deblurrer', 'smoothener'])
def test_resumed_finishing_stages_give_the_same_weights(tmp_path, data, stage):
    text = f'stage: {stage}\ncolor: true\nepochs: 2\nbatch_size: 40\n'
    recipe = _recipe(tmp_path, 'finish', text)
    train(recipe, data, tmp_path / 'at once', device=_CPU)
    train(recipe, data, tmp_path / 'in steps', device=_CPU, until=1)
    assert not (tmp_path / 'in steps' / 'finish' / f'{stage}.npz').exists()
    train(recipe, data, tmp_path / 'in steps', device=_CPU)
    one, other = (tmp_path / runs / 'finish' / f'{stage}.npz' for runs in ('at once', 'in steps'))
    assert one.read_bytes() == other.read_bytes()


def test_encoder_learns_its_targets(tmp_path, data):
    plain = _recipe(tmp_path, 'plain', _PLAIN.format(**_FULLY_CONNECTED))
    encoder = _recipe(tmp_path, 'shifted', _ENCODER.format(
        shift='{mode: cluster, k: 3}', **_FULLY_CONNECTED).replace('epochs: 3', 'epochs: 20'))
    for recipe in (plain, encoder):
        train(recipe, data, tmp_path, device=_CPU)
    with open(tmp_path / 'shifted' / CURVE, newline='') as file:
        losses = [float(row['loss']) for row in csv.DictReader(file)]
    assert losses[-1] < 0.5 * losses[0]


def test_exported_models_run_in_every_mode(tmp_path, data, monkeypatch):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    recipes = [
        _recipe(tmp_path, 'plain', _PLAIN.format(**_FULLY_CONNECTED)),
        _recipe(tmp_path, 'shifted', _ENCODER.format(shift='{mode: cluster, k: 5}',
                                                     **_FULLY_CONNECTED))]
    (tmp_path / 'models').mkdir()
    (tmp_path / 'models' / 'modes.yaml').write_text('''
grouped:
  color: false
  alpha: 1.0
  networks: [plain/decoder]
  apply:
    finetuned: {encoder: shifted/encoder}
    runtime: {encoder: plain/encoder, shift: {kind: cluster, n: 1, table: shifted/table}}
''')
    for recipe in recipes:
        train(recipe, data, tmp_path / 'runs', device=_CPU)
    export(tmp_path, tmp_path / 'runs', tmp_path / 'models', 'patterns')
    content = json.loads((tmp_path / 'models' / 'models.json').read_text())
    assert content['files']['plain/encoder']['data'] == 'patterns'
    store = ModelStore(str(tmp_path / 'models'))
    faces = np.random.default_rng(0).random((4, 64, 64), np.float32)
    for way in ('finetuned', 'runtime'):
        assert make_backend('onnxruntime', load_chain(store, 'grouped', way)).run(
            faces).shape == faces.shape


def test_export_names_what_is_not_trained(tmp_path):
    _recipe(tmp_path, 'plain', _PLAIN.format(**_FULLY_CONNECTED))
    (tmp_path / 'modes.yaml').write_text(
        'all: {color: false, alpha: 1, networks: [plain/decoder], '
        'apply: {finetuned: {encoder: plain/encoder}}}')
    with pytest.raises(FileNotFoundError, match='decoder.npz'):
        export(tmp_path, tmp_path / 'runs', tmp_path, 'patterns')


def test_export_of_one_recipe_leaves_others_as_they_are(tmp_path):
    _recipe(tmp_path, 'plain', _PLAIN.format(**_FULLY_CONNECTED))
    _recipe(tmp_path, 'shifted', _ENCODER.format(shift='{mode: cluster}', **_FULLY_CONNECTED))
    (tmp_path / 'modes.yaml').write_text(
        'all: {color: false, alpha: 1, networks: [plain/decoder], '
        'apply: {finetuned: {encoder: shifted/encoder}}}')
    runs = {name: tmp_path / 'runs' / name for name in ('plain/decoder.npz', 'shifted/encoder.npz')}
    for path in runs.values():
        path.parent.mkdir(parents=True)
        path.write_bytes(b'first')
    with pytest.raises(FileNotFoundError, match='has no plain/decoder, which should stay'):
        export(tmp_path, tmp_path / 'runs', tmp_path, 'patterns', only=['shifted'])
    export(tmp_path, tmp_path / 'runs', tmp_path, 'patterns')
    runs['plain/decoder.npz'].unlink()
    runs['shifted/encoder.npz'].write_bytes(b'second')
    export(tmp_path, tmp_path / 'runs', tmp_path, 'others', only=['shifted'])
    files = json.loads((tmp_path / 'models.json').read_text())['files']
    assert [files[name]['data'] for name in ('plain/decoder', 'shifted/encoder')] == [
        'patterns', 'others']
    assert (tmp_path / 'plain_decoder.npz').read_bytes() == b'first'
    assert (tmp_path / 'shifted_encoder.npz').read_bytes() == b'second'
    with pytest.raises(ValueError, match='no mode uses shift; they use plain, shifted'):
        export(tmp_path, tmp_path / 'runs', tmp_path, 'others', only=['shift'])
    runs['plain/decoder.npz'].write_bytes(b'third')
    runs['shifted/encoder.npz'].unlink()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(FileNotFoundError, match='encoder.npz'):
        export(tmp_path, tmp_path / 'runs', tmp_path, 'others')
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


def test_encoder_without_its_base_is_an_error(tmp_path, data):
    recipe = _recipe(tmp_path, 'shifted', _ENCODER.format(shift='{mode: cluster}',
                                                          **_FULLY_CONNECTED))
    with pytest.raises(FileNotFoundError, match='train the recipe plain first'):
        train(recipe, data, tmp_path, device=_CPU)


def test_shipped_modes_are_made_of_what_the_shipped_recipes_train():
    recipes = {path.stem: load_recipe(path)
               for path in (_REPOSITORY / 'config' / 'training').glob('*.yaml')}
    modes = yaml.safe_load((_REPOSITORY / 'models' / MODES_FILE).read_text(encoding='utf-8'))
    assert set(modes) == {'synthetic', 'reconstruct', 'cluster', 'attribute', 'neighbour', 'cell'}
    for mode in modes.values():
        for variant in mode['apply'].values():
            for name in [variant['encoder'], *mode['networks']]:
                recipe, role = name.split('/')
                assert role in recipes[recipe].networks()
                assert recipes[recipe].color == mode['color']
    for recipe in recipes.values():
        if recipe.stage == 'generator':
            assert recipes[recipe.base].attributes == recipe.attributes
        elif recipe.stage == 'contrast':
            assert recipes[recipe.start].widths == recipe.widths
            assert recipes[recipe.start].attributes == recipe.attributes
        elif recipe.base is not None:
            assert recipes[recipe.base].widths == recipe.widths
            assert recipes[recipe.base].color == recipe.color


class _Harmful:
    def __reduce__(self):
        return open, ('harm', 'w')


def test_checkpoint_that_is_a_pickle_is_refused(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = _recipe(tmp_path, 'plain', _PLAIN.format(**_FULLY_CONNECTED))
    (tmp_path / 'plain').mkdir()
    torch.save({'module': _Harmful()}, tmp_path / 'plain' / CHECKPOINT)
    with pytest.raises(pickle.UnpicklingError):
        train(recipe, data, tmp_path, device=_CPU)
    assert not (tmp_path / 'harm').exists()


@pytest.mark.parametrize(('text', 'named'), [
    ('stage: autoencoder\nepohcs: 3', 'epohcs'),
    ('stage: autoencoder\naugmentation: {flop: true}', 'flop'),
    ('stage: encoder\nbase: a\nshift: {mode: sideways}', 'sideways'),
    ('stage: encoder', 'base and shift'),
    ('stage: dreaming', 'dreaming'),
    ('stage: smoothener\nprecision: double', 'double'),
    ('- stage', 'mapping'),
])
def test_wrong_recipe_names_file_and_key(tmp_path, text, named):
    with pytest.raises(ValueError, match=named) as error:
        _recipe(tmp_path, 'wrong', text)
    assert 'wrong.yaml' in str(error.value)


def test_labels_are_words_or_thresholded_numbers(tmp_path, data):
    path = tmp_path / 'labels.csv'
    path.write_text('image,mood,mouth\n0.png,glad,0.9\n5.png,sad,0.1\n')
    known = read_labels(path, data.faces, ('mood', 'mouth'))
    assert list(known.faces.names) == ['0.png', '5.png']
    assert list(known.labels['mood']) == ['glad', 'sad']
    assert list(known.labels['mouth']) == ['1', '0']
    soft = read_labels(path, data.faces, ('mood', 'mouth'), soft=True)
    assert list(soft.labels['mood']) == ['glad', 'sad']
    assert list(soft.labels['mouth']) == ['0.9', '0.1']
    with pytest.raises(ValueError, match='hat'):
        read_labels(path, data.faces, ('hat',))


def test_view_without_changes_is_the_tight_box(data):
    planes = augmentation.planes(data.faces.pixels, True)
    plain = augmentation.view(planes, None, 0)
    assert plain.shape == (len(data.faces), 3, 64, 64)
    expected = planes[:, :, 16:80, 16:80].float() / 127.5 - 1
    assert torch.allclose(plain, expected, atol=1e-4)


def test_views_repeat_with_their_seed_alone(data):
    planes = augmentation.planes(data.faces.pixels, False)
    change = Augmentation(shift=0.05, scale=0.1, rotation=10)
    one, same, other = (augmentation.view(planes, change, seed) for seed in (4, 4, 5))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_other_light_changes_what_it_says_and_no_more():
    random = torch.Generator().manual_seed(0)
    faces = torch.rand(400, 1, 64, 64, generator=random) - 0.5
    assert torch.equal(augmentation.with_light_jitter(faces, None, 1), faces)
    assert torch.equal(augmentation.with_light_jitter(faces, Augmentation(), 1), faces)
    lit = augmentation.with_light_jitter(faces, Augmentation(light=0.1), 1)
    contrast = (lit.std((1, 2, 3)) / faces.std((1, 2, 3))).log()
    assert contrast.std() == pytest.approx(0.1, rel=0.2)
    assert lit.mean((1, 2, 3)).std() == pytest.approx(0.1, rel=0.2)
    coarse = augmentation.with_light_jitter(faces, Augmentation(detail=20), 1)
    finest = (coarse.diff(dim=-1).std((1, 2, 3)) / faces.diff(dim=-1).std((1, 2, 3)))
    assert (finest < 0.999).float().mean() == pytest.approx(0.5, abs=0.01)
    assert finest.min() < 0.3


def test_flip_mirrors_about_half_of_the_faces(data):
    planes = augmentation.planes(data.faces.pixels, False)
    plain, flipped = (augmentation.view(planes, each, 1) for each in (None, Augmentation()))
    mirrored = [torch.allclose(a.flip(-1), b, atol=1e-4)
                for a, b in zip(plain, flipped, strict=True)]
    same = [torch.allclose(a, b, atol=1e-4) for a, b in zip(plain, flipped, strict=True)]
    assert sum(mirrored) + sum(same) == len(planes)
    assert 0.3 < np.mean(mirrored) < 0.7
