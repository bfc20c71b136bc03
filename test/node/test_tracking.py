# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The running node holds the faces that its detector misses."""

import json

import numpy as np
from rclpy.parameter import Parameter
from ros_rig import faces_in, image_message, noise, wait_until

CAMERA = '/camera/image_raw'
# Inside of the one face that the detector finds.
FACE = np.s_[30:50, 50:60]


def fly(reports, camera, stamp):
    """Send one frame; return the faces in its report."""
    camera.publish(image_message(noise(), stamp=stamp))
    wait_until(lambda: any(json.loads(report.data)['stamp']['sec'] == stamp for report in reports),
               f'no report of frame {stamp}')
    return next(faces_in(report) for report in reports
                if json.loads(report.data)['stamp']['sec'] == stamp)


def connect(rig, detector, topic=CAMERA):
    """Return images, reports and camera, after frames without faces have come through."""
    safe = rig.peer.listen_to_images('/deid' + topic)
    reports = rig.peer.listen_to_reports('/deid' + topic + '/report')
    camera = rig.peer.camera(topic)
    detector.fault = list
    wait_until(lambda: camera.publish(image_message(noise())) or (safe and reports), 'no image')
    rig.wait_until_settled(topic)
    detector.fault = None
    return safe, reports, camera


def test_a_face_is_held_over_frames_in_which_nothing_is_detected(make_rig, detector):
    rig = make_rig(tracking__hold_frames=2)
    safe, reports, camera = connect(rig, detector)
    found = [fly(reports, camera, 1)]
    detector.fault = list
    found += [fly(reports, camera, stamp) for stamp in (2, 3, 4)]
    assert [[face['held'] for face in faces] for faces in found] == [[False], [True], [True], []]
    assert len({face['track'] for faces in found for face in faces}) == 1
    wait_until(lambda: 4 in safe.stamps(), 'no image of the last frame')
    treated = [message for message in safe if message.header.stamp.sec in (1, 2, 3)]
    assert len(treated) == 3
    for message in treated:
        after = np.frombuffer(message.data, np.uint8).reshape(120, 160, 3)
        assert np.abs(noise()[FACE].astype(int) - after[FACE]).mean() > 20
    rig.wait_for_figure(CAMERA, 'held', 2)
    assert rig.figures(CAMERA)['faces'] == '3'


def test_hold_and_interval_change_while_it_runs(make_rig, detector):
    rig = make_rig(tracking__hold_frames=0)
    _, reports, camera = connect(rig, detector)
    assert len(fly(reports, camera, 1)) == 1
    looks = []
    detector.fault = lambda: looks.append(1) or []
    assert fly(reports, camera, 2) == []
    rig.node.set_parameters([Parameter('detector.interval', value=3)])
    for stamp in (3, 4, 5, 6, 7):
        fly(reports, camera, stamp)
    assert len(looks) == 2, 'at the first frame without faces, and three after it'
    detector.fault = None
    rig.node.set_parameters([Parameter('detector.interval', value=1),
                             Parameter('tracking.hold_frames', value=5)])
    assert [face['held'] for face in fly(reports, camera, 8)] == [False]
    detector.fault = list
    assert [face['held'] for face in fly(reports, camera, 9)] == [True]


def test_nobody_is_held_over_an_activation_or_for_another_camera(make_rig, detector):
    rig = make_rig(image_topics=[CAMERA, '/rear/image_raw'], tracking__hold_frames=100)
    _, reports, camera = connect(rig, detector)
    _, rear_reports, rear = connect(rig, detector, '/rear/image_raw')
    assert len(fly(reports, camera, 1)) == 1
    detector.fault = list
    assert fly(rear_reports, rear, 1) == []
    assert len(fly(reports, camera, 2)) == 1
    assert rig.node.trigger_deactivate().name == 'SUCCESS'
    wait_until(lambda: camera.get_subscription_count() == 0, 'still subscribed')
    assert rig.node.trigger_activate().name == 'SUCCESS'
    known = len(reports)
    wait_until(lambda: camera.publish(image_message(noise(), stamp=3)) or len(reports) > known,
               'no report after the activation')
    assert not any(faces_in(report) for report in reports[known:])
