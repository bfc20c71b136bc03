# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""ROS 1 recordings as rosbag2 has them: other definitions, other bytes, the same values."""

import struct
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from rosbags.convert.converter import (
    LATCH,
    STATIC_MSGTYPE_RENAMES,
    generate_message_converter,
)
from rosbags.rosbag2.metadata import dump_qos_v8
from rosbags.serde import SerdeError
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_msg,
    get_typestore,
)

from deid_ros.offboard.recordings.errors import DamagedError
from deid_ros.offboard.recordings.formats.recording import (
    CDR,
    IMAGE_TYPES,
    Channel,
    Item,
    Message,
    Recording,
)

_HEADER = 'std_msgs/msg/Header'


class AsRos2(Recording):
    """A ROS 1 recording whose channels and messages are those of ROS 2.

    Types that ROS 2 has too become its own, by `rosbags.convert`; others keep their fields.

    :param recording: is closed with this one.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.storage = recording.storage
        self.files, self.counts = recording.files, recording.counts
        self.start, self.end = recording.start, recording.end
        self.compression = recording.compression
        self._source = get_typestore(Stores.EMPTY)
        self._target = get_typestore(Stores.ROS2_HUMBLE)
        self._cache: dict[str, object] = {}
        self._converters: list[Callable[[Any], memoryview] | None] = []
        self.channels = [self._convert(channel) for channel in recording.channels]

    def items(self) -> Iterator[Item]:
        """See `Recording.items`."""
        for item in self._recording.items():
            yield self._moved(item) if isinstance(item, Message) else item

    def first(self, channel: int) -> Message | None:
        """See `Recording.first`."""
        message = self._recording.first(channel)
        return message and self._moved(message)

    def close(self) -> None:
        """See `Recording.close`."""
        self._recording.close()

    def _convert(self, channel: Channel) -> Channel:
        """Return the channel of ROS 2, and note how to convert its messages."""
        name = STATIC_MSGTYPE_RENAMES.get(channel.type, channel.type)
        try:
            self._source.register(get_types_from_msg(channel.definition, channel.type))
            if name not in self._target.fielddefs:
                types = get_types_from_msg(
                    self._source.generate_msgdef(channel.type, ros_version=2)[0], name)
                types.pop(_HEADER, None)
                self._target.register(types)
            with redirect_stdout(StringIO()):  # The library tells what it does.
                self._converters.append(generate_message_converter(
                    self._source, self._target, channel.type, name, self._cache,
                    src_is2=False, dst_is2=True))
            definition, _ = self._target.generate_msgdef(name, ros_version=2)
            type_hash = self._target.hash_rihs01(name)
        except (TypesysError, KeyError, ValueError) as error:
            raise DamagedError(f'The definition of {channel.type} on {channel.topic} cannot be '
                               f'made one of ROS 2: {error}.') from error
        is_latched = dict(channel.metadata).get('latching') == '1'
        return Channel(channel.topic, name, CDR, 'ros2msg', definition, type_hash,
                       dump_qos_v8(LATCH) if is_latched else '')

    def _moved(self, message: Message) -> Message:
        converter = self._converters[message.channel]
        assert converter
        try:
            return message._replace(data=converter(message.data))
        except (SerdeError, AssertionError, ValueError, struct.error) as error:
            if self.channels[message.channel].type in IMAGE_TYPES:
                return message._replace(data=b'')  # This frame is withheld, as any damaged one.
            raise DamagedError(f'A message on {self.channels[message.channel].topic} is damaged: '
                               f'{error}') from error
