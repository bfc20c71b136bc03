# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json

import messages
import numpy as np
import pytest
from fakes import FakeDetector

from deid_ros.core.deidentification import make_anonymizer
from deid_ros.core.faces import Box, Region
from deid_ros.core.pipeline import FramePipeline, PipelineSettings
from deid_ros.core.report import FaceReport, Stopwatch, report_json


def test_holds_the_facts_of_the_frame() -> None:
    face = FaceReport(Box(1.23456, 2, 30, 40), 0.98765, Region(0, 1, 32, 43), 'blur')
    report = json.loads(report_json(messages.header('front', 7, 89), 'published', '', [face],
                                    {'decode': 1.23456, 'total': 9}))
    assert report == {
        'stamp': {'sec': 7, 'nanosec': 89},
        'frame_id': 'front',
        'status': 'published',
        'reason': '',
        'faces': [{'box': [1.2, 2.0, 30.0, 40.0], 'score': 0.988, 'region': [0, 1, 32, 43],
                   'method': 'blur'}],
        'milliseconds': {'decode': 1.23, 'total': 9},
    }


@pytest.mark.parametrize('held', [False, True])
def test_a_tracked_face_has_its_number_and_whether_it_was_held(held: bool) -> None:
    face = FaceReport(Box(1, 2, 3, 4), 0.5, Region(0, 1, 5, 7), 'blur', track=12, held=held)
    entry = json.loads(report_json(messages.header(), 'published', '', [face], {}))['faces'][0]
    assert (entry['track'], entry['held']) == (12, held)


def test_takes_the_numbers_of_numpy() -> None:
    face = FaceReport(Box(*np.arange(1, 5, dtype=np.float32)), np.float32(0.5),
                      Region(*np.arange(4)), 'mask')
    report = json.loads(report_json(messages.header(), 'published', '', [face],
                                    {'detect': np.float64(2)}))
    assert report['faces'][0]['region'] == [0, 1, 2, 3]
    assert report['faces'][0]['box'] == [1, 2, 3, 4]


@pytest.mark.parametrize('status', ['masked', 'withheld'])
def test_says_why_a_frame_is_not_shown(status: str) -> None:
    report = json.loads(report_json(messages.header(), status, 'detector', [], {}))
    assert (report['status'], report['reason'], report['faces']) == (status, 'detector', [])


def test_text_from_the_message_cannot_break_it() -> None:
    name = 'a "quoted" \\ name\n\u2028é'
    assert json.loads(report_json(messages.header(name), 'published', '', [], {}))[
        'frame_id'] == name


def test_its_size_does_not_depend_on_the_face_so_no_pixels_are_in_it() -> None:
    lengths = set()
    for scale in (1, 4):
        message = messages.encode_bgr('bgr8', messages.smooth_bgr(128 * scale, 96 * scale, scale))
        working = FramePipeline(FakeDetector(Box(11, 11, 22 * scale, 22 * scale)),
                                make_anonymizer('blur'), make_anonymizer('blur'))
        frame = working.process(message, PipelineSettings(box_margin=0))
        report = json.loads(report_json(message.header, 'published', '', frame.faces, {}))
        assert set(report['faces'][0]) == {'box', 'score', 'region', 'method'}
        assert len(report['faces'][0]['box']) == len(report['faces'][0]['region']) == 4
        lengths.add(len(json.dumps(report)) // 16)
    assert len(lengths) == 1


def test_the_stopwatch_times_each_stage_since_the_one_before() -> None:
    watch = Stopwatch()
    watch.lap('first')
    watch.lap('second')
    assert list(watch.milliseconds) == ['first', 'second']
    assert all(0 <= value < 1000 for value in watch.milliseconds.values())
