# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writes a ROS 1 bag by way of rosbags, and goes on with one whose writer was killed."""

import os
from collections import defaultdict
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag1 import Writer
from rosbags.rosbag1.reader import Header, RecordType, deserialize_time, read_uint32
from rosbags.rosbag1.writer import MAXSIZE, WriteChunk

from deid_ros.offboard.recordings.formats.recording import Channel, Compression, Message

_INDEX_ENTRY = 12  # bytes: seconds, nanoseconds, offset


class Ros1FileWriter:
    """A ROS 1 bag that is being written.

    :param compression: `chunk` with `bz2` or `lz4`, or none.
    :param state: of a bag whose writer was killed, as `checkpoint` gave it; what was written after
        that is cut off.
    """

    suffix = '.bag'

    def __init__(self, path: Path, channels: Sequence[Channel], compression: Compression,
                 state: dict[str, int] | None = None) -> None:
        killed = path.with_name(path.name + '.killed')
        if state is not None:
            # The library only makes new files: it makes the beginning anew, which gives the
            # connections, and then gets the file. A kill may have hit right here, too.
            if killed.exists():
                path.unlink(missing_ok=True)
            else:
                path.rename(killed)
        self._writer = Writer(path)
        if compression.format:
            self._writer.set_compression(
                Writer.CompressionFormat[compression.format.upper()])
        self._writer.open()
        self._connections = [self._add(channel) for channel in channels]
        if state is not None:
            assert self._writer.bio is not None
            self._writer.bio.close()
            killed.replace(path)
            self._recover(path, state['size'])
        self._chunks = len(self._writer.chunks)

    @property
    def size(self) -> int:
        """Bytes in the file so far, without the chunk that is being filled."""
        assert self._writer.bio is not None
        return self._writer.bio.tell()

    def write(self, message: Message) -> None:
        """Append a message; its channel is an index into the channels."""
        self._writer.write(self._connections[message.channel], message.log_time, message.data)
        if len(self._writer.chunks) > self._chunks:
            self._chunks = len(self._writer.chunks)
            self._forget(self._writer.chunks[-2])

    def checkpoint(self) -> dict[str, int] | None:
        """Return what a later writer needs to go on from here; None while a chunk is being filled.

        All that was written until now is on the disk then.
        """
        if self._writer.chunks[-1].connections:
            return None
        assert self._writer.bio is not None
        self._writer.bio.flush()
        os.fsync(self._writer.bio.fileno())
        return {'size': self.size}

    def finish(self) -> None:
        """End the file."""
        self._writer.close()

    def close(self) -> None:
        """Close the file as it is."""
        self._writer.abort()

    def _add(self, channel: Channel) -> Connection:
        metadata = dict(channel.metadata)
        latching = metadata.get('latching')
        return self._writer.add_connection(
            channel.topic, channel.type, msgdef=channel.definition, md5sum=channel.type_hash,
            callerid=metadata.get('callerid'),
            latching=None if latching is None else int(latching))

    def _recover(self, path: Path, size: int) -> None:
        """Read the index of what is in the file, and go to its end."""
        first, self._writer.chunks = self._writer.chunks[0], []
        file = path.open('r+b')
        file.truncate(size)
        file.seek(len('#ROSBAG V2.0\n'))
        Header.read(file, RecordType.BAGHEADER)
        file.seek(read_uint32(file), os.SEEK_CUR)
        while file.tell() < size:
            position = file.tell()
            header = Header.read(file)
            length = read_uint32(file)
            if header.get_uint8('op') == RecordType.CHUNK:
                file.seek(length, os.SEEK_CUR)
                self._writer.chunks.append(
                    WriteChunk(BytesIO(), position, MAXSIZE, 0, defaultdict(list)))
                continue
            chunk = self._writer.chunks[-1]
            entries = file.read(length)
            times = [deserialize_time(entries[start:start + 8])
                     for start in range(0, length, _INDEX_ENTRY)]
            chunk.start, chunk.end = min(chunk.start, *times), max(chunk.end, *times)
            chunk.connections[header.get_uint32('conn')] = [(0, 0)] * len(times)
        for chunk in self._writer.chunks:
            self._forget(chunk)
        # The connections were in the first chunk.
        self._writer.chunks.append(
            WriteChunk(BytesIO(), -1, MAXSIZE, 0, defaultdict(list)) if self._writer.chunks
            else first)
        self._writer.bio = file

    @staticmethod
    def _forget(chunk: WriteChunk) -> None:
        """Let go of the times and places of a written chunk: only their number is needed."""
        for number, entries in chunk.connections.items():
            chunk.connections[number] = _Repeated(len(entries))


class _Repeated(list[tuple[int, int]]):
    """A list of which only the length is known."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length

    def __len__(self) -> int:
        return self._length
