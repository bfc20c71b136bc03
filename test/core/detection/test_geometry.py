# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Array geometry."""

import numpy as np
import pytest

from deid_ros.core.detection.geometry import (
    left_first,
    non_maximum_suppression,
    padded,
    touching,
)
from deid_ros.core.faces import Box


@pytest.mark.parametrize('seed', range(5))
def test_suppression_leaves_the_best_of_each_group(seed: int) -> None:
    random = np.random.default_rng(seed)
    boxes = np.concatenate([random.uniform(0, 200, (80, 2)), random.uniform(10, 80, (80, 2))], 1)
    scores = random.uniform(0, 1, 80)
    kept = list(non_maximum_suppression(boxes, scores, 0.3))
    assert list(scores[kept]) == sorted(scores[kept], reverse=True)
    for index, box in enumerate(boxes):
        better = [other for other in kept
                  if scores[other] > scores[index] and Box(*box).iou(Box(*boxes[other])) > 0.3]
        assert (index in kept) == (not better)


def test_suppression_of_nothing_is_nothing() -> None:
    assert non_maximum_suppression(np.empty((0, 4)), np.empty(0), 0.3).shape == (0,)


def test_suppression_keeps_what_is_not_a_number_for_the_check() -> None:
    boxes = np.array([(0, 0, 10, 10), (np.nan, 0, 10, 10), (0, 0, np.inf, 10)])
    with np.errstate(invalid='ignore'):
        assert set(non_maximum_suppression(boxes, np.array([0.9, 0.8, 0.7]), 0.3)) == {0, 1, 2}


def test_left_first_orders_each_pair_alone() -> None:
    points = [(5, 1), (3, 2), (9, 9), (1, 3), (2, 4)]
    ordered = left_first(np.array([points]))
    assert ordered.dtype == np.float32
    np.testing.assert_array_equal(ordered[0], [(3, 2), (5, 1), (9, 9), (1, 3), (2, 4)])


def test_boxes_in_the_padding_do_not_touch() -> None:
    boxes = np.array([(-5, -5, 6, 6), (99, 49, 9, 9), (-5, 0, 5, 5), (100, 0, 5, 5), (0, 50, 5, 5),
                      (np.nan, 0, 5, 5)])
    assert list(touching(boxes, 100, 50)) == [True, True, False, False, False, True]


def test_padding_is_black_and_on_the_right_and_below() -> None:
    image = np.full((2, 3, 3), 7, np.uint8)
    result = padded(image, 5, 4)
    assert result.shape == (4, 5, 3)
    assert (result[:2, :3] == 7).all()
    assert result.sum() == image.sum()
