# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A crowd in the street, recorded, through the command with all defaults but a key."""

import json
from pathlib import Path

import cv2
import numpy as np
from recordings import PERIOD, START, Entry, Maker, write_rosbag2
from rosbags.highlevel import AnyReader
from shared_data import shared_data

from deid_ros.core.parameter_file import read_parameters
from deid_ros.core.parameters import make_pipeline, pipeline_settings
from deid_ros.core.tracking import Tracker
from deid_ros.offboard.recordings.cli import main

FRAMES = 6
KEY = 'deid.key:=street'
RAW, COMPRESSED = '/front/image_raw', '/rear/image_raw/compressed'


def test_the_recording_is_what_the_frame_path_makes_of_it(tmp_path: Path) -> None:
    video = cv2.VideoCapture(str(shared_data() / 'clips' / 'street_1080p.mp4'))
    maker, entries = Maker(), []
    for number in range(FRAMES):
        bgr, time = video.read()[1], START + number * PERIOD
        entries += [Entry(RAW, 'sensor_msgs/msg/Image', time, maker.image(time, bgr)),
                    Entry(COMPRESSED, 'sensor_msgs/msg/CompressedImage', time,
                          maker.compressed(time, bgr))]
    bag, out = write_rosbag2(tmp_path / 'bag', entries), tmp_path / 'out'
    assert main([str(bag), str(out), '--jobs', '2', '-p', KEY]) == 0

    values = read_parameters(None, [KEY])
    pipeline, settings = make_pipeline(values), pipeline_settings(values)
    trackers = {RAW: Tracker(), COMPRESSED: Tracker()}
    faces = dict.fromkeys(trackers, 0)
    with AnyReader([out]) as reader:
        for entry, (connection, _, data) in zip(entries, reader.messages(), strict=True):
            expected = pipeline.process(entry.message, settings, trackers[entry.topic])
            message = reader.deserialize(data, connection.msgtype)
            # Not as bytes: to show where millions of them differ would take pytest forever.
            assert np.array_equal(message.data, np.frombuffer(expected.data, np.uint8))  # type: ignore
            assert not np.array_equal(message.data, entry.message.data)  # type: ignore
            faces[entry.topic] += len(expected.faces)
    report = json.loads((out / 'deid_report.json').read_text())['anonymized']
    assert {topic: report[topic]['faces'] for topic in faces} == faces
    assert min(faces.values()) > 5 * FRAMES
    assert report[RAW]['methods']['autoencoder'] > 0
