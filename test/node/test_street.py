# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A crowd at 25 frames a second through the node with its default detector, over DDS."""

import json
import time
from array import array

import cv2
import numpy as np
import pytest
from camera_encodings import CAMERA_ENCODINGS
from ros_rig import Rig, changed_outside, faces_in, image_message, wait_until
from sensor_msgs.msg import CompressedImage
from shared_data import shared_data

CAMERA = '/camera/image_raw'
FRAMES = 50
RATE = 25.0


@pytest.fixture(scope='module')
def street() -> list[np.ndarray]:
    video = cv2.VideoCapture(str(shared_data() / 'clips' / 'street_1080p.mp4'))
    frames = [video.read()[1] for _ in range(FRAMES)]
    assert frames[-1].shape == (1080, 1920, 3)
    return frames


@pytest.fixture
def rig(ros, request):
    rig = Rig({'image_topics': [request.param]})
    rig.activate()
    yield rig
    rig.close()


def fly(rig, topic, make_message):
    """Publish the clip; return the images that came out and the report of each."""
    safe = rig.peer.listen_to_images('/deid' + topic)
    reports = rig.peer.listen_to_reports('/deid' + topic + '/report')
    camera = rig.peer.camera(topic)
    rig.peer.wait_for_subscriber(camera)
    start = time.monotonic()
    for number in range(FRAMES):
        message = make_message(number)
        time.sleep(max(0.0, start + number / RATE - time.monotonic()))
        camera.publish(message)
    wait_until(lambda: FRAMES - 1 in safe.stamps() and len(reports) == len(safe),
               'the newest frame did not come out')
    assert safe.stamps() == sorted(set(safe.stamps()))
    assert rig.figures(topic).get('withheld', '0') == '0'
    return list(zip(safe, reports, strict=True))


def assert_faces_are_treated(before, after, report):
    """No detected face is as it was, in BGR pictures of the frame before and after."""
    for face in faces_in(report):
        x, y, width, height = face['box']
        inside = (slice(int(max(0, y + height / 4)), int(y + 3 * height / 4) + 1),
                  slice(int(max(0, x + width / 4)), int(x + 3 * width / 4) + 1))
        difference = np.abs(before[inside].astype(int) - after[inside]).mean()
        # Also false alarms on smooth ground are treated; there is little to change in them.
        contrast = before[inside].std(axis=(0, 1)).mean()
        assert difference > 0.1 * contrast, f'{face} is nearly the original'


@pytest.mark.parametrize('rig', [CAMERA], indirect=True)
@pytest.mark.parametrize('encoding', CAMERA_ENCODINGS)
def test_raw(rig, street, encoding):
    encode = CAMERA_ENCODINGS[encoding]
    results = fly(rig, CAMERA, lambda number: image_message(
        encode(street[number]), encoding, stamp=number))
    faces = 0
    for message, report in results:
        before = encode(street[message.header.stamp.sec])
        assert (message.header.stamp.nanosec, message.header.frame_id) == (500, 'camera')
        assert (message.height, message.width) == (1080, 1920)
        assert (message.encoding, message.step) == (encoding, before[0].size)
        assert json.loads(report.data)['stamp']['sec'] == message.header.stamp.sec
        after = np.frombuffer(message.data, np.uint8).reshape(before.shape)
        regions = [face['region'] for face in faces_in(report)]
        if encoding == 'nv12':
            regions += [[left, 1080 + top // 2, right, 1080 + bottom // 2]
                        for left, top, right, bottom in regions]
        assert changed_outside(before, after, regions) == 0
        # The luma plane, the mosaic or the colors themselves: all of them show a face.
        assert_faces_are_treated(before, after, report)
        faces += len(faces_in(report))
    assert faces >= 3 * len(results), 'this clip shows about seven faces a frame'


@pytest.mark.parametrize('rig', [CAMERA + '/compressed'], indirect=True)
def test_jpeg(rig, street):
    files = [cv2.imencode('.jpg', frame)[1].tobytes() for frame in street]

    def make_message(number):
        message = CompressedImage(format='jpeg', data=array('B', files[number]))
        message.header.stamp.sec = number
        message.header.frame_id = 'camera'
        return message

    for message, report in fly(rig, CAMERA + '/compressed', make_message):
        assert (message.format, message.header.frame_id) == ('jpeg', 'camera')
        before = cv2.imdecode(
            np.frombuffer(files[message.header.stamp.sec], np.uint8), cv2.IMREAD_COLOR)
        after = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
        assert after.shape == before.shape
        assert faces_in(report)
        assert_faces_are_treated(before, after, report)
