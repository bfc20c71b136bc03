# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Attributes, generator and gallery of the mode synthetic."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('dlib')

from deid_ros.core.backends.torch_layers import module_of  # noqa: E402
from deid_ros.core.deidentification.weights import save_arrays  # noqa: E402
from deid_ros.offboard.common.datasets import Faces  # noqa: E402
from deid_ros.offboard.common.store import Store  # noqa: E402
from deid_ros.offboard.common.training_people import TrainingPeople  # noqa: E402
from deid_ros.offboard.training.common import augmentation  # noqa: E402
from deid_ros.offboard.training.common.data import TrainingData  # noqa: E402
from deid_ros.offboard.training.common.recipe import load_recipe  # noqa: E402
from deid_ros.offboard.training.common.runs import encode, load_run, save_module  # noqa: E402
from deid_ros.offboard.training.stages import train  # noqa: E402
from deid_ros.offboard.training.synthetic import candidates, contrast, gallery  # noqa: E402
from deid_ros.offboard.training.synthetic.attributes import (  # noqa: E402
    label_targets,
    light_targets,
    wanted_columns,
)
from deid_ros.offboard.training.synthetic.generator import (  # noqa: E402
    NO_IDENTITY,
    Generator,
    people_with_identity,
)

_CPU = torch.device('cpu')
_ATTRIBUTES = ('stage: attributes\nattributes: [smile, ethnicity=elf]\nepochs: 8\nbatch_size: 32\n'
               'precision: float32\n')
_GENERATOR = ('stage: generator\nbase: attributes\nwidths: [8, 12, 4, 4]\n'
              'attributes: [smile, ethnicity=elf]\nepochs: 3\nepochs_per_view: 2\nbatch_size: 32\n'
              'augmentation: {flip: true, shift: 0.05}\n')
_CONTRAST = ('stage: contrast\nstart: generator\nwidths: [8, 12, 4, 4]\n'
             'attributes: [smile, ethnicity=elf]\nsoft_biometrics: [smile]\nepochs: 2\n'
             'batch_size: 40\nprecision: float32\n')


@pytest.fixture(scope='module')
def data() -> TrainingData:
    random = np.random.default_rng(0)
    # Every other person is dark, and smiles.
    dark = np.arange(80) // 2 % 2 == 1
    coarse = random.integers(0, np.where(dark, 60, 256)[:, None, None, None], (80, 6, 6, 3))
    coarse = coarse.astype(np.uint8)
    names = np.array([f'{index}.png' for index in range(80)])
    people = np.array([f'{index // 2}' for index in range(80)])
    return TrainingData(
        Faces(coarse.repeat(16, axis=1).repeat(16, axis=2), names, people),
        {'smile': np.where(dark, '1', '0'), 'ethnicity': random.choice(['elf', 'orc'], 80)})


def _recipe(folder: Path, name: str, text: str):
    path = folder / f'{name}.yaml'
    path.write_text(text)
    return load_recipe(path)


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """Return the recipes of all stages, in their order."""
    monkeypatch.setattr('deid_ros.offboard.training.synthetic.contrast.STEPS', 2)
    return [_recipe(tmp_path, name, text) for name, text in (
        ('attributes', _ATTRIBUTES), ('generator', _GENERATOR), ('contrast', _CONTRAST))]


def test_a_resumed_training_gives_the_same_weights(tmp_path, data, recipes):
    for runs, stops in (('at once', (None,)), ('in steps', (1, None))):
        for recipe in recipes:
            for stop in stops:
                train(recipe, data, tmp_path / runs, device=_CPU, until=stop)
    for file in ('attributes/attributes', 'generator/encoder', 'generator/decoder',
                 'generator/people', 'contrast/encoder', 'contrast/decoder'):
        one, other = (tmp_path / runs / f'{file}.npz' for runs in ('at once', 'in steps'))
        assert one.read_bytes() == other.read_bytes()
    curve = (tmp_path / 'in steps' / 'contrast' / 'curve.csv').read_text().splitlines()
    assert curve[0] == 'epoch,attributes,recognition,soft_biometrics,critic,reconstruction'
    assert len(curve) == 3


def test_the_encoder_gives_what_was_trained(tmp_path, data, recipes):
    for recipe in recipes:
        train(recipe, data, tmp_path, device=_CPU)
    faces = augmentation.view(augmentation.planes(data.faces.pixels, False), None, 0)
    attributes, generator, last = recipes
    codes = encode(load_run(tmp_path, 'attributes', 'attributes', attributes), faces, _CPU)
    assert codes.shape == (80, attributes.attribute_count)
    assert np.abs(codes).max() <= 1
    latents = []
    for recipe in (generator, last):
        encoder = load_run(tmp_path, recipe.name, 'encoder', recipe)
        with torch.no_grad():
            latents.append(encoder(faces))
            assert torch.allclose(encoder[-3:](torch.from_numpy(codes)), latents[-1], atol=1e-2)
    # The numbers stay, and what is made of them goes on learning.
    assert not torch.equal(*latents)


def test_contrast_goes_on_from_contrast(tmp_path, data, recipes):
    for recipe in recipes:
        train(recipe, data, tmp_path, device=_CPU)
    text = _CONTRAST.replace('start: generator', 'start: contrast')
    text = text.replace('epochs: 2', 'epochs: 0')
    train(_recipe(tmp_path, 'further', text), data, tmp_path, device=_CPU)
    for file in ('encoder', 'decoder', 'people'):
        one, other = (tmp_path / run / f'{file}.npz' for run in ('contrast', 'further'))
        with np.load(one, allow_pickle=False) as before, np.load(other, allow_pickle=False) as now:
            for name in before.files:
                assert np.array_equal(before[name], now[name]), (file, name)


def _with_gallery(tmp_path, data, recipes, count: int = 20):
    """Return a recipe that is for a gallery of so many, made of people."""
    for recipe in recipes:
        train(recipe, data, tmp_path, device=_CPU)
    made = candidates.mixed(candidates.of_people(tmp_path / 'contrast'), count,
                            np.random.default_rng(0))
    save_arrays(str(tmp_path / 'contrast' / 'table.npz'), {
        'identities': made.vectors, 'contributors': made.people.astype(np.float32)})
    text = _CONTRAST.replace('start: generator', 'start: contrast')
    return _recipe(tmp_path, 'distinct', text + 'gallery: true\n'), made


def test_contrast_trains_with_the_identities_of_a_gallery(tmp_path, data, recipes, monkeypatch):
    recipe, made = _with_gallery(tmp_path, data, recipes)
    seen = []
    forward = contrast.ConditionalGenerator.forward
    monkeypatch.setattr(contrast.ConditionalGenerator, 'forward', lambda self, codes, identities: (
        seen.append(identities.numpy()), forward(self, codes, identities))[1])
    train(recipe, data, tmp_path, device=_CPU)
    of_gallery = {row.tobytes() for row in made.vectors.astype(np.float16).astype(np.float32)}
    shown, repeated = seen[0], seen[1]
    assert {row.tobytes() for row in shown} <= of_gallery
    assert len(np.unique(shown[:32], axis=0)) == 16  # Those that recognition networks get.
    assert not {row.tobytes() for row in repeated} & of_gallery


def test_contrast_needs_the_gallery_that_it_is_for(tmp_path, data, recipes):
    recipe, _ = _with_gallery(tmp_path, data, recipes, count=15)
    with pytest.raises(ValueError, match='distinct needs a gallery of 16 or more, not 15'):
        train(recipe, data, tmp_path, device=_CPU)
    (tmp_path / 'contrast' / 'table.npz').unlink()
    with pytest.raises(FileNotFoundError, match='run build_gallery with the recipe contrast'):
        train(recipe, data, tmp_path, device=_CPU)


def test_the_candidates_of_a_recipe(tmp_path, data, recipes, monkeypatch):
    monkeypatch.setattr(gallery, 'CANDIDATES', 6)
    taught, made = _with_gallery(tmp_path, data, recipes)
    for one, other in zip(gallery.candidates_for(taught, tmp_path, None), made, strict=True):
        assert one == pytest.approx(other, rel=1e-2)  # Tables hold half precision.
    recipe = dataclasses.replace(taught, mixed_gallery=True)
    table = tmp_path / 'contrast' / 'table.npz'
    of_gallery, of_table = (gallery.candidates_for(recipe, tmp_path, each)
                            for each in (None, table))
    for one, other in zip(of_gallery, of_table, strict=True):
        assert np.array_equal(one, other)
    whose = {tuple(people) for people in made.people}
    for vector, people in zip(*of_gallery, strict=True):
        assert len({tuple(three) for three in people.reshape(3, 3)} & whose) == 3
        # As far from the mean as those of which it is made.
        assert np.linalg.norm(vector) == pytest.approx(np.linalg.norm(made.vectors[0]), rel=1e-2)
    assert gallery.candidates_for(recipes[-1], tmp_path, None).people.shape == (6, 3)


def test_what_is_emphasized_reaches_the_latent_more(tmp_path, data, recipes):
    for recipe in recipes:
        train(recipe, data, tmp_path, device=_CPU)
    text = _CONTRAST.replace('start: generator', 'start: contrast')
    text = text.replace('epochs: 2', 'epochs: 0') + 'gains: {smile: 3, ethnicity=elf: 0.5}\n'
    emphasized = _recipe(tmp_path, 'emphasized', text)
    train(emphasized, data, tmp_path, device=_CPU)
    plain, other = (load_run(tmp_path, recipe.name, 'encoder', recipe)[-3:]
                    for recipe in (recipes[-1], emphasized))
    codes = torch.rand(20, recipes[-1].attribute_count)
    more = codes.clone()
    more[:, -2:] *= torch.tensor([3, 0.5])
    with torch.no_grad():
        assert torch.allclose(other(codes), plain(more), atol=1e-2)
        assert not torch.allclose(other(codes), plain(codes), atol=1e-2)


def test_what_is_averaged_is_drawn_to_its_mean_and_final_gains_apply(tmp_path, data, recipes):
    for recipe in recipes:
        train(recipe, data, tmp_path, device=_CPU)
    text = _CONTRAST.replace('start: generator', 'start: contrast')
    text = text.replace('epochs: 2', 'epochs: 0')
    averaged = _recipe(tmp_path, 'averaged', text + 'averaged: {smile: 1, light: 0.4}\n'
                       'final_gains: {light: 2, ethnicity=elf: 3}\n')
    train(averaged, data, tmp_path, device=_CPU)
    faces = augmentation.view(augmentation.planes(data.faces.pixels, False), None, 0)
    codes = torch.from_numpy(encode(load_run(tmp_path, 'contrast', 'encoder', recipes[-1])[:-3],
                                    faces, _CPU))
    mean = codes[torch.from_numpy(~data.held_out)].mean(dim=0)
    drawn = codes.clone()
    drawn[:, -2] = mean[-2]
    drawn[:, 10:15] = 2 * (0.6 * codes[:, 10:15] + 0.4 * mean[10:15])
    drawn[:, -1] *= 3
    plain, other = (load_run(tmp_path, recipe.name, 'encoder', recipe)[-3:]
                    for recipe in (recipes[-1], averaged))
    with torch.no_grad():
        assert torch.allclose(other(codes), plain(drawn), atol=1e-2)
        assert not torch.allclose(other(codes), plain(codes), atol=1e-2)


def test_errors_of_the_pose_weigh_what_the_recipe_says(tmp_path, data, recipes):
    for recipe in recipes[:-1]:
        train(recipe, data, tmp_path, device=_CPU)
    losses = []
    for weight in (0, 1, 2):
        train(_recipe(tmp_path, f'pose_{weight}', _CONTRAST + f'pose: {weight}\n'), data, tmp_path,
              device=_CPU, until=1)
        first = (tmp_path / f'pose_{weight}' / 'curve.csv').read_text().splitlines()[:2]
        losses.append(float(dict(zip(*(line.split(',') for line in first), strict=True))
                            ['attributes']))
    assert losses[0] < losses[1] < losses[2]


def test_what_is_emphasized_is_what_is_asked_for(tmp_path, data, recipes):
    for recipe in recipes[:-1]:
        train(recipe, data, tmp_path, device=_CPU)
    losses = []
    for name, factor in (('plain', 1), ('emphasized', 30)):
        text = _CONTRAST + f'gains: {{smile: {factor}}}\n'
        train(_recipe(tmp_path, name, text), data, tmp_path, device=_CPU)
        first = (tmp_path / name / 'curve.csv').read_text().splitlines()[:2]
        losses.append(dict(zip(*(line.split(',') for line in first), strict=True)))
    # Untrained networks see hardly any smile; sure ones are farther from what they make.
    assert float(losses[1]['attributes']) > 1.5 * float(losses[0]['attributes'])


def test_contrast_needs_attributes_that_tell_people_apart(tmp_path, data, recipes):
    nobody = TrainingData(data.faces, {**data.labels, 'smile': np.array(['0'] * 80)})
    for recipe in recipes[:-1]:
        train(recipe, nobody, tmp_path, device=_CPU)
    with pytest.raises(ValueError, match='contrast: .* finds smile in all faces or in none'):
        train(recipes[-1], nobody, tmp_path, device=_CPU)


def test_contrast_with_a_second_teacher_needs_its_file(tmp_path, data, recipes):
    for recipe in recipes[:-1]:
        train(recipe, data, tmp_path, device=_CPU)
    taught = _recipe(tmp_path, 'taught', _CONTRAST + 'faceres: true\n')
    with pytest.raises(ValueError, match='taught needs FaceRes, too; .* --faceres'):
        train(taught, data, tmp_path, device=_CPU)


def test_two_teachers_judge_more_than_one(tmp_path, data, recipes, faceres_files):
    for recipe in recipes[:-1]:
        train(recipe, data, tmp_path, device=_CPU)
    taught = _recipe(tmp_path, 'taught', _CONTRAST + 'faceres: true\n')
    losses = {}
    for recipe in (recipes[-1], taught):
        train(recipe, dataclasses.replace(data, faceres=faceres_files()), tmp_path, device=_CPU)
        first = (tmp_path / recipe.name / 'curve.csv').read_text().splitlines()[:2]
        losses[recipe.name] = dict(zip(*(line.split(',') for line in first), strict=True))
    assert float(losses['taught']['recognition']) > float(losses['contrast']['recognition'])
    assert float(losses['taught']['soft_biometrics']) > float(losses['contrast']['soft_biometrics'])


def test_contrast_needs_large_batches(tmp_path, data, recipes):
    for recipe in recipes[:-1]:
        train(recipe, data, tmp_path, device=_CPU)
    small = _recipe(tmp_path, 'small', _CONTRAST.replace('batch_size: 40', 'batch_size: 32'))
    with pytest.raises(ValueError, match='small: batch_size 32 must be above the 32 faces'):
        train(small, data, tmp_path, device=_CPU)


def test_contrast_needs_people(tmp_path, data, recipes):
    # The last two faces are of somebody who is held out.
    few = TrainingData(data.faces.take(np.arange(6, 14)), {
        name: values[6:14] for name, values in data.labels.items()})
    for recipe in recipes[:-1]:
        train(recipe, few, tmp_path, device=_CPU)
    with pytest.raises(ValueError, match=r'contrast needs 4 people .* not 3'):
        train(recipes[-1], few, tmp_path, device=_CPU)


@pytest.mark.parametrize(('text', 'said'), [
    (_CONTRAST + 'gains: {grin: 2}\n', 'key gains names grin, which is not among .*smile'),
    (_CONTRAST + 'averaged: {grin: 1}\n', 'key averaged names grin, .*light, pose, smile'),
    (_CONTRAST + 'averaged: {smile: 1.5}\n', 'averaged holds shares within 0 and 1, not .*1.5'),
    (_CONTRAST + 'final_gains: {grin: 1}\n', 'key final_gains names grin, .*light, pose, smile'),
    (_CONTRAST + 'mixed_gallery: true\n', 'mixed_gallery is for recipes with gallery'),
    (_GENERATOR + 'gains: {smile: 2}\n', 'gains is for contrast'),
    (_GENERATOR + 'averaged: {light: 1}\n', 'averaged is for contrast'),
    (_GENERATOR + 'final_gains: {light: 1}\n', 'final_gains is for contrast'),
    (_GENERATOR + 'pose: 2\n', 'pose is for contrast'),
    (_GENERATOR + 'critic: 0.2\n', 'critic is for contrast'),
    (_GENERATOR + 'recognition: 0.2\n', 'recognition is for contrast'),
    (_GENERATOR + 'faceres: true\n', 'faceres is for contrast'),
    (_GENERATOR + 'gallery: true\n', 'gallery is for contrast')])
def test_some_keys_are_for_contrast(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        _recipe(tmp_path, 'emphasized', text)


@pytest.mark.parametrize(('line', 'said'), [
    ('start: generator\n', 'contrast needs the keys start and soft_biometrics'),
    ('soft_biometrics: [smile]\n', 'contrast needs the keys start and soft_biometrics'),
    ('smile, ethnicity=elf', 'soft_biometrics names smile, which is not among')])
def test_contrast_needs_a_generator_and_what_lasts(tmp_path, line, said):
    with pytest.raises(ValueError, match=said):
        _recipe(tmp_path, 'contrast', _CONTRAST.replace(line, '', 1))


def test_attributes_in_words():
    assert wanted_columns(['smile', 'race=elf', 'race=orc']) == ('smile', 'race')
    labels = {'smile': np.array(['1', '0']), 'race': np.array(['orc', 'elf'])}
    assert label_targets(labels, ['smile', 'race=elf']) == pytest.approx(
        np.array([[0.9, -0.9], [-0.9, 0.9]]))


def test_attributes_by_their_probability():
    labels = {'smile': np.array(['0.5', '0.75'])}
    assert label_targets(labels, ['smile']) == pytest.approx(np.array([[0.0], [0.45]]))


def test_auxiliary_attributes_are_left_out_of_what_is_trained(tmp_path, data):
    text = _ATTRIBUTES.replace('smile, ', '') + 'auxiliary: [smile]\n'
    recipe = _recipe(tmp_path, 'attributes', text)
    train(recipe, data, tmp_path, device=_CPU)
    network = load_run(tmp_path, 'attributes', 'attributes', recipe)
    faces = augmentation.view(augmentation.planes(data.faces.pixels, False), None, 0)
    assert encode(network, faces, _CPU).shape == (80, 16)


def test_light_comes_from_where_it_comes_from():
    dark = torch.full((3, 1, 64, 64), -0.5)
    dark[1, 0, :32, :32] = 0.5
    dark[2, 0, 32:, 32:] = 0.5
    light = light_targets(dark)[:, :4]
    assert light[0] == pytest.approx(np.tanh(-0.75))
    assert light[1] == pytest.approx(np.tanh([0.75, -0.75, -0.75, -0.75]))
    assert light[2] == pytest.approx(np.tanh([-0.75, -0.75, -0.75, 0.75]))


def _generator(people: int, attributes: 'torch.Tensor') -> Generator:
    torch.manual_seed(0)
    return Generator(torch.nn.Sequential(torch.nn.Linear(attributes.shape[1], 5)),
                     torch.nn.Sequential(torch.nn.Linear(5, 4)), people, attributes)


def test_identities_tell_nothing_of_attributes():
    attributes = torch.rand(50, 3)
    generator = _generator(50, attributes)
    with torch.no_grad():
        generator._identities.copy_(attributes @ torch.rand(3, 5) + 0.1 * torch.randn(50, 5) + 2)
    generator.decorrelate()
    identities = generator.identities
    assert np.abs(identities.mean(axis=0)).max() < 1e-4
    centred = attributes.numpy() - attributes.numpy().mean(axis=0)
    assert np.abs(centred.T @ identities).max() < 1e-3
    assert np.linalg.norm(identities) > 1  # what is left is who it is


def test_people_without_an_identity_get_none():
    generator = _generator(2, torch.rand(2, 3))
    with torch.no_grad():
        generator._identities.fill_(1)
        codes = torch.rand(1, 3)
        plain = generator.decoder(generator.tail(codes))
        shown = [generator(torch.cat([codes, torch.tensor([[float(person)]])], 1))
                 for person in (NO_IDENTITY, 0)]
    assert torch.equal(shown[0], plain)
    assert not torch.allclose(shown[1], plain)


def test_people_with_one_trained_image_have_no_identity():
    identities = np.array(['a', 'b', 'b', 'c', 'c', 'd', 'd'])
    trained = np.array([True, True, True, True, False, True, True])
    names, numbers = people_with_identity(identities, trained)
    assert list(names) == ['b', 'd']
    assert list(numbers) == [NO_IDENTITY, 0, 0, NO_IDENTITY, NO_IDENTITY, 1, 1]


def test_trios_are_of_three_different_people():
    trios = candidates.draw_contributors(40, 500, np.random.default_rng(3))
    assert trios.shape == (500, 3)
    assert (np.sort(trios, axis=1)[:, 1:] > np.sort(trios, axis=1)[:, :-1]).all()
    with pytest.raises(ValueError, match='made of 3 people'):
        candidates.draw_contributors(2, 500, np.random.default_rng(3))


def test_a_gallery_can_be_made_of_another(tmp_path):
    identities = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    people = np.arange(15).reshape(5, 3)
    table = tmp_path / 'table.npz'
    save_arrays(str(table), {'identities': candidates.DISTANCE * identities,
                             'contributors': people.astype(np.float32)})
    found = candidates.rescaled(candidates.of_table(table))
    assert found.vectors == pytest.approx(identities, abs=1e-2)
    assert np.array_equal(found.people, people)


def test_a_gallery_is_not_made_of_another_kind_of_table(tmp_path):
    table = tmp_path / 'table.npz'
    save_arrays(str(table), {'centres': np.ones((2, 3), np.float32)})
    with pytest.raises(ValueError, match='holds centres; the table of a gallery has'):
        candidates.of_table(table)


def test_mixed_identities_say_of_whom_they_are():
    identities = candidates.Identities(np.eye(5, 8, dtype=np.float32),
                                       np.array([[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]))
    made = candidates.mixed(identities, 7, np.random.default_rng(0))
    assert made.vectors.shape == (7, 8)
    for vector, whose in zip(made.vectors, made.people, strict=True):
        assert sorted(whose) == sorted(identities.people[vector.nonzero()[0]].reshape(-1))


def test_candidates_are_equally_far_and_made_of_their_three():
    identities = 3 * np.eye(6, 8, dtype=np.float32)
    trios = np.array([[0, 2, 5], [1, 2, 3]])
    made = candidates.signed_sums(identities, trios, np.random.default_rng(0))
    assert made.dtype == np.float32
    assert np.linalg.norm(made, axis=1) == pytest.approx(3 * candidates.DISTANCE)
    for candidate, trio in zip(made, trios):
        assert list(np.flatnonzero(candidate)) == sorted(trio)
        assert np.abs(candidate[trio]) == pytest.approx(3 * candidates.DISTANCE / np.sqrt(3))


def test_numbers_of_people_survive_half_precision():
    numbers = np.arange(gallery.MOST_PEOPLE)
    assert np.array_equal(numbers.astype(np.float16).astype(int), numbers)


@pytest.fixture(scope='module')
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp('store'))


@pytest.fixture
def make_gallery(tmp_path, data, store):
    """Return a function that makes a gallery, with networks that know nothing."""
    recipe = _recipe(tmp_path, 'contrast', _CONTRAST)
    (tmp_path / 'contrast').mkdir()
    torch.manual_seed(0)
    for role, layers in recipe.networks().items():
        save_module(tmp_path / 'contrast' / f'{role}.npz', module_of(layers))

    def make(vectors: np.ndarray, people: np.ndarray) -> gallery.Gallery:
        return gallery.Gallery(recipe, data.faces, candidates.Identities(vectors, people), tmp_path,
                               store)

    return make


def test_what_no_detector_takes_for_a_face_does_not_come_into_the_gallery(make_gallery):
    identities = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    made = make_gallery(identities, np.arange(6)[:, None])
    verified = made.verify()
    assert verified.described.shape == (6, 8, 128)
    assert not verified.is_face.any()
    assert not verified.passed.any()
    assert made.described_in_frames(np.array([1, 4])).shape == (2, 8, 128)


def test_the_table_says_whose_identities_are_in_it(make_gallery):
    identities = np.eye(5, 8, dtype=np.float32)
    people = np.array([[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]])
    table = make_gallery(identities, people).table(np.array([0, 3, 4]))
    assert np.array_equal(table['identities'], identities[[0, 3, 4]])
    assert np.array_equal(table['contributors'], people[[0, 3, 4]])


def test_a_gallery_needs_the_training_data_of_its_people(make_gallery):
    with pytest.raises(ValueError, match='up to number 2000, but the training data has'):
        make_gallery(np.ones((3, 8), np.float32), np.array([[0], [1], [2000]]))


def test_confusions_are_the_share_of_attribute_sets():
    described = np.zeros((3, 2, 128))
    described[:, 0, 0] = [0, 0.5, 5]
    described[:, 1, 0] = [0, 0.7, 0.2]
    assert gallery.confusions(described) == pytest.approx(
        np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]))


def test_who_is_confused_most_is_dropped_first():
    confused = np.zeros((5, 5))
    for one, other, share in ((0, 1, 1), (1, 2, 1), (3, 4, 0.5)):
        confused[one, other] = confused[other, one] = share
    assert list(gallery.least_confused(confused, 4)) == [0, 2, 3, 4]
    assert len(gallery.least_confused(confused, 3)) == 3
    assert {0, 2} <= set(gallery.least_confused(confused, 3))
    assert list(gallery.least_confused(confused, 9)) == [0, 1, 2, 3, 4]


def test_every_centre_stands_for_many_people():
    random = np.random.default_rng(0)
    latents = np.concatenate([random.normal(size=(300, 4)), random.normal(50, 1, (3, 4))])
    people = np.array([f'{index // 2}' for index in range(303)])
    centres = gallery.populated_centres(latents.astype(np.float32), people, 10, 0)
    assert centres.dtype == np.float32
    assert len(centres) > 1
    nearest = np.linalg.norm(latents[:, None] - centres[None], axis=2).argmin(axis=1)
    assert min(len(set(people[nearest == index])) for index in range(len(centres))) >= 10


def test_nearest_other_person():
    described = np.zeros((4, 128), np.float32)
    described[:, 0] = [0, 1, 5, 7]
    people = np.array(['a', 'a', 'b', 'c'])
    assert gallery.nearest_others(TrainingPeople(described, people), described) == pytest.approx(
        [5, 4, 2, 2])
