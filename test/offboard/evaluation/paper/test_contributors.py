# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Contributors are those whose mean the shift itself takes."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('sklearn')

from deid_ros.core.deidentification.weights import ModelStore  # noqa: E402
from deid_ros.core.resources import models_directory  # noqa: E402
from deid_ros.offboard.common.datasets import Faces  # noqa: E402
from deid_ros.offboard.evaluation.paper import contributors  # noqa: E402
from deid_ros.offboard.training.paper import shifts  # noqa: E402

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def training():
    return np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)


@pytest.fixture
def new():
    return np.random.default_rng(1).normal(size=(7, 6)).astype(np.float32)


def _shifted_with_everybody(new, training, shift):
    """What a shift gives for new faces when they are among the training faces, as other people."""
    both = np.concatenate([new, training])
    identities = np.array([f'{index}' for index in range(len(both))])
    return shift(both, identities)[:len(new)]


def test_cluster_members_have_the_centre_as_their_mean(new, training):
    centres = shifts.cluster_centres(training, 5, 0)
    found = contributors.of_cluster(new, training, centres)
    means = np.stack([training[each].mean(axis=0) for each in found])
    assert means == pytest.approx(shifts.cluster_shift(new, centres, 1.0), abs=1e-4)


def test_neighbour_is_the_target_of_the_shift(new, training):
    for latent in new:
        found = contributors.of_neighbour(latent[None], training, 4,
                                          np.concatenate([latent[None], training]).mean(axis=0))
        shifted = _shifted_with_everybody(latent[None], training, lambda both, identities:
                                          shifts.neighbour_shift(both, identities, n=4, alpha=1.0))
        assert training[found[:, 0]] == pytest.approx(shifted, abs=1e-5)


def test_nth_neighbour_in_a_cell(new, training):
    distances = np.linalg.norm(new[:, None] - training[None], axis=2)
    assert np.array_equal(contributors.of_cell(new, training, 3)[:, 0],
                          distances.argsort(axis=1)[:, 2])


def test_contributors_of_a_synthetic_identity_are_all_faces_of_its_people():
    pytest.importorskip('torch')
    from deid_ros.offboard.common.identities import identities_of
    from deid_ros.offboard.training.common.data import TrainingData
    from deid_ros.offboard.training.synthetic.generator import people_with_identity

    people = np.array([f'{index // 3}' for index in range(90)])
    faces = Faces(np.zeros((90, 1, 1, 3), np.uint8), people, people)
    names, _ = people_with_identity(people, ~TrainingData(faces, {}).held_out)
    made_of = np.array([[7.0, 0.0, 9.0], [7.0, 8.0, 7.0], [1.0, 2.0, 3.0]])
    new = np.random.default_rng(0).integers(0, 256, (5, 64, 64), np.uint8)
    found = contributors.of_gallery(made_of, new, faces, 'another key')
    for each, identity in zip(found, identities_of(new, len(made_of), 'another key')):
        expected = set(names[made_of[identity].astype(int)])
        assert set(people[each]) == expected
        assert len(each) == 3 * len(expected)


def test_attraction_sets_of_each_attribute(new, training):
    labels = [np.array(['glad', 'sad', 'calm'] * 20), np.array(['0', '1'] * 30)]
    identities = np.array([f'{index}' for index in range(60)])
    found = contributors.of_attributes(new, training, labels, identities, n=2, alpha=0.5, beta=0.0)
    assert found.shape == (7, 4)
    distances = np.linalg.norm(new[:, None] - training[None], axis=2)
    own = [values[distances.argmin(axis=1)] for values in labels]
    for face in range(7):
        for number, values in enumerate(labels):
            assert (values[found[face, 2 * number:2 * number + 2]] == own[number][face]).all()
        same = np.flatnonzero(labels[0] == own[0][face])
        assert list(found[face, :2]) == list(same[distances[face, same].argsort()[:2]])


def test_members_behind_a_table_count_mirror_images_as_their_face(training):
    table = {'centres': np.concatenate([training, -training])}
    people = np.arange(len(training)).astype(str)
    for seen in (training[:3] + 0.01, -training[:3]):
        found = contributors.of_table('cluster', 1, table, seen, training, -training, people, 0)
        assert [list(each) for each in found] == [[0], [1], [2]]


def test_those_behind_a_table_of_groups_are_the_groups(training):
    people = np.arange(len(training)).astype(str)
    both = np.concatenate([training, -training])
    groups = shifts.small_groups(both, np.tile(people, 2), count=20, size=3, seed=5)
    centres = shifts.set_means(both, groups)
    table = {'centres': centres, 'mean': np.zeros(6, np.float32)}
    found = contributors.of_table('neighbour', 1, table, centres[:4] + 1e-3, training, -training,
                                  people, 5)
    assert [list(each) for each in found] == (groups[:4] % len(training)).tolist()
    with pytest.raises(ValueError, match='not made from these training faces'):
        contributors.of_table('neighbour', 1, table, centres[:4], training[::-1] + 1, training,
                              people, 5)


def test_members_of_all_cells_are_combined():
    cells = np.random.default_rng(2).normal(size=(20, 5, 2, 2)).astype(np.float32)
    flat = cells.reshape(20, 5, 4)
    centres = np.stack([flat[:, :, cell] for cell in range(4)])
    found = contributors.of_table('cell', 2, {'centres': centres}, cells[:2], cells, cells + 50,
                                  np.arange(20).astype(str), 0)
    for face in range(2):
        expected = [np.linalg.norm(flat[:, :, cell] - flat[face, :, cell], axis=1).argsort()[1]
                    for cell in range(4)]
        assert list(found[face]) == expected


def test_shipped_modes_name_people_of_the_training_set(tmp_path):
    pytest.importorskip('torch')
    faces = np.random.default_rng(3).integers(0, 256, (90, 96, 96, 3), np.uint8)
    training = Faces(faces, np.array([f'{index}.jpg' for index in range(90)]),
                     np.array([f'{index}' for index in range(90)]))
    labels = tmp_path / 'labels.csv'
    labels.write_text('image,ethnicity,emotion,Mouth_Slightly_Open\n' + ''.join(
        f'{index}.jpg,{index % 2},{index // 45},{(index // 5) % 2}\n' for index in range(90)))
    store = ModelStore(str(models_directory()))
    color = np.random.default_rng(4).integers(0, 256, (3, 64, 64, 3), np.uint8)
    counts = {}
    for mode, apply in (('reconstruct', 'finetuned'), ('cluster', 'finetuned'),
                        ('cluster', 'runtime'), ('attribute', 'finetuned'),
                        ('neighbour', 'finetuned'), ('cell', 'finetuned')):
        new = color if store.modes[mode]['color'] else color[:, :, :, 0]
        found = contributors.of_mode(store, ROOT / 'config' / 'training', mode, apply, new,
                                     training, labels, tmp_path)
        counts[mode, apply] = found and [len(each) for each in found]
        assert found is None or all(0 <= index < 90 for each in found for index in each)
    assert counts['reconstruct', 'finetuned'] is None
    assert counts['attribute', 'finetuned'] == [60, 60, 60]
    assert counts['neighbour', 'finetuned'] == [1, 1, 1]
    assert counts['cell', 'finetuned'] == [4, 4, 4]
    assert len(list(tmp_path.glob('latents-*.npy'))) == 4, 'three encoders, one of them mirrored'
    with pytest.raises(ValueError, match='attribute needs --training-labels'):
        contributors.of_mode(store, ROOT / 'config' / 'training', 'attribute', 'finetuned',
                             color[:, :, :, 0], training, None)
