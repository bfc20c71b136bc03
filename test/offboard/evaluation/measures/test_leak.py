# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""LEAK, worked out by hand."""

import numpy as np
import pytest
from descriptors import on_a_line

from deid_ros.offboard.common.training_people import TrainingPeople
from deid_ros.offboard.evaluation.measures import leak

PEOPLE = np.array(['bob', 'ann', 'bob', 'eve'])
TRAINING = on_a_line(0.0, 1.0, 4.0, 9.0)


@pytest.fixture
def training_people():
    return TrainingPeople(TRAINING, PEOPLE)


def test_distance_to_a_person_is_that_to_the_nearest_face(training_people):
    assert training_people.people.tolist() == ['ann', 'bob', 'eve']
    assert training_people.codes.tolist() == [1, 0, 1, 2]
    assert training_people.distances(on_a_line(3.0, 1.0)) == pytest.approx(
        np.array([[2.0, 1.0, 6.0], [0.0, 1.0, 8.0]]), abs=1e-3)


def test_contributors(training_people):
    to_people = training_people.distances(on_a_line(0.5, 0.9, 3.0, 8.7))
    ann, bob, eve = range(3)
    # Near: bob at 0.5, ann at 0.1, not bob at 1, eve at 0.3.
    # Nearest: ann and bob both at 0.5 (the first is taken), ann, bob, eve.
    contributors = [np.array(each) for each in ([bob, bob], [ann, eve], [bob], [ann])]
    found = leak.contributor_leak(to_people, contributors)
    assert found['LEAK near'].value == pytest.approx(100 * 2 / 4)
    assert found['LEAK rank-1'].value == pytest.approx(100 * 2 / 4)
    # Drawn: 1, 2, 1 and 1 of 3 people, of whom 2, 1, 0 and 1 are near.
    assert found['LEAK near by chance'].value == pytest.approx(
        100 * np.mean([2 / 3, 2 / 3, 0, 1 / 3]))
    assert found['LEAK rank-1 by chance'].value == pytest.approx(100 * np.mean([1, 2, 1, 1]) / 3)


def test_a_face_without_contributors(training_people):
    found = leak.contributor_leak(training_people.distances(on_a_line(0.0)), [np.array([], int)])
    assert {figure.value for figure in found.values()} == {0}


def test_crowd_quantile_is_that_of_unseen_people(training_people):
    unseen = np.linspace(10, 20, 101)
    to_unseen = training_people.distances(on_a_line(*unseen))
    found = leak.crowd_leak(training_people.distances(on_a_line(9.0, 10.4, 10.6, 30.0)), to_unseen)
    # The nearest is eve at 9, so unseen people are 1 … 11 away: the 5 % quantile is 1.5.
    assert found['LEAK crowd'].value == pytest.approx(50)
    quantiles = [found[f'LEAK crowd: unseen people, {level} % quantile'].value
                 for level in ('1', '5', '50')]
    assert quantiles == pytest.approx([1.1, 1.5, 6.0], abs=1e-3)


def test_chance_to_draw_a_marked_one_among_many():
    # At least one of 10 marked in 50 drawn from 5,728: 1 − (5718 choose 50) / (5728 choose 50)
    expected = 1 - np.prod([(5728 - 10 - index) / (5728 - index) for index in range(50)])
    found = leak._some_drawn(5728, np.array([10, 0, 5728]), np.array([50, 50, 1]))
    assert found == pytest.approx([expected, 0, 1])
