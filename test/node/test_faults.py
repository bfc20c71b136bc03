# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whatever breaks, nothing untreated comes out, the node lives on, and the count shows."""

import copy
import json
import time
from array import array

import numpy as np
import pytest
import rclpy
from ros_rig import image_message, noise, wait_until
from sensor_msgs.msg import CompressedImage

from deid_ros.core.compositing import Patch
from deid_ros.core.deidentification.anonymizer import Anonymizer
from deid_ros.core.faces import Box, Face, Region
from deid_ros.node import deid_node

CAMERA = '/camera/image_raw'


def raises(error):
    def fault():
        raise error
    return fault


DETECTOR_FAULTS = {
    'raises': raises(RuntimeError('CUDA error: out of memory')),
    'raises MemoryError': raises(MemoryError()),
    'gives NaN': lambda: [Face(Box(float('nan'), 10, 20, 20), 0.9)],
    'gives infinity': lambda: [Face(Box(10, 10, float('inf'), 20), 0.9)],
    'gives a box outside of the image': lambda: [Face(Box(500, 10, 20, 20), 0.9)],
    'gives an empty box': lambda: [Face(Box(10, 10, 0, 20), 0.9)],
    'gives None': lambda: None,
    'gives something else': lambda: ['face'],
}


def run_through_fault(rig, camera, break_it, mend_it, reason):
    """Send sound frames, then faulty ones, then sound ones; return the images that came out."""
    safe = rig.peer.listen_to_images()
    reports = rig.peer.listen_to_reports()
    rig.peer.wait_for_subscriber(camera)
    wait_until(lambda: camera.publish(image_message(noise(), stamp=1)) or 1 in safe.stamps(),
               'no sound frame')
    break_it()
    for stamp in range(2, 7):
        camera.publish(image_message(noise(), stamp=stamp))
        time.sleep(0.05)
    rig.wait_for_figure(CAMERA, reason)
    # A faulty frame that waits is a sound one when its turn comes after the mending.
    rig.wait_until_settled(CAMERA)
    mend_it()
    wait_until(lambda: camera.publish(image_message(noise(), stamp=7)) or 7 in safe.stamps(),
               'the node did not recover')
    wait_until(lambda: [report for report in reports
                        if json.loads(report.data)['status'] != 'published'],
               'no report of the fault')
    for message in safe:
        after = np.frombuffer(message.data, np.uint8).reshape(120, 160, 3)
        assert np.abs(noise()[30:50, 50:60].astype(int) - after[30:50, 50:60]).mean() > 20
    return safe


@pytest.mark.parametrize('fault', DETECTOR_FAULTS)
def test_a_broken_detector_withholds_the_frame(make_rig, detector, fault):
    rig = make_rig()
    camera = rig.peer.camera()
    safe = run_through_fault(
        rig, camera, lambda: setattr(detector, 'fault', DETECTOR_FAULTS[fault]),
        lambda: setattr(detector, 'fault', None), 'withheld: detector')
    assert not set(safe.stamps()) & set(range(2, 7))


class BrokenAnonymizer(Anonymizer):
    name = 'broken'

    def __init__(self, patches):
        self._patches = patches

    def anonymize(self, bgr, faces, box_margin):
        return self._patches(bgr, faces)


def sound_patch(bgr, face):
    region = Region(40, 20, 70, 60)
    return Patch(region, np.zeros((40, 30, 3), np.uint8), np.ones((40, 30), np.float32))


ANONYMIZER_FAULTS = {
    'raises': lambda bgr, faces: raises(ValueError('engine'))(),
    'gives a short batch': lambda bgr, faces: [],
    'gives NaN': lambda bgr, faces: [
        sound_patch(bgr, face)._replace(alpha=np.full((40, 30), np.nan, np.float32))
        for face in faces],
    'gives floats': lambda bgr, faces: [
        sound_patch(bgr, face)._replace(pixels=np.zeros((40, 30, 3), np.float32))
        for face in faces],
    'gives the original': lambda bgr, faces: [
        sound_patch(bgr, face)._replace(pixels=bgr[20:60, 40:70]) for face in faces],
    'gives a transparent patch': lambda bgr, faces: [
        sound_patch(bgr, face)._replace(alpha=np.zeros((40, 30), np.float32)) for face in faces],
    'gives a patch beside the face': lambda bgr, faces: [
        sound_patch(bgr, face)._replace(region=Region(0, 0, 30, 40)) for face in faces],
}


@pytest.mark.parametrize('fault', ANONYMIZER_FAULTS)
def test_a_broken_anonymizer_withholds_the_frame(make_rig, detector, fault):
    rig = make_rig()
    camera = rig.peer.camera()
    sound = rig.node._deidentifier

    def use(pipeline):
        broken = rig.node._deidentifier = copy.copy(sound)
        broken.pipeline = pipeline

    safe = run_through_fault(
        rig, camera,
        lambda: use(sound.pipeline.with_anonymizer(BrokenAnonymizer(ANONYMIZER_FAULTS[fault]))),
        lambda: use(sound.pipeline), 'withheld: anonymizer')
    assert not set(safe.stamps()) & set(range(2, 7))


def test_mask_frame_publishes_black_instead(make_rig, detector):
    rig = make_rig(on_failure='mask_frame')
    camera = rig.peer.camera()
    safe = run_through_fault(
        rig, camera, lambda: setattr(detector, 'fault', DETECTOR_FAULTS['raises']),
        lambda: setattr(detector, 'fault', None), 'masked: detector')
    masked = [message for message in safe if 2 <= message.header.stamp.sec < 7]
    assert masked
    for message in masked:
        assert not any(message.data)
        assert (message.height, message.width, message.step) == (120, 160, 480)


def malformed_images():
    sound = image_message(noise())
    for name, fields in {
        'depth': {'encoding': '16UC1'}, 'float depth': {'encoding': '32FC1'},
        'unknown encoding': {'encoding': 'infrared'}, 'no encoding': {'encoding': ''},
        'short step': {'step': 479}, 'no step': {'step': 0}, 'no width': {'width': 0},
        'no height': {'height': 0}, 'odd size': {'encoding': 'nv12', 'width': 159, 'step': 159},
        'truncated data': {'data': sound.data[:-1]}, 'no data': {'data': array('B')},
        'long data': {'data': sound.data + array('B', [0])},
        'huge size': {'width': 2 ** 31, 'height': 2 ** 31},
    }.items():
        message = image_message(noise())
        for field, value in fields.items():
            setattr(message, field, value)
        yield pytest.param(message, id=name)


@pytest.mark.parametrize('message', list(malformed_images()))
@pytest.mark.parametrize('on_failure', ['drop', 'mask_frame'])
def test_a_malformed_image_never_comes_out(make_rig, message, on_failure):
    rig = make_rig(on_failure=on_failure)
    safe = rig.peer.listen_to_images()
    camera = rig.peer.camera()
    rig.peer.wait_for_subscriber(camera)
    message.header.stamp.sec = 5
    wait_until(lambda: camera.publish(message) or time.sleep(0.05)
               or float(rig.figures(CAMERA).get('withheld', 0)) > 0, 'it was not counted')
    assert b'\x02' in {status.level for status in rig.statuses(CAMERA)}
    wait_until(lambda: camera.publish(image_message(noise(), stamp=6)) or 6 in safe.stamps(),
               'the node did not recover')
    assert 5 not in safe.stamps()


@pytest.mark.parametrize(('message_format', 'data'), [
    ('jpeg', b''), ('jpeg', b'\xff\xd8\xff\xe0garbage\xff\xd9'), ('png', b'\x89PNG\r\n\x1a\n'),
    ('h264', b'\0\0\0\1'), ('16UC1; compressedDepth png', b'\x89PNG\r\n\x1a\n'), ('', b'\xff\xd8'),
])
def test_a_malformed_compressed_image_never_comes_out(make_rig, message_format, data):
    topic = CAMERA + '/compressed'
    rig = make_rig(image_topics=[topic], on_failure='mask_frame')
    safe = rig.peer.listen_to_images('/deid' + topic)
    camera = rig.peer.camera(topic)
    rig.peer.wait_for_subscriber(camera)
    message = CompressedImage(format=message_format, data=array('B', data))
    wait_until(lambda: camera.publish(message) or time.sleep(0.05)
               or float(rig.figures(topic).get('withheld', 0)) > 0, 'it was not counted')
    assert not safe


def test_bytes_that_are_no_message_are_withheld(make_rig):
    """A publisher with another definition of the type, or a broken one."""
    rig = make_rig()
    safe = rig.peer.listen_to_images()
    camera = rig.peer.camera()
    rig.peer.wait_for_subscriber(camera)
    wait_until(lambda: camera.publish(b'\0\1\0\0\xff\xff\xff\xff\xff\xff\xff\xff')
               or time.sleep(0.05) or float(rig.figures(CAMERA).get('withheld', 0)) > 0,
               'it was not counted')
    assert not safe
    wait_until(lambda: camera.publish(image_message(noise(), stamp=6)) or safe, 'no recovery')


def test_a_hanging_detector_is_an_error(make_rig, detector, monkeypatch):
    monkeypatch.setattr(deid_node.diagnostics, '_STUCK', 1.0)
    detector.delay = 4.0
    rig = make_rig()
    rig.peer.listen_to_images()
    camera = rig.peer.camera()
    rig.peer.wait_for_subscriber(camera)
    status = wait_until(lambda: camera.publish(image_message(noise())) or (
        (status := rig.status()) and 'hangs' in status.message and status), 'no error')
    assert status.level == b'\x02'


def test_a_frame_that_outlives_its_activation_never_comes_out(make_rig, detector, monkeypatch):
    monkeypatch.setattr(deid_node, '_STOP_TIMEOUT', 0.1)
    detector.delay = 1.5
    rig = make_rig()
    safe = rig.peer.listen_to_images()
    camera = rig.peer.camera()
    rig.peer.wait_for_subscriber(camera)
    worker = rig.node._worker
    wait_until(lambda: worker.busy_seconds > 0 or camera.publish(image_message(noise(), stamp=1)),
               'the frame is not worked on')
    assert rig.node.trigger_deactivate().name == 'SUCCESS'
    detector.delay = 0.0
    assert rig.node.trigger_activate().name == 'SUCCESS'
    wait_until(lambda: not worker._thread.is_alive(), 'the frame is still worked on')
    wait_until(lambda: camera.publish(image_message(noise(), stamp=2)) or time.sleep(0.05)
               or 2 in safe.stamps(), 'no image after activating again')
    assert 1 not in safe.stamps()


def test_what_prevents_activation_is_said(make_rig):
    rig = make_rig(activate=False, **{
        'qos_overrides./deid/camera/image_raw.publisher.reliability': 'perhaps'})
    assert rig.node.trigger_configure().name == 'SUCCESS'
    assert rig.node.trigger_activate().name == 'FAILURE'
    status = rig.node._node_status()
    assert status.level == b'\x02'
    assert 'cannot activate' in status.message
    assert 'perhaps' in status.message
    assert rig.node.count_publishers('/deid/camera/image_raw') == 0


def test_another_type_on_the_topic_is_explained(make_rig):
    rig = make_rig()
    rig.peer.listen_to_images()
    context = rclpy.Context()  # One participant cannot have two types on a topic.
    rclpy.init(context=context)
    stranger = rclpy.create_node('stranger', context=context)
    stranger.create_publisher(CompressedImage, CAMERA, 1)
    status = wait_until(lambda: (status := rig.status(CAMERA)) and '/stranger' in status.message
                        and status, 'no explanation')
    assert 'must be sensor_msgs/msg/Image' in status.message
    assert 'sensor_msgs/msg/CompressedImage' in status.message
    stranger.destroy_node()
    rclpy.shutdown(context=context)
