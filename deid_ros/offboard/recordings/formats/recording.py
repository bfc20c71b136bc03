# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a recording is, whatever file format it has.

A recording is a row of channels and a stream of items: messages, and where the format has them,
attachments and metadata. Items come in the order in which they were written.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeAlias

from mcap.records import Attachment, Metadata

#: Encodings of messages.
CDR, ROS1 = 'cdr', 'ros1'
#: Of what is no message of ROS: an image file, and the pixels of a video's frame.
FILE, VIDEO = 'file', 'bgr8'

IMAGE, COMPRESSED_IMAGE = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)


class Channel(NamedTuple):
    """What one publisher, or several alike, recorded on a topic."""

    topic: str
    #: As in ROS 2: `sensor_msgs/msg/Image`.
    type: str
    #: Of the messages: `cdr`, `ros1`, or another that this package cannot open.
    encoding: str
    #: Of the definition: `ros2msg`, `ros2idl`, `ros1msg`; empty where the recording has none.
    definition_encoding: str
    definition: str
    #: `RIHS01_…`, for ROS 1 the MD5 sum; empty where the recording has none.
    type_hash: str = ''
    #: The offered QoS profiles, as YAML, character for character.
    qos: str = ''
    #: All metadata of an mcap channel, or the `callerid` and `latching` of a ROS 1 connection.
    metadata: tuple[tuple[str, str], ...] = ()


class Message(NamedTuple):
    """A message as it was recorded; times are nanoseconds since the epoch."""

    #: Index into the recording's channels.
    channel: int
    log_time: int
    publish_time: int
    sequence: int
    data: bytes | memoryview


Item: TypeAlias = Message | Attachment | Metadata


class Compression(NamedTuple):
    """How a recording is compressed: `mode` is empty, `chunk`, `message` or `file`."""

    mode: str = ''
    format: str = ''


class Recording(ABC):
    """A recording that is open for reading; a context manager.

    :raises BagError: from everywhere, where the files cannot be read.
    :raises DamagedError: where they are cut, or their bytes were changed.
    """

    #: `mcap`, `sqlite3` or `ros1`.
    storage: str
    files: list[Path]
    channels: list[Channel]
    #: Number of messages, by channel.
    counts: list[int]
    #: Log times of the first and the last message, in nanoseconds; 0 where there is none.
    start = 0
    end = 0
    compression = Compression()
    #: Of `metadata.yaml`, where there is one.
    version = 0
    ros_distro = ''
    custom_data: dict[str, str] = {}

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """Yield everything that was recorded, in order."""

    @abstractmethod
    def first(self, channel: int) -> Message | None:
        """Return the first message of a channel; None if it has none, or not without a search."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the files."""

    def __enter__(self) -> 'Recording':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
