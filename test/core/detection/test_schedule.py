# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the detector looks: everything is seen in turn, within the budget."""

import json

import numpy as np
import pytest

from deid_ros.core.detection import Schedule, Search
from deid_ros.core.detection.looks import plan_state, plan_with
from deid_ros.core.faces import Box, Face

SEARCH = Search(10.0, 750000)
SIZES = [(640, 480), (960, 540), (1920, 1080), (3840, 2160), (100, 1000), (17, 9)]


@pytest.mark.parametrize(('width', 'height'), SIZES)
def test_every_pixel_is_looked_at_closely_in_turn(width: int, height: int) -> None:
    schedule, seen = Schedule(), np.zeros((height, width), bool)
    for _ in range(60):
        plan = schedule.plan(width, height, SEARCH, [], is_new_scene=False)
        for look in plan.looks[1:] or plan.looks:
            seen[look.region.slices] = True
    assert seen.all()


@pytest.mark.parametrize(('width', 'height'), SIZES)
def test_keeps_to_the_budget(width: int, height: int) -> None:
    schedule = Schedule()
    known = [Face(Box(x, height / 3, 12, 15), 0.5, None, x) for x in range(0, width, 20)]
    costs = [sum(look.cost for look in schedule.plan(
        width, height, SEARCH, known, is_new_scene=index == 0).looks) for index in range(100)]
    assert np.mean(costs) <= 1.1 * SEARCH.budget
    assert max(costs) <= 6 * SEARCH.budget


def test_small_faces_that_are_known_are_seen_closely_in_every_frame() -> None:
    schedule = Schedule()
    known = [Face(Box(300, 200, 10, 12), 0.5, None, 1), Face(Box(1900, 5, 10, 12), 0.5, None, 2)]
    for _ in range(30):
        plan = schedule.plan(1920, 1080, SEARCH, known, is_new_scene=False)
        assert all(any(look.shows(face.box) for look in plan.looks[1:]) for face in known)
        assert plan.expected == [face.box for face in known]


def test_a_new_scene_is_seen_closely_at_once() -> None:
    plan = Schedule().plan(960, 540, SEARCH, [], is_new_scene=True)
    assert (plan.looks[1].region.right, plan.looks[1].scale) == (960, 2.0)


def test_goes_on_from_its_state() -> None:
    first = Schedule()
    for _ in range(7):
        first.plan(1920, 1080, SEARCH, [], is_new_scene=False)
    second = Schedule.with_state(json.loads(json.dumps(first.state())))
    for _ in range(9):
        plan = first.plan(1920, 1080, SEARCH, [], is_new_scene=False)
        assert plan == second.plan(1920, 1080, SEARCH, [], is_new_scene=False)
        assert plan_with(json.loads(json.dumps(plan_state(plan)))) == plan
