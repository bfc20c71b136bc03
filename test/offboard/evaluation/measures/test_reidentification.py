# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Rank-1 and verification, worked out by hand."""

import numpy as np
import pytest
from descriptors import on_a_line

from deid_ros.offboard.evaluation.measures import reidentification
from deid_ros.offboard.evaluation.measures.anonymity import distances
from deid_ros.offboard.evaluation.measures.reidentification import Attack


def test_gallery_and_probes_are_other_images_of_the_same_people():
    identities = np.array(['a'] * 5 + ['b'] * 2 + ['alone'] + ['c'] * 4)
    gallery, probes = reidentification.split(identities, 0)
    assert not set(gallery) & set(probes)
    assert sorted(identities[gallery]) == ['a', 'a', 'b', 'c', 'c']
    assert sorted(identities[probes]) == ['a', 'a', 'a', 'b', 'c', 'c']
    again = reidentification.split(identities, 0)
    assert np.array_equal(gallery, again[0])
    others = [reidentification.split(identities, seed)[0] for seed in range(1, 10)]
    assert not all(np.array_equal(gallery, other) for other in others)
    with pytest.raises(ValueError, match='two people or more'):
        reidentification.split(np.array(['a', 'a', 'b']), 0)


def _shares(probes, whose, gallery, people):
    """Return hits as a share of trials, by measure, in percent."""
    found = reidentification.attempts(
        distances(on_a_line(*probes), on_a_line(*gallery)),
        np.array(list(whose))[:, None] == np.array(list(people)))
    return {name: 100 * counts[:, 0].sum() / counts[:, 1].sum() for name, counts in found.items()}


def test_rank_1_and_chance():
    found = _shares((0.1, 1.9, 1.2, 2.9), 'abbc', (0, 1, 2, 3), 'aabc')
    assert found['rank-1'] == pytest.approx(100 * 3 / 4)
    assert found['rank-1 by chance'] == pytest.approx(100 * np.mean([2, 1, 1, 1]) / 4)
    assert not any('TAR' in name for name in found), '12 pairs of others cannot tell a FAR of 1 %'


def test_verification_at_a_false_accept_rate():
    # 20 people a wide way apart; half of the probes lie on themselves, half between two people.
    people, positions = range(20), 10.0 * np.arange(20)
    found = _shares(positions + 4.0 * (np.arange(20) % 2), people, positions, people)
    # 380 pairs of others. Nearest: 10 at 6 (an odd probe and the next person; the last has none:
    # 9), then at 10: so 3 of 380 may pass at 1 %, all at 6, and the limit is 6. Own: 0 or 4.
    assert found['TAR at FAR 0.01'] == pytest.approx(100)
    assert 'TAR at FAR 0.001' not in found
    found = _shares(positions + 7.0 * (np.arange(20) % 2), people, positions, people)
    # Own: 0 or 7; nearest of others: 3.
    assert found['TAR at FAR 0.01'] == pytest.approx(50)


def test_every_split_counts():
    # One of the three images of `a` lies beside the one of `b` that is not far away. It is taken
    # for `b` whenever it is a probe and that one is in the gallery.
    people = np.array(['a', 'a', 'a', 'b', 'b', 'alone'])
    described = on_a_line(0, 0.1, 5, 5.1, 9, 0.05)
    hits = trials = 0
    for seed in range(reidentification.SPLITS):
        gallery, probes = reidentification.split(people, seed)
        for probe in probes:
            nearest = min(gallery, key=lambda each: abs(described[each] - described[probe]).sum())
            hits, trials = hits + (people[nearest] == people[probe]), trials + 1
    assert 0 < hits < trials
    found = reidentification.reidentification([Attack(described, described)], people, 'x')
    assert found['x rank-1'].value == pytest.approx(100 * hits / trials)
    assert found['x rank-1'].low < found['x rank-1'].value < found['x rank-1'].high
    assert found['x rank-1'].count == 3


def test_the_gallery_is_what_the_attacker_knows():
    people = np.array(['a', 'a', 'b', 'b'])
    described = on_a_line(0, 0, 1, 1)
    swapped = on_a_line(1, 1, 0, 0)
    for known, expected in ((described, 100), (swapped, 0)):
        found = reidentification.reidentification([Attack(known, described)], people)
        assert found['re-id rank-1'].value == expected


def test_every_attack_counts():
    people = np.array(['a', 'a', 'b', 'b'])
    original, swapped = on_a_line(0, 0, 1, 1), on_a_line(1, 1, 0, 0)
    # Who has the originals finds all of the first and none of the others.
    found = reidentification.reidentification(
        reidentification.naive(original, [original, swapped, swapped]), people)
    assert found['re-id rank-1'].value == pytest.approx(100 / 3)
    assert found['re-id rank-1'].count == 2, 'probes, not attempts'


def test_a_parrot_has_other_new_faces_than_those_that_it_looks_for():
    people = np.array(['a', 'a', 'b', 'b'])
    original, swapped = on_a_line(0, 0, 1, 1), on_a_line(1, 1, 0, 0)
    for described, expected in (([original], 100), ([original, swapped], 0),
                                ([original, swapped, swapped], 100 / 3)):
        found = reidentification.reidentification(reidentification.parrot(described), people)
        assert found['re-id rank-1'].value == pytest.approx(expected)
