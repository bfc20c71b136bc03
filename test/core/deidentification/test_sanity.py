# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which patches are let through; those that are not stand in test_failsafe.py."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid_ros.core.compositing import Patch
from deid_ros.core.deidentification import SIMPLE_ANONYMIZERS, make_anonymizer
from deid_ros.core.deidentification.sanity import check_patches
from deid_ros.core.errors import AnonymizationError
from deid_ros.core.faces import Box, Face, Region

PICTURE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
FACE = Face(Box(20.5, 10.5, 30, 40), 0.9)
REGION = Region(18, 8, 53, 53)


def patch(region: Region = REGION, pixels: Any = None, alpha: Any = None) -> Patch:
    shape = region.bottom - region.top, region.right - region.left
    return Patch(region, np.zeros(shape + (3,), np.uint8) if pixels is None else pixels,
                 np.ones(shape, np.float32) if alpha is None else alpha)


def test_no_faces_need_no_patches() -> None:
    check_patches([], [], PICTURE)


def test_a_sound_patch_passes() -> None:
    check_patches([patch()], [FACE], PICTURE)


@pytest.mark.parametrize('dtype', [np.float64, np.uint8, bool, complex])
def test_alpha_is_of_the_type_that_compositing_takes(dtype: Any) -> None:
    with pytest.raises(AnonymizationError, match='float32'):
        check_patches([patch(alpha=np.ones((45, 35), dtype))], [FACE], PICTURE)


@pytest.mark.parametrize(('invented', 'said'), [
    (np.ones((45, 34), np.float32), 'must be'), (np.ones((45, 35)), 'must be'),
    (np.full((45, 35), np.nan, np.float32), 'more than it replaces'),
    (np.full((45, 35), -0.1, np.float32), 'more than it replaces'),
    (np.full((45, 35), 1.1, np.float32), 'more than it replaces')])
def test_a_patch_invents_no_more_than_it_replaces(invented: Any, said: str) -> None:
    check_patches([patch()._replace(invented=np.ones((45, 35), np.float32))], [FACE], PICTURE)
    with pytest.raises(AnonymizationError, match=said):
        check_patches([patch()._replace(invented=invented)], [FACE], PICTURE)


@pytest.mark.parametrize('region', [
    Region(20, 10, 51, 51), Region(0, 0, 80, 60), Region(*np.array([20, 10, 51, 51]))])
def test_a_patch_must_hold_every_pixel_of_the_box(region: Region) -> None:
    check_patches([patch(region)], [FACE], PICTURE)
    for side in range(4):
        if region[side] not in (0, 80, 60):
            cut = list(region)
            cut[side] += 1 if side < 2 else -1
            with pytest.raises(AnonymizationError, match='does not cover'):
                check_patches([patch(Region(*cut))], [FACE], PICTURE)


@pytest.mark.parametrize('method', sorted(SIMPLE_ANONYMIZERS))
@given(x=st.floats(-20, 75), y=st.floats(-20, 55), width=st.floats(0.5, 200),
       height=st.floats(0.5, 200), margin=st.floats(0, 1))
def test_the_simple_anonymizers_pass(method: str, x: float, y: float, width: float, height: float,
                                     margin: float) -> None:
    face = Face(Box(max(x, 0.5 - width), max(y, 0.5 - height), width, height), 0.9)
    made = make_anonymizer(method).anonymize(PICTURE, [face], margin)
    check_patches(made, [face], PICTURE)


def test_the_original_passes_where_there_is_nothing_to_see() -> None:
    # A face in deep shadow: blurred, it is what it was.
    flat = np.empty_like(PICTURE)
    flat[:] = (3, 120, 250)
    check_patches([patch(pixels=flat[REGION.slices])], [FACE], flat)
    flat[30, 40] = 255 - flat[30, 40]
    with pytest.raises(AnonymizationError, match='unchanged'):
        check_patches([patch(pixels=flat[REGION.slices])], [FACE], flat)


def test_the_rim_of_the_face_may_fade() -> None:
    alpha = np.zeros((45, 35), np.float32)
    alpha[10:36, 8:28] = 1
    check_patches([patch(alpha=alpha)], [FACE], PICTURE)


def test_one_bad_patch_among_good_ones_is_found_and_named() -> None:
    other = Face(Box(60, 5, 10, 10), 0.9)
    good, bad = patch(), patch(Region(58, 3, 72, 17), alpha=np.zeros((14, 14), np.float32))
    with pytest.raises(AnonymizationError, match=r'x=60, y=5'):
        check_patches([good, bad], [FACE, other], PICTURE)
