# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Faces that the detector misses are linked from both sides."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_ros.core.faces import Box, Face
from deid_ros.core.tracking import view_of
from deid_ros.offboard.recordings.run.bridging import BRIDGE_FRAMES, DetectionLog, linked
from deid_ros.offboard.recordings.run.frames import FrameDetections

WIDTH, HEIGHT, SIZE = 640, 360, 40.0
VIEW = view_of(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))


def box(number: int) -> Box:
    """A face that walks to the right."""
    return Box(60.0 + 4 * number, 100.0, SIZE, SIZE)


def walk(count: int, missed: set[int]) -> list[FrameDetections]:
    return [FrameDetections(number / 25, VIEW, [] if number in missed else [Face(box(number), 0.9)])
            for number in range(count)]


def covers(face: Face, wanted: Box) -> bool:
    extent = face.extent
    return (extent.x <= wanted.x + 0.1 * SIZE and extent.y <= wanted.y + 0.1 * SIZE
            and extent.x + extent.width >= wanted.x + 0.9 * SIZE
            and extent.y + extent.height >= wanted.y + 0.9 * SIZE)


@pytest.mark.parametrize('gap', [1, 5, 15, 2 * BRIDGE_FRAMES])
def test_a_gap_is_bridged(gap: int) -> None:
    missed = set(range(15, 15 + gap))
    frames = linked(walk(30 + gap, missed), 30)
    assert all(frames)
    for number in missed if gap <= 15 else ():
        assert any(covers(face, box(number)) for face in frames[number]), number


def test_where_both_sides_meet_the_place_is_surer_than_from_one() -> None:
    frames = linked(walk(40, set(range(15, 22))), 8)
    middle, = frames[18]
    alone, = linked(walk(40, set(range(15, 40))), 8)[18]
    assert 0 < middle.doubt < alone.doubt
    assert abs(middle.box.x - box(18).x) < 4


def test_a_face_is_held_before_it_was_seen_and_after() -> None:
    frames = linked(walk(40, {*range(12), *range(25, 40)}), 3)
    seen = [number for number, faces in enumerate(frames) if faces]
    assert seen == list(range(9, 28))
    assert [bool(faces) for faces in linked(walk(40, {*range(12), *range(25, 40)}), 0)] == [
        12 <= number < 25 for number in range(40)]


@settings(max_examples=30)
@given(missed=st.sets(st.integers(0, 29)), hold_frames=st.integers(0, 8))
def test_what_was_detected_is_always_there(missed: set[int], hold_frames: int) -> None:
    frames = walk(30, missed)
    for detections, faces in zip(frames, linked(frames, hold_frames), strict=True):
        assert [face._replace(track=None) for face in faces if not face.held] == detections.faces


def test_files_give_what_the_memory_gives(tmp_path: Path) -> None:
    frames = walk(20, {0, 7, 8, 19})
    detections = DetectionLog(tmp_path, 4)
    for seen in frames[:12]:
        assert detections.wants(5, 11)
        detections.add(5, seen)
    detections.close()
    # As after a kill that cut the last line.
    path, = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    detections = DetectionLog(tmp_path, 4)
    assert not detections.wants(5, 10)
    for number in range(11, 20):
        assert detections.wants(5, number)
        detections.add(5, frames[number])
    detections.add(5, None)
    detections.link([5])
    expected = [*linked(frames, 4)]
    assert list(detections.faces(5, 0)) == [*expected, None]
    assert list(detections.faces(5, 13)) == [*expected[13:], None]
    detections.close()
