# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writes one mcap file, and goes on with one whose writer was killed.

Not by way of mcap's own writer: that one cannot go on with a file, renumbers what it is given, and
copies each message several times. The small records are mcap's.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import lz4.frame
import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Attachment,
    AttachmentIndex,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.records import Channel as McapChannel

from deid_ros.offboard.recordings.formats.mcap_file import (
    MAGIC,
    QOS_KEY,
    ROSBAG2_METADATA,
    TYPE_HASH_KEY,
    read_attachment,
    read_metadata,
)
from deid_ros.offboard.recordings.formats.recording import ROS1, Channel, Compression, Message
from deid_ros.version import __version__

#: Bytes of records after which a chunk ends.
CHUNK_SIZE = 1 << 20

_RECORD = struct.Struct('<BQ')
_MESSAGE_RECORD = struct.Struct('<BQHIQQ')
_MESSAGE_HEAD = _MESSAGE_RECORD.size - _RECORD.size
_CHUNK = struct.Struct('<QQQI')
_INDEX = struct.Struct('<HI')  # channel, bytes of entries
_INDEX_ENTRY = 16  # a time and an offset
_LENGTH4, _LENGTH8 = struct.Struct('<I'), struct.Struct('<Q')


class McapFileWriter:
    """An mcap file that is being written.

    :param channels: all that the file may hold; the first is number 1.
    :param compression: `chunk` with `lz4` or `zstd`, or none.
    :param state: of a file whose writer was killed, as `checkpoint` gave it; what was written
        after that is cut off.
    """

    suffix = '.mcap'

    def __init__(self, path: Path, channels: Sequence[Channel], compression: Compression,
                 state: dict[str, int] | None = None) -> None:
        self._compression = compression.format
        self._start: int
        self._end: int
        self._schemas, self._channels = _records_of(channels)
        self._counts = {channel.id: 0 for channel in self._channels}
        self._chunks: list[ChunkIndex] = []
        self._attachments: list[AttachmentIndex] = []
        self._metadata: list[MetadataIndex] = []
        self._begin_chunk()
        if state is None:
            self._file: BinaryIO = path.open('xb')
            self._file.write(MAGIC)
            profile = 'ros1' if any(each.encoding == ROS1 for each in channels) else 'ros2'
            self._write(Header(profile, f'deid_ros {__version__}'))
            # In the first chunk, where readers of a stream look for them.
            self._parts.append(_bytes_of(*self._schemas, *self._channels))
            self._size = len(self._parts[0])
        else:
            self._file = path.open('r+b')
            self._file.truncate(state['size'])
            self._recover()

    @property
    def size(self) -> int:
        """Bytes in the file so far, without the chunk that is being filled."""
        return self._file.tell()

    def write(self, message: Message) -> None:
        """Append a message; its channel is an index into the channels. Its data are not kept."""
        number = message.channel + 1
        time = message.log_time
        self._start = min(self._start, time) if self._messages else time
        self._end = max(self._end, time)
        self._messages.setdefault(number, []).append((time, self._size))
        self._counts[number] += 1
        self._parts += (_MESSAGE_RECORD.pack(
            Opcode.MESSAGE, _MESSAGE_HEAD + len(message.data), number, message.sequence, time,
            message.publish_time), message.data)
        self._size += _MESSAGE_RECORD.size + len(message.data)
        if self._size > CHUNK_SIZE:
            self._end_chunk()
        else:
            self._parts[-1] = bytes(message.data)  # Small, and may be a view of something large.

    def write_extra(self, record: Attachment | Metadata) -> None:
        """Append an attachment or metadata. It comes to lie before the chunk being filled."""
        offset, length = self._file.tell(), self._write(record)
        if isinstance(record, Attachment):
            self._attachments.append(AttachmentIndex(
                offset, length, record.log_time, record.create_time, len(record.data),
                record.name, record.media_type))
        else:
            self._metadata.append(MetadataIndex(offset, length, record.name))

    def checkpoint(self) -> dict[str, int] | None:
        """Return what a later writer needs to go on from here; None while a chunk is being filled.

        All that was written until now is on the disk then.
        """
        if self._messages:
            return None
        self._sync()
        return {'size': self._file.tell()}

    def finish(self, metadata: str) -> None:
        """End the file.

        :param metadata: the recording's, as YAML.
        """
        if self._parts:
            self._end_chunk()
        self.write_extra(Metadata(ROSBAG2_METADATA, {'serialized_metadata': metadata}))
        self._write(DataEnd(0))
        start = self._file.tell()
        groups: list[tuple[Opcode, Sequence[McapRecord]]] = [
            (Opcode.SCHEMA, self._schemas), (Opcode.CHANNEL, self._channels),
            (Opcode.STATISTICS, [self._statistics()]), (Opcode.CHUNK_INDEX, self._chunks),
            (Opcode.ATTACHMENT_INDEX, self._attachments), (Opcode.METADATA_INDEX, self._metadata)]
        checksum, offsets = 0, []
        for opcode, records in groups:
            if records:
                offset, content = self._file.tell(), _bytes_of(*records)
                self._file.write(content)
                checksum = zlib.crc32(content, checksum)
                offsets.append(SummaryOffset(opcode, offset, len(content)))
        offsets_start, content = self._file.tell(), _bytes_of(*offsets)
        self._file.write(content)
        footer = _bytes_of(Footer(start, offsets_start, 0))[:-4]
        checksum = zlib.crc32(footer, zlib.crc32(content, checksum))
        self._file.write(footer + _LENGTH4.pack(checksum) + MAGIC)
        self._sync()
        self.close()

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _begin_chunk(self) -> None:
        self._parts: list[bytes | memoryview] = []
        self._size = 0
        self._start = self._end = 0
        self._messages: dict[int, list[tuple[int, int]]] = {}

    def _end_chunk(self) -> None:
        checksum = 0
        for part in self._parts:
            checksum = zlib.crc32(part, checksum)
        parts = self._parts
        if self._compression:
            parts = [_COMPRESSORS[self._compression](b''.join(parts))]
        name = self._compression.encode()
        packed = sum(len(part) for part in parts)
        offset = self._file.tell()
        length = _CHUNK.size + 4 + len(name) + 8 + packed
        self._file.write(_RECORD.pack(Opcode.CHUNK, length)
                         + _CHUNK.pack(self._start, self._end, self._size, checksum)
                         + _LENGTH4.pack(len(name)) + name + _LENGTH8.pack(packed))
        self._file.writelines(parts)
        index_start = self._file.tell()
        places = {}
        for number, entries in sorted(self._messages.items()):
            places[number] = self._file.tell()
            self._write(MessageIndex(number, entries))
        self._chunks.append(ChunkIndex(
            chunk_start_offset=offset, chunk_length=index_start - offset,
            message_start_time=self._start, message_end_time=self._end,
            message_index_offsets=places, message_index_length=self._file.tell() - index_start,
            compression=self._compression, compressed_size=packed, uncompressed_size=self._size))
        self._begin_chunk()

    def _recover(self) -> None:
        """Read the indices of what is in the file, and go to its end."""
        end = self._file.seek(0, os.SEEK_END)
        position = len(MAGIC)
        while position < end:
            self._file.seek(position)
            opcode, length = _RECORD.unpack(self._file.read(_RECORD.size))
            after = position + _RECORD.size + length
            if opcode == Opcode.CHUNK:
                first, last, size, _ = _CHUNK.unpack(self._file.read(_CHUNK.size))
                self._file.read(_LENGTH4.unpack(self._file.read(4))[0])
                self._chunks.append(ChunkIndex(
                    chunk_start_offset=position, chunk_length=after - position,
                    message_start_time=first, message_end_time=last, message_index_offsets={},
                    message_index_length=0, compression=self._compression,
                    compressed_size=_LENGTH8.unpack(self._file.read(8))[0],
                    uncompressed_size=size))
            elif opcode == Opcode.MESSAGE_INDEX:
                number, size = _INDEX.unpack(self._file.read(_INDEX.size))
                self._counts[number] += size // _INDEX_ENTRY
                self._chunks[-1].message_index_offsets[number] = position
                self._chunks[-1].message_index_length += after - position
            elif opcode == Opcode.ATTACHMENT:
                attachment = read_attachment(self._file.read(length))
                self._attachments.append(AttachmentIndex(
                    position, after - position, attachment.log_time, attachment.create_time,
                    len(attachment.data), attachment.name, attachment.media_type))
            elif opcode == Opcode.METADATA:
                name = read_metadata(self._file.read(length)).name
                self._metadata.append(MetadataIndex(position, after - position, name))
            position = after
        self._file.seek(end)
        if not self._chunks:
            self._parts.append(_bytes_of(*self._schemas, *self._channels))
            self._size = len(self._parts[0])

    def _statistics(self) -> Statistics:
        filled = [chunk for chunk in self._chunks if chunk.message_index_offsets]
        return Statistics(
            message_count=sum(self._counts.values()), schema_count=len(self._schemas),
            channel_count=len(self._channels), attachment_count=len(self._attachments),
            metadata_count=len(self._metadata), chunk_count=len(self._chunks),
            message_start_time=min((chunk.message_start_time for chunk in filled), default=0),
            message_end_time=max((chunk.message_end_time for chunk in filled), default=0),
            channel_message_counts=self._counts)

    def _write(self, record: McapRecord) -> int:
        content = _bytes_of(record)
        self._file.write(content)
        return len(content)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        # Nobody reads it soon: memory that is used again is faster to write to than more of it.
        os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _records_of(channels: Sequence[Channel]) -> tuple[list[Schema], list[McapChannel]]:
    schemas: dict[tuple[str, str, str], Schema] = {}
    records = []
    for number, channel in enumerate(channels, 1):
        schema_id = 0
        if channel.type:
            key = (channel.type, channel.definition_encoding, channel.definition)
            data = channel.definition.encode('utf-8', 'surrogateescape')
            schema_id = schemas.setdefault(key, Schema(
                len(schemas) + 1, data, channel.definition_encoding, channel.type)).id
        records.append(McapChannel(number, channel.topic, channel.encoding, _metadata_of(channel),
                                   schema_id))
    return list(schemas.values()), records


def _metadata_of(channel: Channel) -> dict[str, str]:
    metadata = dict(channel.metadata)
    if channel.encoding != ROS1:
        metadata.setdefault(QOS_KEY, channel.qos)
    if channel.encoding != ROS1 and channel.type_hash:
        metadata.setdefault(TYPE_HASH_KEY, channel.type_hash)
    return metadata


def _bytes_of(*records: McapRecord) -> bytes:
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return builder.end()


_COMPRESSORS = {
    'lz4': lz4.frame.compress,
    'zstd': lambda data: zstandard.ZstdCompressor().compress(data),
}
