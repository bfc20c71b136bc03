# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid_ros.core.faces import Box, Region, region_of

NUMBERS = st.floats(-1000, 1000)
SIZES = st.floats(0.01, 1000)


def boxes() -> Any:
    return st.builds(Box, NUMBERS, NUMBERS, SIZES, SIZES)


@given(boxes(), st.floats(-0.4, 2))
def test_growing_keeps_the_middle_and_the_shape(box: Box, margin: float) -> None:
    grown = box.grown(margin)
    assert grown.x + grown.width / 2 == pytest.approx(box.x + box.width / 2, abs=1e-6)
    assert grown.y + grown.height / 2 == pytest.approx(box.y + box.height / 2, abs=1e-6)
    assert grown.width == pytest.approx(box.width * (1 + 2 * margin))
    assert grown.height == pytest.approx(box.height * (1 + 2 * margin))


@given(boxes(), st.floats(0.1, 10), st.floats(0.1, 10))
def test_scaling_there_and_back_gives_the_box_again(box: Box, factor_x: float,
                                                    factor_y: float) -> None:
    scaled = box.scaled(factor_x, factor_y)
    assert scaled.width == pytest.approx(box.width * factor_x)
    assert scaled.scaled(1 / factor_x, 1 / factor_y) == pytest.approx(box, abs=1e-6)


@given(boxes(), boxes())
def test_iou_is_symmetric_and_within_0_and_1(one: Box, other: Box) -> None:
    assert 0 <= one.iou(other) <= 1 + 1e-9
    assert one.iou(other) == pytest.approx(other.iou(one))
    assert one.iou(one) == pytest.approx(1)


@pytest.mark.parametrize(('other', 'iou'), [
    (Box(0, 0, 10, 10), 1), (Box(5, 0, 10, 10), 1 / 3), (Box(0, 0, 10, 5), 1 / 2),
    (Box(2, 2, 5, 2), 1 / 10), (Box(10, 0, 10, 10), 0), (Box(30, 30, 1, 1), 0),
    (Box(5, 20, 10, 10), 0)])
def test_iou_of_known_boxes(other: Box, iou: float) -> None:
    assert Box(0, 0, 10, 10).iou(other) == pytest.approx(iou)


@given(boxes(), st.integers(1, 300), st.integers(1, 300))
def test_the_region_of_a_box_is_every_pixel_it_touches(box: Box, width: int, height: int) -> None:
    region = region_of(box, width, height)
    columns = [x for x in range(width) if x < box.x + box.width and x + 1 > box.x]
    rows = [y for y in range(height) if y < box.y + box.height and y + 1 > box.y]
    assert region.is_empty == (not columns or not rows)
    if not region.is_empty:
        assert region == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        image = np.zeros((height, width))
        image[region.slices] = 1
        assert image.sum() == len(columns) * len(rows)


@pytest.mark.parametrize('box', [Box(-1e300, -1e300, 2e300, 2e300), Box(-1e9, -1e9, 1e10, 1e10)])
def test_a_huge_box_covers_the_image(box: Box) -> None:
    assert region_of(box, 7, 5) == Region(0, 0, 7, 5)


@pytest.mark.parametrize('number', [math.nan, math.inf])
@pytest.mark.parametrize('field', Box._fields)
def test_a_box_that_is_not_finite_has_no_region(field: str, number: float) -> None:
    box = Box(1, 1, 3, 3)._replace(**{field: number})
    with pytest.raises((ValueError, OverflowError)):
        region_of(box, 10, 10)
