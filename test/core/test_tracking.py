# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A face that was seen stays treated, moves as it did, and is let go of for good reasons only."""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import messages
import numpy as np
import pytest
from fakes import ActingDetector, FakeDetector, FlatAnonymizer
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_ros.core.deidentification import ChainOptions, make_anonymizer
from deid_ros.core.faces import Box, Face, region_of
from deid_ros.core.failsafe import process_or_withhold
from deid_ros.core.image_codec import open_image
from deid_ros.core.pipeline import AnonymizedFrame, FramePipeline, PipelineSettings
from deid_ros.core.tracking import Tracker, View, view_of
from deid_ros.core.tracking.camera import shift_between

WIDTH, HEIGHT = 640, 360
PERIOD = 0.04
HOLD = 8


def wall(seed: int = 0) -> np.ndarray:
    """A picture, twice as wide and high as the camera's, of soft blobs."""
    return messages.smooth_bgr(2 * WIDTH, 2 * HEIGHT, seed)


WALL = wall()
STILL = view_of(WALL[:HEIGHT, :WIDTH])


def looking_at(x: int, y: int, picture: np.ndarray = WALL) -> View:
    return view_of(np.ascontiguousarray(picture[y:y + HEIGHT, x:x + WIDTH]))


class Film:
    """Feeds a tracker one frame after the other."""

    def __init__(self, hold_frames: int = HOLD, interval: int = 1) -> None:
        self.tracker = Tracker()
        self.hold_frames = hold_frames
        self.interval = interval
        self.seconds = 100.0
        self.looked = False

    def frame(self, *faces: Any, view: View = STILL, elapsed: float = PERIOD) -> list[Face]:
        """Return what is to be treated in a frame in which a detector would see `faces`."""
        self.seconds += elapsed
        self.tracker.advance(self.seconds, view)
        self.looked = self.tracker.is_detection_due(self.interval)
        seen = [face if isinstance(face, Face) else Face(face, 0.9) for face in faces]
        return self.tracker.update(seen if self.looked else None, self.hold_frames)


def covers(face: Face, box: Box) -> bool:
    extent = face.extent
    return (extent.x <= box.x and extent.y <= box.y
            and extent.x + extent.width >= box.x + box.width
            and extent.y + extent.height >= box.y + box.height)


def test_faces_keep_their_numbers_while_they_move_and_pass_each_other() -> None:
    film = Film()
    for step in range(30):
        right = Box(100 + 8 * step, 100, 40, 50)
        left = Box(400 - 8 * step, 140, 40, 50)
        first, second = film.frame(*((right, left) if step % 2 else (left, right)))
        numbers = {first.box: first.track, second.box: second.track}
        if not step:
            known = numbers[right], numbers[left]
        assert (numbers[right], numbers[left]) == known
    assert known[0] != known[1]


def test_what_the_detector_sees_comes_out_as_it_is() -> None:
    film = Film()
    landmarks = np.arange(10, dtype=np.float32).reshape(5, 2)
    for _ in range(3):
        face, other = film.frame(Face(Box(10, 20, 30.5, 40), 0.7, landmarks), Box(300, 20, 30, 40))
        assert (face.box, face.score, face.doubt) == (Box(10, 20, 30.5, 40), 0.7, 0)
        assert not face.held
        assert face.landmarks is landmarks
        assert face.extent == face.box
        assert other.box == Box(300, 20, 30, 40)


def test_a_missed_face_is_held_where_it_goes() -> None:
    film = Film()
    for step in range(10):
        film.frame(Box(100 + 3 * step, 100 - step, 40, 50))
    doubts = []
    for step in range(10, 13):
        held, = film.frame()
        assert held.held
        assert covers(held, Box(100 + 3 * step, 100 - step, 40, 50))
        doubts.append(held.doubt)
    assert doubts == sorted(set(doubts)), 'the place becomes less certain'


def test_time_counts_and_not_frames() -> None:
    film = Film()
    for step in range(10):
        film.frame(Box(100 + 3 * step, 100, 40, 50))
    slow, = film.frame(elapsed=3 * PERIOD)  # two frames were superseded
    assert slow.box.x == pytest.approx(100 + 3 * 12, abs=3)


@pytest.mark.parametrize('hold_frames', [0, 1, 5, 20])
def test_a_face_is_held_for_so_many_frames_and_not_longer(hold_frames: int) -> None:
    film = Film(hold_frames)
    for _ in range(20):
        film.frame(Box(100, 100, 40, 50))
    assert [len(film.frame()) for _ in range(25)] == [1] * hold_frames + [0] * (25 - hold_frames)


def test_a_face_that_comes_back_is_the_same_and_held_anew() -> None:
    film = Film(3)
    box = Box(100, 100, 40, 50)
    known = film.frame(box)[0].track
    for _ in range(4):
        film.frame(box)
        assert all([face.track for face in film.frame()] == [known] for _ in range(3))
    assert film.frame(box)[0].track == known


def test_one_missed_face_does_not_hide_behind_another() -> None:
    film = Film()
    boxes = Box(100, 100, 40, 50), Box(145, 100, 40, 50)
    numbers = [face.track for face in film.frame(*boxes)]
    film.frame(*boxes)
    seen, held = film.frame(boxes[1])
    assert [seen.track, held.track] == numbers[::-1]
    assert covers(held, boxes[0])


def test_what_was_seen_once_with_a_low_score_is_held_for_a_short_time() -> None:
    box = Box(100, 100, 40, 50)

    def held_frames(score: float, sights: int) -> int:
        film = Film(12)
        for _ in range(sights):
            film.frame(Face(box, score))
        return sum(len(film.frame()) for _ in range(20))

    assert held_frames(0.9, 1) == 12
    assert 1 <= held_frames(0.25, 1) < held_frames(0.25, 3) < 12
    assert held_frames(0.25, 10) == 12


def test_landmarks_go_with_the_box() -> None:
    film = Film()
    for step in range(8):
        box = Box(100 + 5 * step, 100, 40, 50)
        points = np.array([[10, 15], [30, 15], [20, 25], [12, 38], [28, 38]], np.float32)
        film.frame(Face(box, 0.9, points + (box.x, box.y)))
    held, = film.frame()
    assert held.landmarks is not None
    np.testing.assert_allclose(held.landmarks - (held.box.x, held.box.y), points, atol=0.5)
    assert held.landmarks.dtype == np.float32


def test_a_held_face_follows_the_picture_when_the_camera_turns() -> None:
    film = Film()
    place = [(20 * step, 10 * step) for step in range(12)]
    box = Box(400, 200, 40, 50)
    for x, y in place[:6]:
        film.frame(Box(box.x - x, box.y - y, 40, 50), view=looking_at(x, y))
    # Faster all of a sudden, which no constant velocity foresees.
    x, y = place[5][0] + 120, place[5][1] + 60
    held, = film.frame(view=looking_at(x, y))
    assert covers(held, Box(box.x - x, box.y - y, 40, 50))


def test_another_picture_ends_the_hold() -> None:
    film = Film(interval=5)
    film.frame(Box(100, 100, 40, 50))
    assert film.frame(view=view_of(wall(7)[:HEIGHT, :WIDTH])) == []
    assert film.looked, 'at a new scene at once'


@pytest.mark.parametrize('change', ['dark', 'bright', 'white', 'black', 'blurred', 'half covered'])
def test_a_picture_that_only_looks_different_does_not(change: str) -> None:
    bgr = WALL[:HEIGHT, :WIDTH].copy()
    if change == 'half covered':
        bgr[:, WIDTH // 2:] = 20
    elif change == 'blurred':
        bgr = cv2.blur(bgr, (81, 1))
    else:
        gain, offset = {'dark': (0.2, 0), 'bright': (2, 0), 'white': (0, 255),
                        'black': (0, 0)}[change]
        bgr = np.clip(gain * bgr.astype(float) + offset, 0, 255).astype(np.uint8)
    film = Film()
    for _ in range(5):
        film.frame(Box(100, 100, 40, 50))
    held, = film.frame(view=view_of(bgr))
    assert covers(held, Box(100, 100, 40, 50))
    assert len(film.frame()) == 1


@pytest.mark.parametrize('elapsed', [0.0, -0.5, 0.5, 1.9])
def test_a_clock_that_stands_or_is_set_a_little_loses_nobody(elapsed: float) -> None:
    film = Film()
    for _ in range(5):
        film.frame(Box(100, 100, 40, 50))
    held, = film.frame(elapsed=elapsed)
    assert covers(held, Box(100, 100, 40, 50))


def test_a_camera_without_stamps_is_tracked_too() -> None:
    film = Film()
    for step in range(6):
        film.frame(Box(100 + 4 * step, 100, 40, 50), elapsed=0.0)
    held, = film.frame(elapsed=0.0)
    assert covers(held, Box(124, 100, 40, 50))
    assert held.doubt < 0.5


@pytest.mark.parametrize('elapsed', [-5.0, 5.0, -1e9, 1e9])
def test_a_jump_in_time_starts_anew(elapsed: float) -> None:
    film = Film(interval=5)
    film.frame(Box(100, 100, 40, 50))
    assert film.frame(elapsed=elapsed) == []
    assert film.looked
    assert film.frame(Box(100, 100, 40, 50)) == [], 'and the interval begins anew'


def test_another_image_size_starts_anew() -> None:
    film = Film()
    film.frame(Box(100, 100, 40, 50))
    assert film.frame(view=view_of(WALL[:HEIGHT, :HEIGHT])) == []


def test_numbers_are_not_used_again() -> None:
    film = Film()
    first = film.frame(Box(100, 100, 40, 50))[0].track
    film.tracker.reset()
    assert film.frame() == []
    second = film.frame(Box(100, 100, 40, 50))[0].track
    assert second is not None
    assert second != first


def test_a_face_that_leaves_the_picture_is_let_go() -> None:
    film = Film(20)
    for step in range(6):
        film.frame(Box(560 + 12 * step, 100, 40, 50))
    counts = [len(film.frame()) for _ in range(20)]
    assert counts[0] == 1
    assert counts == sorted(counts, reverse=True)


def test_the_detector_looks_at_the_first_frame_and_then_at_every_third() -> None:
    film = Film(interval=3)
    looks = []
    for _ in range(9):
        faces = film.frame(Box(100, 100, 40, 50))
        looks.append(film.looked)
        assert len(faces) == 1
        assert faces[0].held is not film.looked
        assert covers(faces[0], Box(100, 100, 40, 50))
    assert looks == [True, False, False] * 3


def test_faces_are_carried_between_looks_without_a_hold() -> None:
    film = Film(hold_frames=0, interval=3)
    counts = [len(film.frame(Box(100, 100, 40, 50))) for _ in range(6)]
    assert counts == [1] * 6
    assert [len(film.frame()) for _ in range(2)] == [0, 0], 'but not after a look that missed it'


def test_the_detector_looks_earlier_where_places_become_uncertain() -> None:
    film = Film(interval=30)
    looks = []
    for _ in range(40):
        film.frame(Box(100, 100, 40, 50))
        looks.append(film.looked)
    assert max(len(''.join('.x'[look] for look in looks).split('x')[part])
               for part in range(sum(looks))) < 10
    nobody = Film(interval=30)
    nobody_looks = [nobody.frame() or nobody.looked for _ in range(61)]
    assert nobody_looks == ([True] + [False] * 29) * 2 + [True]


def test_after_a_failed_look_the_detector_looks_again() -> None:
    film = Film(interval=3)
    film.tracker.advance(1.0, STILL)
    assert film.tracker.is_detection_due(3)
    film.tracker.advance(1.04, STILL)  # the frame was withheld
    assert film.tracker.is_detection_due(3)


places = st.builds(Box, st.floats(-50, WIDTH - 1), st.floats(-50, HEIGHT - 1),
                   st.floats(51, 200), st.floats(51, 200))
faces = st.builds(lambda box, score: Face(box, score), places, st.floats(0.1, 1))


@settings(max_examples=100, deadline=None)
@given(film=st.lists(st.tuples(st.lists(faces, max_size=5), st.sampled_from([0, 40, 160]),
                               st.floats(-3, 3)), max_size=12),
       hold_frames=st.integers(0, 20), interval=st.integers(1, 5))
def test_whatever_happens(film: Sequence[Any], hold_frames: int, interval: int) -> None:
    runs = []
    for _ in range(2):
        tracker, seconds, run = Tracker(), 0.0, []
        for detected, x, elapsed in film:
            seconds += elapsed
            tracker.advance(seconds, looking_at(x, x))
            look = tracker.is_detection_due(interval)
            treated = tracker.update(detected if look else None, hold_frames)
            seen = [face for face in treated if not face.held]
            assert [face._replace(track=None) for face in seen] == (detected if look else [])
            assert treated[:len(seen)] == seen
            numbers = [face.track for face in treated]
            assert None not in numbers
            assert len(set(numbers)) == len(numbers)
            for face in treated:
                assert all(math.isfinite(value) for value in face.box + (face.doubt,))
                assert not region_of(face.extent, WIDTH, HEIGHT).is_empty
            run.append([(face.box, face.track, face.doubt) for face in treated])
        runs.append(run)
    assert runs[0] == runs[1]


@pytest.mark.parametrize('shape', [(1, 1), (1, 64), (64, 1), (2, 3), (17, 31), (9, 4000),
                                   (144, 256)])
def test_pictures_of_any_shape_can_be_compared(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    before, after = (view_of(random.integers(0, 256, shape + (3,), np.uint8)) for _ in range(2))
    copies = before.gray.copy(), after.gray.copy()
    assert all(math.isfinite(value) for value in shift_between(before, after))
    # What phaseCorrelate is given, it may change.
    np.testing.assert_array_equal(before.gray, copies[0])
    np.testing.assert_array_equal(after.gray, copies[1])


@pytest.mark.parametrize(('x', 'y'), [(0, 0), (3, -2), (40, 10), (-200, 60)])
def test_the_shift_of_the_picture_is_found(x: int, y: int) -> None:
    shift = shift_between(looking_at(250, 100), looking_at(250 - x, 100 - y))
    assert (shift.x, shift.y) == pytest.approx((x, y), abs=3)
    assert shift.correlation > 0.8


# The frame path with a tracker


class Clip:
    """Frames of one camera through a pipeline with a tracker."""

    def __init__(self, *detections: Any, **changes: Any) -> None:
        answers = iter(detections)

        def detect(bgr: np.ndarray) -> list[Face]:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return [Face(box, 0.9) for box in answer]

        self.pipeline = FramePipeline(ActingDetector(detect), FlatAnonymizer('first', 10),
                                      FlatAnonymizer('second', 20))
        self.settings = PipelineSettings(detection_width=0, hold_frames=HOLD)._replace(**changes)
        self.tracker = Tracker()
        self.number = 0

    def message(self) -> Any:
        message = messages.encode_bgr('bgr8', WALL[:HEIGHT, :WIDTH])
        message.header = messages.header(sec=5, nanosec=40000000 * self.number)
        self.number += 1
        return message

    def frame(self) -> AnonymizedFrame:
        return self.pipeline.process(self.message(), self.settings, self.tracker)


BOX = Box(100, 100, 40, 50)


def test_a_missed_face_is_treated_and_reported_as_held() -> None:
    clip = Clip([BOX], [BOX], [])
    first, _, last = clip.frame(), clip.frame(), clip.frame()
    assert [face.held for face in first.faces + last.faces] == [False, True]
    assert first.faces[0].track == last.faces[0].track == 1
    assert last.bgr[110:140, 105:135].max() <= 20
    assert list(last.milliseconds) == ['decode', 'track', 'detect', 'deidentify', 'encode']


def test_a_held_face_goes_to_the_fallback_when_its_place_is_uncertain() -> None:
    clip = Clip([BOX], [BOX], [BOX], *[[]] * HOLD)
    reports = [clip.frame().faces[0] for _ in range(3 + HOLD)]
    methods = [report.method for report in reports]
    assert methods == sorted(methods), 'once in doubt, always in doubt'
    assert methods[3] == 'first'
    assert methods[-1] == 'second'
    assert 'uncertain' in reports[-1].why_fallback
    sizes = [report.region.right - report.region.left for report in reports]
    assert sizes[2:] == sorted(sizes[2:])
    assert sizes[3] < sizes[-1]


def test_a_face_is_held_through_a_frame_that_was_withheld() -> None:
    clip = Clip([BOX], RuntimeError('lost'), [])
    assert len(clip.frame().faces) == 1
    outcome = process_or_withhold(clip.pipeline, clip.message(), clip.settings,
                                  tracker=clip.tracker)
    assert outcome.reason == 'detector'
    assert [face.held for face in clip.frame().faces] == [True]


def test_between_looks_no_detector_is_asked() -> None:
    clip = Clip([BOX], [BOX], detection_interval=2)
    assert [face.held for _ in range(4) for face in clip.frame().faces] == [False, True] * 2


@pytest.mark.parametrize('method', ['blur', 'pixelate', 'mask', 'autoencoder'])
def test_where_nothing_is_held_a_tracker_changes_no_pixel(method: str) -> None:
    boxes = BOX, Box(300, 80, 90, 120), Box(350, 100, 30, 40), Box(600, 300, 60, 80)
    # With synthetic identities, who has a track gets another face than who has none.
    working = FramePipeline(FakeDetector(*boxes), make_anonymizer(
        method, ChainOptions(shift_mode='cluster')), make_anonymizer('blur'))
    chosen = PipelineSettings(detection_width=0, hold_frames=HOLD)
    message = messages.encode_bgr('nv12', WALL[:HEIGHT, :WIDTH])
    tracker = Tracker()
    for _ in range(3):
        tracked = working.process(message, chosen, tracker)
        plain = working.process(message, chosen)
        assert tracked.data == plain.data
        assert [face._replace(track=None) for face in tracked.faces] == plain.faces


@pytest.mark.parametrize('method', ['blur', 'pixelate', 'mask', 'autoencoder'])
def test_nothing_of_a_held_face_is_left_wherever_in_its_doubt_it_is(method: str) -> None:
    # Stripes are the face: finer than what any treatment leaves, and as near to black and white.
    stripes = np.indices((HEIGHT, WIDTH)).sum(axis=0) // 2 % 2 * 200
    message = messages.encode_bgr('bgr8', stripes.astype(np.uint8)[..., None].repeat(3, axis=2))
    held = Face(Box(250, 100, 100, 120), 0.9, None, 1, doubt=0.3)
    working = FramePipeline(FakeDetector(), make_anonymizer(method), make_anonymizer('mask'))
    frame = working.treat(open_image(message), [held], PipelineSettings())
    assert frame.faces[0].method == method
    for x in (-0.3, 0, 0.3):
        for y in (-0.3, 0, 0.3):
            # The middle half of a face that lies so far off.
            left, top = round(250 + 100 * (x + 0.25)), round(100 + 120 * (y + 0.25))
            middle = frame.bgr[top:top + 60, left:left + 50].astype(float)
            assert np.abs(np.diff(middle, axis=1)).mean() < 12, (x, y)
