# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One ROS 1 bag, by way of rosbags."""

import struct
from collections.abc import Iterator
from pathlib import Path

from rosbags.interfaces import Connection, ConnectionExtRosbag1
from rosbags.rosbag1 import Reader, ReaderError

from deid_ros.offboard.recordings.errors import BagError, DamagedError
from deid_ros.offboard.recordings.formats.recording import ROS1, Channel, Compression, Item, Message

# What rosbags raises where bytes are not what they should be.
_LIBRARY_ERRORS = (ReaderError, AssertionError, EOFError, KeyError, OSError, RuntimeError,
                   ValueError, struct.error)


class Ros1File:
    """A ROS 1 bag that is open for reading. Messages come in the order of their times.

    :raises BagError: it cannot be opened.
    :raises DamagedError: it is cut or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise BagError(f'{path} cannot be opened: there is no such file.')
        self._reader = Reader(path)
        try:
            self._reader.open()
        except _LIBRARY_ERRORS as error:
            raise self._damaged(error) from error
        connections = self._reader.connections
        self._indices = {each.id: index for index, each in enumerate(connections)}
        self.channels = [_channel(each) for each in connections]
        self.counts = [each.msgcount for each in connections]
        has_messages = any(self.counts)
        self.start = self._reader.start_time if has_messages else 0
        self.end = self._reader.end_time - 1 if has_messages else 0
        self.compression = self._compression()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def items(self) -> Iterator[Item]:
        """Yield the messages in the order of their times."""
        return self._messages(self._reader.connections)

    def first(self, channel: int) -> Message | None:
        """Return the first message of a channel."""
        return next(self._messages([self._reader.connections[channel]]), None)

    def _messages(self, connections: list[Connection]) -> Iterator[Message]:
        try:
            if connections:
                for connection, time, data in self._reader.messages(connections):
                    yield Message(self._indices[connection.id], time, time, 0, data)
        except _LIBRARY_ERRORS as error:
            raise self._damaged(error) from error

    def _compression(self) -> Compression:
        """Return the compression of the first chunk, which that of the others usually is."""
        for info in self._reader.chunk_infos[:1]:
            with self.path.open('rb') as file:
                file.seek(info.pos)
                head = file.read(4096)
            for name in ('bz2', 'lz4'):
                if f'compression={name}'.encode() in head:
                    return Compression('chunk', name)
        return Compression()

    def _damaged(self, what: Exception) -> DamagedError:
        return DamagedError(f'{self.path} is damaged: {what or type(what).__name__}. `rosbag '
                            f'reindex {self.path.name}` may help.')


def _channel(connection: Connection) -> Channel:
    assert isinstance(connection.ext, ConnectionExtRosbag1)
    metadata = [(key, str(value)) for key, value in connection.ext._asdict().items()
                if value is not None]
    return Channel(connection.topic, connection.msgtype, ROS1, 'ros1msg', connection.msgdef.data,
                   connection.digest, metadata=tuple(metadata))
