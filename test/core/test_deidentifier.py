# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The frame path as one object: images and messages in, safe ones and a report out, or an error."""

import copy
from array import array
from pathlib import Path
from typing import Any

import messages
import numpy as np
import pytest
from fakes import ActingDetector, FakeDetector

from deid_ros import Deidentifier
from deid_ros.core.errors import CodecError, ConfigurationError, DetectionError
from deid_ros.core.faces import Box, Face

FACE = Box(20, 16, 40, 40)
WIDTH, HEIGHT = 96, 80


def with_detector(monkeypatch: Any, detector: Any, **parameters: Any) -> Deidentifier:
    monkeypatch.setattr('deid_ros.core.parameters.make_detector', lambda *_: detector)
    # One look at the whole image: the fake finds its faces in whatever it is shown.
    own = {'deid_method': 'mask', 'detector_width': 640}
    if 'parameter_file' in parameters:
        del own['detector_width']
    return Deidentifier(**dict(own, **parameters))


def picture(seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(1, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def test_an_array_gives_another_in_which_only_the_face_differs(monkeypatch: Any) -> None:
    bgr = picture()
    before = bgr.copy()
    safe, report = with_detector(monkeypatch, FakeDetector(FACE))(bgr)
    assert np.array_equal(bgr, before), 'the input stays as it is'
    face, = report.faces
    assert face.method == 'mask'
    assert safe[30:40, 30:50].std() == 0, 'a mask of one color'
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[face.region.slices] = True
    assert np.array_equal(safe[~inside], bgr[~inside])
    assert report.milliseconds['deidentify'] > 0


def test_a_picture_without_faces_is_a_copy(monkeypatch: Any) -> None:
    bgr = picture()
    safe, report = with_detector(monkeypatch, FakeDetector())(bgr)
    assert report.faces == []
    safe[:] = 0
    assert bgr.min() > 0


@pytest.mark.parametrize('kind', [bytes, array, np.ndarray])
def test_a_message_gives_one_of_its_kind(kind: type, monkeypatch: Any) -> None:
    message = messages.raw_message('bgr8', WIDTH, HEIGHT, picture().tobytes())
    if kind is array:
        message.data = array('B', message.data)
    elif kind is np.ndarray:
        message.data = np.frombuffer(message.data, np.uint8)
    before = copy.deepcopy(message)
    safe, report = with_detector(monkeypatch, FakeDetector(FACE))(message)
    assert bytes(message.data) == bytes(before.data), 'the input stays as it is'
    assert type(safe.data) is kind
    assert bytes(safe.data) != bytes(message.data)
    assert {**vars(safe), 'data': 0, 'header': 0} == {**vars(message), 'data': 0, 'header': 0}
    assert safe.header == message.header
    assert len(report.faces) == 1


def test_with_stamps_a_missed_face_is_treated_all_the_same(monkeypatch: Any) -> None:
    detector = FakeDetector(FACE)
    deidentifier = with_detector(monkeypatch, detector)
    first = deidentifier(picture(), stamp=1.0, camera='front')[1]
    detector.faces = []
    second = deidentifier(picture(), stamp=1.1, camera='front')[1]
    assert [face.held for face in second.faces] == [True]
    assert second.faces[0].track == first.faces[0].track
    assert deidentifier(picture(), stamp=1.1, camera='rear')[1].faces == [], 'another camera'
    assert deidentifier(picture())[1].faces == [], 'an image that stands alone'
    deidentifier.forget('front')
    assert deidentifier(picture(), stamp=1.2, camera='front')[1].faces == []


def test_a_message_has_its_own_stamp(monkeypatch: Any) -> None:
    detector = FakeDetector(FACE)
    deidentifier = with_detector(monkeypatch, detector)
    message = messages.raw_message('bgr8', WIDTH, HEIGHT, picture().tobytes())
    assert deidentifier(message)[1].faces[0].track == 1
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    assert deidentifier(message)[1].faces[0].track is None


@pytest.mark.parametrize('bgr', [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8),
                                 np.zeros((8, 8, 3), np.float32)])
def test_another_array_is_refused(bgr: np.ndarray, monkeypatch: Any) -> None:
    with pytest.raises(CodecError, match='allowed is .height, width, 3. of uint8'):
        with_detector(monkeypatch, FakeDetector())(bgr)


def test_what_fails_raises(monkeypatch: Any) -> None:
    broken = ActingDetector(lambda bgr: [Face(Box(float('nan'), 0, 9, 9), 0.9)])
    with pytest.raises(DetectionError):
        with_detector(monkeypatch, broken)(picture())


def test_parameters_come_from_a_file_and_from_keywords(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / 'node.yaml'
    file.write_text('/**:\n  ros__parameters:\n    detector:\n      width: 320\n'
                    '    jpeg_quality: 70\n')
    deidentifier = with_detector(monkeypatch, FakeDetector(), parameter_file=file,
                                 jpeg_quality=80)
    assert deidentifier.settings.detection_width == 320
    assert deidentifier.settings.jpeg_quality == 80
    again = with_detector(monkeypatch, FakeDetector(), **deidentifier.values)
    assert again.settings == deidentifier.settings, 'names with dots will do as well'


@pytest.mark.parametrize(('parameters', 'words'), [
    ({'detector_widht': 320}, "no parameter 'detector_widht'"),
    ({'detector_width': 3}, 'detector.width is 3, must be 0, or 64 to 8192'),
    ({'jpeg_quality': 80.0}, 'jpeg_quality is 80.0, must be of the type of 90'),
])
def test_a_wrong_parameter_is_named(parameters: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Deidentifier(**parameters)


def test_underscores_for_dots_leave_every_name_its_own() -> None:
    from deid_ros.core.parameters import PARAMETERS

    assert len({spec.name.replace('.', '_') for spec in PARAMETERS}) == len(PARAMETERS)


def test_other_values_load_no_more_than_they_need(monkeypatch: Any) -> None:
    first = with_detector(monkeypatch, FakeDetector(FACE))
    second = first.with_values(dict(first.values, jpeg_quality=50))
    assert second.pipeline.detector is first.pipeline.detector
    assert second.settings.jpeg_quality == 50
    assert first.settings.jpeg_quality == 90, 'who is at work with the first keeps it'
    third = second.with_values(dict(second.values, **{'deid.method': 'blur',
                                                      'fallback.method': 'pixelate'}))
    assert third(picture())[1].faces[0].method == 'blur'
    assert third.pipeline.fallback.name == 'pixelate'
    assert second(picture())[1].faces[0].method == 'mask'
