# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The targets against equations (7)–(11) written out with dense matrices."""

import numpy as np
import pytest

pytest.importorskip('sklearn')

from deid_ros.offboard.training.paper import shifts  # noqa: E402

_RANDOM = np.random.default_rng(3)
_COUNT, _SIZE = 60, 7
_LATENTS = _RANDOM.normal(size=(_COUNT, _SIZE)).astype(np.float32)
_IDENTITIES = np.array([f'person {index % 25}' for index in range(_COUNT)])
_LABELS = [_RANDOM.choice(['a', 'b', 'c'], _COUNT), _RANDOM.choice(['0', '1'], _COUNT)]


def _dense_weights(latents, allowed, n):
    """Return P (or Q): 1 / n for the n nearest samples that may be in the set."""
    weights = np.zeros((len(latents), len(latents)))
    for i in range(len(latents)):
        candidates = [j for j in range(len(latents)) if j != i and allowed(i, j)]
        candidates.sort(key=lambda j: np.square(latents[i] - latents[j]).sum())
        weights[i, candidates[:n]] = 1 / n
    return weights


def _supervised_once(x, labels, n, alpha, beta):
    p = _dense_weights(x, lambda i, j: labels[i] == labels[j]
                       and _IDENTITIES[i] != _IDENTITIES[j], n)
    q = _dense_weights(x, lambda i, j: labels[i] != labels[j], n)
    y = (1 - alpha) * x + alpha * p @ x
    return (1 + beta) * y - beta * q @ y


def _supervised(latents, attributes, n, alpha, beta):
    x = latents.astype(np.float64)
    for labels in attributes:
        x = _supervised_once(x, labels, n, alpha, beta)
    return x


@pytest.mark.parametrize('alpha', [0.4, 1.0])
@pytest.mark.parametrize('beta', [0.0, 0.5])
@pytest.mark.parametrize('n', [1, 5])
def test_supervised_shift_is_attraction_then_repulsion(n, alpha, beta):
    found = shifts.supervised_shift(_LATENTS, _LABELS[:1], _IDENTITIES, n=n, alpha=alpha, beta=beta)
    assert np.allclose(found, _supervised(_LATENTS, _LABELS[:1], n, alpha, beta), atol=1e-4)


def test_successive_shifts_keep_their_order():
    def shifted(attributes):
        return shifts.supervised_shift(_LATENTS, attributes, _IDENTITIES, n=3, alpha=0.6, beta=0.2)

    assert np.allclose(shifted(_LABELS), _supervised(_LATENTS, _LABELS, 3, 0.6, 0.2), atol=1e-4)
    assert not np.allclose(shifted(_LABELS), shifted(_LABELS[::-1]), atol=1e-2)


def test_attraction_and_repulsion_with_any_sets():
    sets = _RANDOM.integers(0, _COUNT, (_COUNT, 4))
    weights = np.zeros((_COUNT, _COUNT))
    for row, members in enumerate(sets):
        for member in members:
            weights[row, member] += 1 / 4
    assert np.allclose(shifts.attract(_LATENTS, sets, 0.3),
                       0.7 * _LATENTS + 0.3 * weights @ _LATENTS, atol=1e-5)
    assert np.allclose(shifts.repel(_LATENTS, sets, 0.3),
                       1.3 * _LATENTS - 0.3 * weights @ _LATENTS, atol=1e-5)


def test_neighbour_is_the_one_nearest_to_the_mean():
    found = shifts.neighbour_shift(_LATENTS, _IDENTITIES, n=5, alpha=0.8)
    sets = _dense_weights(_LATENTS, lambda i, j: _IDENTITIES[i] != _IDENTITIES[j], 5) > 0
    from_mean = np.linalg.norm(_LATENTS - _LATENTS.mean(axis=0), axis=1)
    chosen = np.where(sets, from_mean, np.inf).argmin(axis=1)
    assert np.allclose(found, 0.2 * _LATENTS + 0.8 * _LATENTS[chosen], atol=1e-5)


def test_each_cell_goes_to_its_own_nth_neighbour():
    latents = _RANDOM.normal(size=(_COUNT, 5, 2, 2)).astype(np.float32)
    before = latents.copy()
    found = shifts.cell_shift(latents, _IDENTITIES, n=4, alpha=0.9)
    assert np.array_equal(latents, before)
    for row in range(2):
        for column in range(2):
            cell = latents[:, :, row, column]
            near = [_dense_weights(cell, lambda i, j: _IDENTITIES[i] != _IDENTITIES[j], n) > 0
                    for n in (3, 4)]
            fourth = (near[1] & ~near[0]).argmax(axis=1)
            assert np.allclose(found[:, :, row, column], 0.1 * cell + 0.9 * cell[fourth], atol=1e-5)


def test_cluster_shift_goes_to_the_nearest_centre():
    centres = shifts.cluster_centres(_LATENTS, 6, seed=1)
    distances = np.linalg.norm(_LATENTS[:, None] - centres[None], axis=2)
    nearest = centres[distances.argmin(axis=1)]
    assert np.allclose(shifts.cluster_shift(_LATENTS, centres, 1.0), nearest, atol=1e-5)
    assert np.allclose(shifts.cluster_shift(_LATENTS, centres, 0.25),
                       0.75 * _LATENTS + 0.25 * nearest, atol=1e-5)
    assert np.array_equal(centres, shifts.cluster_centres(_LATENTS, 6, seed=1))


def test_too_few_allowed_samples_are_an_error():
    with pytest.raises(ValueError, match='fewer than 30'):
        shifts.supervised_shift(_LATENTS, [_LABELS[0]], _IDENTITIES, n=30, alpha=1, beta=0)


def _literal_group(first, size):
    group = [first]
    for other in np.square(_LATENTS - _LATENTS[first]).sum(axis=1).argsort():
        if len(group) < size and _IDENTITIES[other] not in _IDENTITIES[group]:
            group.append(other)
    return group


def test_small_groups_are_like_faces_of_different_people():
    groups = shifts.small_groups(_LATENTS, _IDENTITIES, count=_COUNT, size=3, seed=1)
    assert sorted(groups[:, 0]) == list(range(_COUNT))
    assert groups.tolist() == [_literal_group(first, 3) for first in groups[:, 0]]
    few = shifts.small_groups(_LATENTS, _IDENTITIES, count=10, size=3, seed=1)
    assert np.array_equal(few, groups[:10])


@pytest.mark.parametrize(('count', 'size'), [(_COUNT + 1, 3), (5, 26)])
def test_groups_that_cannot_be_made_are_an_error(count, size):
    with pytest.raises(ValueError, match=f'{count} groups of {size} people'):
        shifts.small_groups(_LATENTS, _IDENTITIES, count=count, size=size, seed=1)
