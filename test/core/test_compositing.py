# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from typing import Any, Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid_ros.core.compositing import Patch, beneath, composite, feathered_ellipse
from deid_ros.core.faces import Box, Region, region_of

WIDTH, HEIGHT = 60, 50


@st.composite
def boxes_and_regions(draw: Any) -> Tuple[Box, Region]:
    sizes = st.one_of(st.floats(0.1, 5), st.floats(5, 100), st.floats(100, 1e12))
    width, height = draw(sizes), draw(sizes)
    box = Box(draw(st.floats(0.1 - width, WIDTH - 0.1)),
              draw(st.floats(0.1 - height, HEIGHT - 0.1)), width, height)
    return box, region_of(box, WIDTH, HEIGHT)


@given(boxes_and_regions())
def test_the_ellipse_is_whole_in_the_middle_and_gone_at_the_corners(
        case: Tuple[Box, Region]) -> None:
    box, region = case
    alpha = feathered_ellipse(box, region)
    assert alpha.shape == (region.bottom - region.top, region.right - region.left)
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    # Pixels by their distance from the middle, 1 at the box's edge; give or take a pixel.
    y = np.abs((np.arange(region.top, region.bottom) + 0.5 - box.y) / box.height * 2 - 1)
    x = np.abs((np.arange(region.left, region.right) + 0.5 - box.x) / box.width * 2 - 1)
    slack_y, slack_x = 2 / box.height, 2 / box.width
    inside = np.hypot((y + slack_y)[:, None], (x + slack_x)[None]) < 0.84
    outside = np.hypot((y - slack_y).clip(0)[:, None], (x - slack_x).clip(0)[None]) > 1.01
    assert (alpha[inside] == 1).all()
    assert not alpha[outside].any()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 20), st.integers(0, 20))
def test_the_ellipse_is_symmetric_and_falls_towards_its_rim(width: int, height: int, left: int,
                                                            top: int) -> None:
    alpha = feathered_ellipse(Box(left, top, width, height),
                              Region(left, top, left + width, top + height))
    np.testing.assert_allclose(alpha, alpha[::-1], atol=1e-5)
    np.testing.assert_allclose(alpha, alpha[:, ::-1], atol=1e-5)
    assert (np.diff(alpha[height // 2:], axis=0) <= 1e-5).all()
    assert (np.diff(alpha[:, width // 2:], axis=1) <= 1e-5).all()
    assert alpha[height // 2, width // 2] == 1


def test_the_rim_of_the_ellipse_is_soft() -> None:
    alpha = feathered_ellipse(Box(0, 0, 200, 200), Region(0, 0, 200, 200))
    assert np.abs(np.diff(alpha, axis=0)).max() < 0.1
    assert 10 <= ((alpha[100] > 0) & (alpha[100] < 1)).sum() / 2 <= 25


def test_the_image_s_edge_cuts_the_ellipse_and_does_not_move_it() -> None:
    box = Box(-20, -10, 50, 40)
    whole = feathered_ellipse(box, Region(-20, -10, 30, 30))
    np.testing.assert_allclose(feathered_ellipse(box, Region(0, 0, 30, 30)), whole[10:, 20:],
                               atol=1e-6)


def test_a_huge_ellipse_takes_no_more_than_the_image() -> None:
    box = Box(-1e11, -1e11, 2e11, 2e11)
    alpha = feathered_ellipse(box, Region(0, 0, WIDTH, HEIGHT))
    assert (alpha == 1).all()


@st.composite
def patches(draw: Any) -> Patch:
    left, top = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    region = Region(left, top, draw(st.integers(left + 1, WIDTH)),
                    draw(st.integers(top + 1, HEIGHT)))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    shape = region.bottom - region.top, region.right - region.left
    return Patch(region, random.integers(0, 256, shape + (3,), np.uint8),
                 random.random(shape, np.float32))


def picture() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@given(st.lists(patches(), max_size=3))
def test_compositing_changes_the_regions_of_the_patches_alone(chosen: Any) -> None:
    bgr = picture()
    bgr.flags.writeable = False
    result = composite(bgr, chosen)
    outside = np.ones((HEIGHT, WIDTH), bool)
    for patch in chosen:
        outside[patch.region.slices] = False
    np.testing.assert_array_equal(bgr, picture())
    np.testing.assert_array_equal(result[outside], bgr[outside])
    assert result.dtype == np.uint8
    assert not np.shares_memory(result, bgr)


@given(patches())
def test_alpha_is_the_share_of_the_new_pixel(patch: Patch) -> None:
    bgr = picture()
    result = composite(bgr, [patch])[patch.region.slices].astype(float)
    alpha = patch.alpha[..., None].astype(float)
    expected = alpha * patch.pixels + (1 - alpha) * bgr[patch.region.slices]
    np.testing.assert_allclose(result, expected, atol=0.51)


@pytest.mark.parametrize('alpha', [0, 1])
@given(patch=patches())
def test_at_its_ends_alpha_is_exact(patch: Patch, alpha: int) -> None:
    bgr = picture()
    patch = patch._replace(alpha=np.full_like(patch.alpha, alpha))
    expected = patch.pixels if alpha else bgr[patch.region.slices]
    np.testing.assert_array_equal(composite(bgr, [patch])[patch.region.slices], expected)


def test_a_later_patch_fades_into_the_earlier_one_not_into_the_original() -> None:
    bgr = np.full((10, 10, 3), 255, np.uint8)
    region = Region(0, 0, 10, 10)
    solid = Patch(region, np.full((10, 10, 3), 40, np.uint8), np.ones((10, 10), np.float32))
    faint = Patch(region, np.full((10, 10, 3), 80, np.uint8),
                  np.full((10, 10), 0.25, np.float32))
    assert (composite(bgr, [solid, faint]) == 50).all()


@given(patches(), patches())
def test_what_another_has_invented_is_left_as_it_is(patch: Patch, other: Patch) -> None:
    other = other._replace(alpha=np.ones_like(other.alpha), invented=np.ones_like(other.alpha))
    bgr = composite(picture(), [other])
    result = composite(bgr, [beneath(patch, [other])])
    np.testing.assert_array_equal(result[other.region.slices], bgr[other.region.slices])
    elsewhere = np.ones((HEIGHT, WIDTH), bool)
    elsewhere[other.region.slices] = False
    np.testing.assert_array_equal(result[elsewhere], composite(bgr, [patch])[elsewhere])


@given(patches(), patches(), patches())
def test_what_is_not_invented_hides_what_is(patch: Patch, other: Patch, upper: Patch) -> None:
    other = other._replace(invented=other.alpha)
    upper = upper._replace(alpha=np.ones_like(upper.alpha))
    result = beneath(patch, [other, upper])
    covered = np.zeros((HEIGHT, WIDTH), bool)
    covered[upper.region.slices] = True
    covered = covered[patch.region.slices]
    np.testing.assert_array_equal(result.alpha[covered], patch.alpha[covered])
    assert (result.alpha <= patch.alpha).all()
    np.testing.assert_array_equal(beneath(patch, [upper]).alpha, patch.alpha)
