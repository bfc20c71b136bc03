# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node and `anonymize_bag` give the same pixels for the same frames, given one key."""

from pathlib import Path

import cv2
import numpy as np
from portraits import astronaut
from recordings import Entry, Maker, write_rosbag2
from ros_rig import Rig, image_message, wait_until
from rosbags.highlevel import AnyReader

from deid_ros.offboard.recordings.cli import main

FRAMES = 8
TOPIC = '/camera/image_raw'


def frames() -> list[np.ndarray]:
    """A face that moves; in two of the frames it is covered, so that it is held."""
    portrait = cv2.resize(astronaut(), (320, 320), interpolation=cv2.INTER_AREA)
    result = [np.roll(portrait, 3 * number, axis=1) for number in range(FRAMES)]
    for number in (4, 5):
        result[number][20:110, 90:190] = 128
    return result


def test_the_same_frames_become_the_same_pixels(ros: None, tmp_path: Path) -> None:
    pictures = frames()
    rig = Rig({'image_topics': [TOPIC], 'deid.key': 'same'})
    try:
        rig.activate()
        safe = rig.peer.listen_to_images('/deid' + TOPIC)
        camera = rig.peer.camera(TOPIC)
        rig.peer.wait_for_subscriber(camera)
        for number, bgr in enumerate(pictures):
            camera.publish(image_message(bgr, stamp=number))
            wait_until(lambda: len(safe) == number + 1, f'frame {number} did not come out')  # noqa: B023
        by_node = [bytes(message.data) for message in safe]
    finally:
        rig.close()

    maker = Maker()
    # The node's frames have stamps of whole seconds and 500 nanoseconds.
    entries = [Entry(TOPIC, 'sensor_msgs/msg/Image', 10**9 * number,
                     maker.image(10**9 * number + 500, bgr)) for number, bgr in enumerate(pictures)]
    bag = write_rosbag2(tmp_path / 'bag', entries)
    for jobs in ('1', '2'):
        assert main([str(bag), str(tmp_path / jobs), '--jobs', jobs, '-p', 'deid.key:=same']) == 0
        with AnyReader([tmp_path / jobs]) as reader:
            by_tool = [bytes(reader.deserialize(data, connection.msgtype).data)  # type: ignore
                       for connection, _, data in reader.messages()]
        assert by_tool == by_node
    assert all(after != before.tobytes() for after, before in zip(by_node, pictures, strict=True))
