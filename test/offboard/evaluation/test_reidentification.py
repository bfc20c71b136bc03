# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Rank-1 and verification, worked out by hand."""

import numpy as np
import pytest
from descriptors import on_a_line

from deid_ros.offboard.evaluation import reidentification


def test_gallery_and_probes_are_other_images_of_the_same_people():
    identities = np.array(['a'] * 5 + ['b'] * 2 + ['alone'] + ['c'] * 4)
    gallery, probes = reidentification.split(identities)
    assert not set(gallery) & set(probes)
    assert sorted(identities[gallery]) == ['a', 'a', 'b', 'c', 'c']
    assert sorted(identities[probes]) == ['a', 'a', 'a', 'b', 'c', 'c']
    again = reidentification.split(identities)
    assert np.array_equal(gallery, again[0])
    with pytest.raises(ValueError, match='two people or more'):
        reidentification.split(np.array(['a', 'a', 'b']))


def test_rank_1_and_chance():
    gallery, people = on_a_line(0, 1, 2, 3), np.array(['a', 'a', 'b', 'c'])
    probes, whose = on_a_line(0.1, 1.9, 1.2, 2.9), np.array(['a', 'b', 'b', 'c'])
    found = reidentification.reidentification(gallery, people, probes, whose, 'x')
    assert found['x rank-1'].value == pytest.approx(100 * 3 / 4)
    assert found['x rank-1 by chance'].value == pytest.approx(100 * np.mean([2, 1, 1, 1]) / 4)
    assert found['x rank-1'].count == 4
    assert not any('TAR' in name for name in found), '12 pairs of others cannot tell a FAR of 1 %'
    with pytest.raises(ValueError, match='1 people of the probes'):
        reidentification.reidentification(gallery, people, probes, np.array(['a', 'b', 'd', 'c']))


def test_verification_at_a_false_accept_rate():
    # 20 people a wide way apart; half of the probes lie on themselves, half between two people.
    people = np.array([f'{index:02}' for index in range(20)])
    positions = 10.0 * np.arange(20)
    gallery = on_a_line(*positions)
    probes = on_a_line(*(positions + 4.0 * (np.arange(20) % 2)))
    found = reidentification.reidentification(gallery, people, probes, people, 'x')
    # 380 pairs of others. Nearest: 10 at 6 (an odd probe and the next person; the last has none:
    # 9), then at 10: so 3 of 380 may pass at 1 %, all at 6, and the limit is 6. Own: 0 or 4.
    assert found['x TAR at FAR 0.01'].value == pytest.approx(100)
    assert 'x TAR at FAR 0.001' not in found
    closer = on_a_line(*(positions + 7.0 * (np.arange(20) % 2)))
    found = reidentification.reidentification(gallery, people, closer, people, 'x')
    # Own: 0 or 7; nearest of others: 3.
    assert found['x TAR at FAR 0.01'].value == pytest.approx(50)
