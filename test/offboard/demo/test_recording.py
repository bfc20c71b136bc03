# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The recording, what is concluded from it, and the picture."""

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from deid_ros.offboard.common.recognition import SAME_PERSON, FaceRecognizer
from deid_ros.offboard.demo.contact_sheet import ContactSheet
from deid_ros.offboard.demo.errors import DemoError
from deid_ros.offboard.demo.flight import IMAGE_OUTPUT, OUTPUTS, REPORT_OUTPUT, FlightLog
from deid_ros.offboard.demo.recorder import BagRecorder, recorded_images
from deid_ros.offboard.demo.scene import packaged_portraits
from deid_ros.offboard.demo.table import table
from deid_ros.offboard.demo.verification import ComparedFrame, verify

TYPES = get_typestore(Stores.ROS2_HUMBLE)


def image_message(stamp, bgr):
    types = TYPES.types
    header = types['std_msgs/msg/Header'](
        stamp=types['builtin_interfaces/msg/Time'](sec=stamp // 10**9, nanosec=stamp % 10**9),
        frame_id='camera')
    height, width = bgr.shape[:2]
    message = types['sensor_msgs/msg/Image'](
        header=header, height=height, width=width, encoding='bgr8', is_bigendian=0,
        step=3 * width, data=bgr.reshape(-1))
    return bytes(TYPES.serialize_cdr(message, 'sensor_msgs/msg/Image'))


class OnePortrait:
    """A source that always shows the astronaut."""

    rate = 10.0
    frame_count = 4

    def __init__(self):
        portrait = packaged_portraits()[0]
        self._image, self._faces = portrait.image, portrait.faces
        self.height, self.width = portrait.image.shape[:2]

    def frame(self, index):
        return self._image

    def faces(self, index):
        return self._faces


def test_what_is_recorded_reads_back_equal(tmp_path):
    frames = [np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
              for seed in range(3)]
    sent = [image_message(10**9 + index, frame) for index, frame in enumerate(frames)]
    text = TYPES.types['std_msgs/msg/String'](data='{}')
    report = bytes(TYPES.serialize_cdr(text, 'std_msgs/msg/String'))
    for _ in range(2):  # A second flight takes the place of the first.
        with BagRecorder(tmp_path / 'bag', OUTPUTS) as recorder:
            for message in sent:
                recorder.write(IMAGE_OUTPUT, message)
            recorder.write(REPORT_OUTPUT, report)
    with AnyReader([tmp_path / 'bag']) as reader:
        got = [(connection.topic, bytes(data)) for connection, _, data in reader.messages()]
    assert got == [(IMAGE_OUTPUT, message) for message in sent] + [(REPORT_OUTPUT, report)]
    assert (tmp_path / 'bag' / 'bag.mcap').is_file()
    for index, (stamp, bgr) in enumerate(recorded_images(tmp_path / 'bag', IMAGE_OUTPUT)):
        assert stamp == 10**9 + index
        np.testing.assert_array_equal(bgr, frames[index])


def test_other_folders_are_not_replaced_by_a_recording(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(DemoError, match='is no recording'):
        BagRecorder(tmp_path, OUTPUTS)
    assert (tmp_path / 'thesis.tex').is_file()


def test_the_recognizer_knows_people_apart():
    crops = []
    for portrait in packaged_portraits():
        face = portrait.faces[0]
        x, y = int(face.x), int(face.y)
        crops.append(portrait.image[y:y + int(face.height), x:x + int(face.width)])
    recognizer = FaceRecognizer()
    assert recognizer.distance(crops[0], crops[0]) == 0
    assert recognizer.distance(crops[0], crops[1]) > SAME_PERSON
    smaller = cv2.resize(crops[0], (80, 80), interpolation=cv2.INTER_AREA)
    assert recognizer.distance(crops[0], smaller) < SAME_PERSON


def flight(tmp_path, source, images, reports):
    """Return log and recording of a flight in which these images and reports came back."""
    log = FlightLog(figures={'detector': 'd', 'method': 'm', 'received': '4', 'withheld': '0'})
    with BagRecorder(tmp_path / 'bag', OUTPUTS) as recorder:
        for index, (image, report) in enumerate(zip(images, reports)):
            log.sent[index] = index
            log.received.append(index)
            if report is not None:
                log.reports[index] = report
            recorder.write(IMAGE_OUTPUT, image_message(index, image))
    return log, tmp_path / 'bag'


def report_of(*regions):
    return {'status': 'published', 'milliseconds': {'total': 40.0},
            'faces': [{'region': list(region)} for region in regions]}


def masked(image, region):
    left, top, right, bottom = region
    image = image.copy()
    image[top:bottom, left:right] = 96
    return image


def around(face):
    return (int(face.x) - 10, int(face.y) - 10, int(face.x + face.width) + 10,
            int(face.y + face.height) + 10)


def test_a_good_flight_has_no_problems_and_a_table(tmp_path):
    source = OnePortrait()
    region = around(source.faces(0)[0])
    log, bag = flight(tmp_path, source, [masked(source.frame(0), region)] * 2,
                      [report_of(region)] * 2)
    sheet = ContactSheet(source.frame_count, source.rate)
    findings = verify(source, log, bag, iter, sheet.add)
    assert findings.problems == []
    assert findings.known_faces == len(findings.distances) == 2
    assert min(findings.distances) > SAME_PERSON
    lines = dict(line.rsplit('  ', 1) for line in table(log, findings).splitlines())
    values = {name.strip(): value for name, value in lines.items()}
    assert values['frames published, anonymized'] == '2'
    assert values[f'another person (beyond {SAME_PERSON})'] == '100 %'
    sheet.save(tmp_path / 'sheet.png', 'mask')
    assert cv2.imread(str(tmp_path / 'sheet.png')).shape[1] > 2 * 480


def test_every_kind_of_harm_is_told(tmp_path):
    source = OnePortrait()
    image = source.frame(0)
    region = around(source.faces(0)[0])
    elsewhere = masked(masked(image, region), (400, 300, 420, 320))
    log, bag = flight(tmp_path, source, [image, elsewhere, image, image],
                      [report_of(region), report_of(region), report_of(), None])
    log.received[2:] = reversed(log.received[2:])
    problems = '\n'.join(verify(source, log, bag, iter, lambda frame: None).problems)
    assert 'Frame 0: dlib recognizes the face' in problems
    assert 'Frame 1 has changed outside' in problems
    assert 'Frame 2: the face at (179, 83) was not treated' in problems
    assert 'Frame 3 was published without a report' in problems
    assert 'out of order' in problems


def test_silence_is_no_success(tmp_path):
    source = OnePortrait()
    log, bag = flight(tmp_path, source, [], [])
    findings = verify(source, log, bag, iter, lambda frame: None)
    assert findings.problems == ['Only 0 of 4 frames came out, fewer than 1. Try a lower --rate.']
    assert '-' in table(log, findings)


def test_the_picture_shows_each_part_of_the_flight():
    sheet = ContactSheet(frame_count=8, rate=4.0)
    gray = np.full((90, 160, 3), 128, np.uint8)
    for index, faces in enumerate((1, 2, 0, 0)):
        sheet.add(ComparedFrame(index, gray + index, gray, [0.7] * faces))
    assert [frame.index for frame in sheet.chosen] == [1, 3]
