# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writes what was received into a rosbag2 recording, and reads the images back."""

import pathlib
import shutil
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from deid_ros.offboard.demo.errors import DemoError

# The messages used are the same from Humble on.
_TYPES = get_typestore(Stores.ROS2_HUMBLE)


class BagRecorder:
    """A context manager around a new mcap recording. It takes the place of an older recording.

    :param topics: message type by topic.
    :raises DemoError: the path is taken by something that is no recording.
    """

    def __init__(self, path: pathlib.Path, topics: dict[str, str]) -> None:
        if path.exists():
            if not (path / 'metadata.yaml').is_file() and any(path.iterdir()):
                raise DemoError(f'{path} exists and is no recording; move it away.')
            shutil.rmtree(path)
        self._topics = topics
        self._writer = Writer(path, version=Writer.VERSION_LATEST,
                              storage_plugin=StoragePlugin.MCAP)

    def __enter__(self) -> 'BagRecorder':
        self._writer.open()
        self._connections = {
            topic: self._writer.add_connection(topic, message_type, typestore=_TYPES)
            for topic, message_type in self._topics.items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        # Also after an error: what was received until then can be read.
        self._writer.close()

    def write(self, topic: str, serialized: bytes) -> None:
        """Append a message as it came over the wire, with the time of now."""
        self._writer.write(self._connections[topic], time.time_ns(), serialized)


def recorded_images(path: pathlib.Path, topic: str) -> Iterator[tuple[int, np.ndarray]]:
    """Yield header stamp in nanoseconds and image, (H, W, 3) uint8 BGR, of a topic's messages."""
    with AnyReader([path], default_typestore=_TYPES) as reader:
        connections = [one for one in reader.connections if one.topic == topic]
        for connection, _, serialized in reader.messages(connections):
            message: Any = reader.deserialize(serialized, connection.msgtype)
            stamp = message.header.stamp
            yield (stamp.sec * 10**9 + stamp.nanosec,
                   message.data.reshape(message.height, message.width, 3))
