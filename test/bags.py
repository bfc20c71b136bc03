# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recordings with a few images, written without ROS."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

_TYPES = get_typestore(Stores.ROS2_HUMBLE)


def write_bag(path: Path, topics: Mapping[str, Sequence[tuple[int, np.ndarray]]], *,
              reports: Mapping[str, Mapping[int, list[list[int]]]] | None = None,
              storage: StoragePlugin = StoragePlugin.MCAP, encoding: str = 'bgr8') -> Path:
    """Write a bag.

    :param topics: by topic, stamp in nanoseconds and image, (H, W, 3) uint8 BGR.
    :param reports: by topic of the image, stamp and regions.
    """
    image, header, time, string = (_TYPES.types[name] for name in (
        'sensor_msgs/msg/Image', 'std_msgs/msg/Header', 'builtin_interfaces/msg/Time',
        'std_msgs/msg/String'))
    with Writer(path, version=Writer.VERSION_LATEST, storage_plugin=storage) as writer:
        for topic, messages in topics.items():
            connection = writer.add_connection(topic, image.__msgtype__, typestore=_TYPES)
            for stamp, bgr in messages:
                message = image(header(time(*divmod(stamp, 10**9)), 'camera'), bgr.shape[0],
                                bgr.shape[1], encoding, 0, bgr.shape[1] * 3, bgr.ravel())
                writer.write(connection, stamp,
                             _TYPES.serialize_cdr(message, image.__msgtype__))
        for topic, regions in (reports or {}).items():
            connection = writer.add_connection(f'{topic}/report', string.__msgtype__,
                                               typestore=_TYPES)
            for stamp, each in regions.items():
                seconds, nanoseconds = divmod(stamp, 10**9)
                report = {'stamp': {'sec': seconds, 'nanosec': nanoseconds},
                          'faces': [{'region': region} for region in each]}
                writer.write(connection, stamp, _TYPES.serialize_cdr(
                    string(json.dumps(report)), string.__msgtype__))
    return path
