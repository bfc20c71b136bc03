# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames in several processes: the same result as in one, in order, or a clear error."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from portraits import astronaut
from recordings import START, Entry, Maker, picture, write_rosbag2
from rosbags.highlevel import AnyReader

from deid_ros.core.errors import ConfigurationError
from deid_ros.core.faces import Box, Face
from deid_ros.core.parameter_file import read_parameters
from deid_ros.core.tracking import Tracker, view_of
from deid_ros.core.tracking.state import state_of, tracker_with
from deid_ros.offboard.recordings.cli import main
from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.formats.recording import CDR, IMAGE
from deid_ros.offboard.recordings.policy.messages import Kind
from deid_ros.offboard.recordings.run.frames import (
    FrameOptions,
    Task,
    view_from_bytes,
    view_to_bytes,
)
from deid_ros.offboard.recordings.run.workers import Camera, Workers

FAST = ['detector.type:=dlib_hog', 'deid.method:=pixelate']


def serialized(number: int) -> bytes:
    maker = Maker()
    return maker.serialize(Entry('/camera', IMAGE, START, maker.image(START, picture(number))))


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Two cameras, one of which sees a face that moves, and vanishes for a moment."""
    maker, portrait = Maker(), np.ascontiguousarray(astronaut()[:256, 100:356])
    entries = []
    for number in range(16):
        time = START + number * 40_000_000
        bgr = np.roll(portrait, 2 * number, axis=1)
        if number in (6, 7):
            bgr[40:200, 30:] = 128
        entries += [Entry('/camera', IMAGE, time, maker.image(time, bgr)),
                    Entry('/other', IMAGE, time, maker.image(time, picture(number)))]
    return write_rosbag2(tmp_path / 'bag', entries)


@pytest.mark.parametrize('options', [[], ['-p', 'detector.interval:=3'], ['--bridge-gaps']],
                         ids=['', 'interval', 'bridging'])
def test_the_number_of_processes_changes_nothing(options: list[str], bag: Path, tmp_path: Path
                                                 ) -> None:
    results, reports = [], []
    for jobs in ('1', '3'):
        out = tmp_path / jobs
        assert main([str(bag), str(out), '--jobs', jobs, *options,
                     *(word for each in FAST for word in ('-p', each))]) == 0
        with AnyReader([out]) as reader:
            results.append([(connection.topic, time, bytes(data))
                            for connection, time, data in reader.messages()])
        reports.append(json.loads((out / 'deid_report.json').read_text())['anonymized'])
    assert results[0] == results[1]
    assert reports[0] == reports[1]
    camera = reports[0]['/camera']
    assert camera['faces'] == 16
    assert camera['held'] >= 2


def test_a_process_that_is_killed_is_told() -> None:
    work = FrameOptions(read_parameters(None, FAST))
    with Workers(work, 2) as workers:
        task = Task(Kind(IMAGE, CDR), serialized(0))
        assert workers.result(workers.submit(task)).status == 'published'
        for process in workers._processes:
            process.kill()
        with pytest.raises(BagError, match='worker process ended'):
            workers.result(workers.submit(task))


@pytest.mark.parametrize('jobs', [1, 2])
def test_what_is_missing_is_told(jobs: int) -> None:
    work = FrameOptions(read_parameters(
        None, ['detector.type:=yunet', 'detector.model_path:=/no/such']))
    with pytest.raises(ConfigurationError, match='/no/such'):
        Workers(work, jobs)


@pytest.mark.parametrize('jobs', [1, 2])
def test_frames_that_fail_do_not_keep_others_waiting(jobs: int) -> None:
    values = read_parameters(None, FAST)
    with Workers(FrameOptions(values), jobs) as workers:
        camera = Camera(values)
        statuses = []
        for number in range(0, 9, workers.capacity):
            pending = [workers.submit(Task(Kind(IMAGE, CDR), serialized(each) if each % 3
                                           else b'nonsense'), camera)
                       for each in range(number, min(9, number + workers.capacity))]
            for job in pending:
                statuses.append(workers.result(job).status)
                assert job.state
                workers.release(job)
    assert statuses == ['withheld', 'published', 'published'] * 3


def test_a_tracker_goes_on_from_its_state() -> None:
    rng = np.random.default_rng(0)
    tracker = Tracker()
    views = [view_of(picture(number, (160, 120))) for number in range(12)]
    faces = [[Face(Box(20.0 + number, 30.0, 20.0, 24.0), np.float32(0.7),
                   rng.random((5, 2), np.float32)), Face(Box(90.0, 50.5, 18.0, 20.0), 0.9)]
             if number not in (3, 7) else [] for number in range(12)]
    other = Tracker()
    for number, (view, seen) in enumerate(zip(views, faces, strict=True)):
        tracker.advance(number / 25, view)
        expected = tracker.update(seen, 8)
        # Through JSON after each frame.
        state = json.loads(json.dumps({**state_of(other), 'view': None}))
        state['view'] = state_of(other)['view']
        if state['view']:
            view_before = state['view']
            pixels = base64.b64decode(base64.b64encode(view_to_bytes(view_before)))
            state['view'] = view_from_bytes(pixels, view_before.gray.shape, view_before.width,
                                            view_before.height)
        other = tracker_with(state)
        other.advance(number / 25, view)
        found = other.update(seen, 8)
        assert [face[:2] + face[3:] for face in found] == [face[:2] + face[3:] for face in expected]
        for one, two in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.landmarks, two.landmarks)
