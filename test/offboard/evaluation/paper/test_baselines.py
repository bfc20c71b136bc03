# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Baselines against small cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_ros.offboard.evaluation.paper import baselines


@pytest.fixture(scope='module')
def faces():
    return np.random.default_rng(0).integers(0, 256, (5, 64, 64), np.uint8)


def test_k_same_means_the_nearest():
    samples = np.array([[0.0], [10.0], [1.0], [11.0]])
    assert baselines.k_same(samples, 2).tolist() == [[0.5], [10.5], [0.5], [10.5]]


def test_k_same_leaves_no_group_of_fewer_than_k():
    samples = np.array([[0.0], [1.0], [5.0], [6.0], [7.0]])
    # After {0, 1}, three are left: fewer than two groups.
    assert baselines.k_same(samples, 2).tolist() == [[0.5], [0.5], [6.0], [6.0], [6.0]]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 1000))
def test_k_same_gives_each_result_to_k_or_more(k, more, seed):
    samples = np.random.default_rng(seed).random((k + more, 3))
    _, counts = np.unique(baselines.k_same(samples, k), axis=0, return_counts=True)
    assert counts.min() >= k


@pytest.mark.parametrize('k', [0, 6])
def test_k_same_needs_k_samples(k):
    with pytest.raises(ValueError, match=f'k = {k} of 5 samples'):
        baselines.k_same(np.zeros((5, 2)), k)


def test_k_same_of_pixels_is_a_mean_of_faces(faces):
    expected = np.rint(faces.astype(np.float32).mean(axis=0))
    for face in baselines.k_same_pixels(faces, 5):
        assert np.array_equal(face, expected)


def test_pixelated_faces_are_squares_of_means(faces):
    pixelated = baselines.pixelate(faces, 8)
    blocks = faces.reshape(5, 8, 8, 8, 8).mean(axis=(2, 4))
    assert np.abs(pixelated.reshape(5, 8, 8, 8, 8)
                  - blocks[:, :, None, :, None]).max() <= 0.5 + 1e-6


def test_stronger_blur_leaves_less(faces):
    rough = [np.abs(np.diff(baselines.blur(faces, sigma).astype(int))).mean()
             for sigma in (1, 5, 9)]
    assert rough[0] > rough[1] > rough[2]


@pytest.mark.parametrize('name', ['blur', 'pixelate', 'mask'])
def test_shipped_baselines_treat_each_face_by_itself(faces, name):
    together = baselines.shipped(faces, name)
    assert together.shape == faces.shape
    assert together.dtype == np.uint8
    for face, new in zip(faces, together):
        assert np.array_equal(baselines.shipped(face[None], name)[0], new)
        assert (new[16:48, 16:48] != face[16:48, 16:48]).mean() > 0.9
