# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""ANON and ATTR, worked out by hand."""

import numpy as np
import pytest
from descriptors import on_a_line

from deid_ros.core.errors import ConfigurationError
from deid_ros.offboard.evaluation.measures import anonymity


def test_distances_are_euclidean():
    random = np.random.default_rng(0)
    one, other = random.random((4, 128), np.float32), random.random((3, 128), np.float32)
    expected = [[np.linalg.norm(a - b) for b in other] for a in one]
    assert anonymity.distances(one, other) == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize(('positions', 'k'), [
    ((0, 0.1, 0.2), 3),         # all alike
    ((0, 0.5, 1.0), 2),         # the outer two are alike with the middle one only
    ((0, 0.1, 0.2, 5), 1),      # somebody is alone
    ((0, 0.1, 0.2, 5, 5.1), 2),
])
def test_anon_is_the_smallest_group(positions, k):
    found = anonymity.anon(on_a_line(*positions))
    assert found.value == k
    assert found.unit == 'faces'
    assert 1 <= found.low <= found.high <= len(positions)


def _classifier(tmp_path, **changes):
    # Two hidden values: e0 and −e0; labels: big (e0 > 1), small (e0 < −1), always, never.
    arrays = {'w0': np.zeros((128, 2)), 'b0': np.zeros(2),
              'w1': np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]]), 'b1': np.array([-1.0, -1, 1, -1]),
              'labels': np.array(['big', 'small', 'always', 'never'])}
    arrays['w0'][0] = [1, -1]
    arrays.update(changes)
    path = tmp_path / 'classifier.npz'
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def test_classifier_gives_its_labels(tmp_path):
    classifier = anonymity.AttributeClassifier(_classifier(tmp_path))
    described = np.zeros((3, 128), np.float32)
    described[:, 0] = [2, 0, -2]
    assert classifier.has(described, ('small', 'always', 'big', 'never')).tolist() == [
        [False, True, True, False], [False, True, False, False], [True, True, False, False]]
    with pytest.raises(ConfigurationError, match='no label tall, only big, small, always, never'):
        classifier.has(described, ('big', 'tall'))


@pytest.mark.parametrize('changes', [{'w1': None}, {'labels': np.array(['big'])}])
def test_another_file_is_no_classifier(tmp_path, changes):
    with pytest.raises(ConfigurationError, match='classifier.npz'):
        anonymity.AttributeClassifier(_classifier(tmp_path, **changes))
    with pytest.raises(ConfigurationError, match='cannot be read'):
        anonymity.AttributeClassifier(tmp_path / 'nowhere.npz')


def test_attr_is_micro_averaged():
    truth = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1]], bool)
    predicted = np.array([[1, 0, 0, 0], [1, 1, 0, 1], [0, 0, 0, 0]], bool)
    # Right: 1 and 1. Given: 1 and 3. The third face got no label at all.
    assert anonymity.attr(truth, predicted).value == pytest.approx(100 * 2 / 4)
    with pytest.raises(ValueError, match='share of nothing'):
        anonymity.attr(truth, np.zeros_like(truth))
