# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One mcap file, read record by record.

The records are those of https://mcap.dev/spec. The file is read from front to back, as it was
written, with one chunk in memory. Every length is checked against what there is, and every checksum
that the file has is compared.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.records import Attachment, Metadata, Schema, Statistics
from mcap.records import Channel as McapChannel

from deid_ros.offboard.recordings.errors import BagError, DamagedError
from deid_ros.offboard.recordings.formats.recording import Channel, Compression, Item, Message

MAGIC = b'\x89MCAP0\r\n'
#: Metadata that describes the recording as a whole: a new recording needs a new one.
ROSBAG2_METADATA = 'rosbag2'
QOS_KEY, TYPE_HASH_KEY = 'offered_qos_profiles', 'topic_type_hash'

_RECORD = struct.Struct('<BQ')  # opcode, length of the content
_MESSAGE = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time
_CHUNK = struct.Struct('<QQQI')  # first and last log time, size, checksum
_FOOTER = struct.Struct('<BQQQI')  # opcode, length; start of summary and of offsets; checksum
_LENGTH4, _LENGTH8 = struct.Struct('<I'), struct.Struct('<Q')

# What a chunk or a message of a flipped length could make the reader ask for.
_MOST_BYTES = 4 << 30


class McapFile:
    """An mcap file that is open for reading.

    :raises BagError: it cannot be opened.
    :raises DamagedError: its end or its summary is missing or wrong.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open('rb')
        except OSError as error:
            raise BagError(f'{path} cannot be opened: {error.strerror}.') from error
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._check_ends()
            self._read_channels()
        except _LIBRARY_ERRORS as error:
            self.close()
            raise self._damaged(f'its summary cannot be read ({error})') from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def items(self) -> Iterator[Item]:
        """Yield messages, attachments and metadata, in the order of the file."""
        counts = [0] * len(self.channels)
        for item in self._items():
            if isinstance(item, Message):
                counts[item.channel] += 1
            yield item
        if self._counts_are_known and counts != self.counts:
            raise self._damaged(f'it holds {sum(counts)} messages, its statistics say '
                                f'{sum(self.counts)}')

    def first(self, channel: int) -> Message | None:
        """Return the first message of a channel, found by the index of the file if it has one."""
        if not self.counts[channel]:
            return None
        wanted = self._ids[channel]
        for index in self._chunk_indexes:
            if wanted in index.message_index_offsets:
                self._file.seek(index.chunk_start_offset + _RECORD.size)
                content = self._file.read(index.chunk_length - _RECORD.size)
                for message in self._messages(memoryview(content)):
                    if message.channel == channel:
                        return message
        return next((item for item in self._items()
                     if isinstance(item, Message) and item.channel == channel), None)

    def _check_ends(self) -> None:
        magic = self._file.read(len(MAGIC))
        if magic != MAGIC:
            raise BagError(f'{self.path} is no mcap file.' if magic else f'{self.path} is empty.')
        end = _FOOTER.size + len(MAGIC)
        if self._size < len(MAGIC) + end:
            raise self._damaged('its end is missing')
        self._file.seek(-end, os.SEEK_END)
        tail = self._file.read(end)
        opcode, length, self._summary_start, _, checksum = _FOOTER.unpack(tail[:-len(MAGIC)])
        footer_start = self._size - end
        if tail[-len(MAGIC):] != MAGIC or opcode != Opcode.FOOTER or length != 20 or not (
                self._summary_start == 0 or len(MAGIC) < self._summary_start <= footer_start):
            raise self._damaged('its end is missing')
        if checksum and self._summary_start:
            self._file.seek(self._summary_start)
            summary = self._file.read(self._size - self._summary_start - len(MAGIC) - 4)
            if zlib.crc32(summary) != checksum:
                raise self._damaged('the checksum of its summary is wrong')
        self._data_end = self._summary_start or footer_start

    def _read_channels(self) -> None:
        self._file.seek(0)
        summary = SeekingReader(self._file).get_summary()
        statistics = summary.statistics if summary else None
        self._chunk_indexes = summary.chunk_indexes if summary else []
        self._counts_are_known = statistics is not None
        if (summary is None or statistics is None
                or len(summary.channels) != statistics.channel_count):
            schemas, channels, statistics, compression = self._scan()
        else:
            schemas, channels = summary.schemas, summary.channels
            compression = summary.chunk_indexes[0].compression if summary.chunk_indexes else ''
        self._ids = sorted(channels)
        self._indices = {number: index for index, number in enumerate(self._ids)}
        self.channels = [self._channel(channels[number], schemas) for number in self._ids]
        self.counts = [statistics.channel_message_counts.get(number, 0) for number in self._ids]
        self.start, self.end = statistics.message_start_time, statistics.message_end_time
        self.compression = Compression('chunk', compression) if compression else Compression()

    def _scan(self) -> tuple[dict[int, Schema], dict[int, McapChannel], Statistics, str]:
        """Return what the summary would tell, from the whole file."""
        schemas: dict[int, Schema] = {}
        channels: dict[int, McapChannel] = {}
        counts: dict[int, int] = {}
        times: list[int] = []
        compressions: list[str] = []

        def note(opcode: int, content: memoryview) -> None:
            if opcode == Opcode.SCHEMA:
                schema = Schema.read(_stream(content))
                schemas[schema.id] = schema
            elif opcode == Opcode.CHANNEL:
                channel = McapChannel.read(_stream(content))
                channels[channel.id] = channel
            elif opcode == Opcode.MESSAGE:
                number, _, log_time, _ = _MESSAGE.unpack_from(content)
                counts[number] = counts.get(number, 0) + 1
                times[:] = [min(times + [log_time]), max(times + [log_time])]

        for opcode, content in self._records():
            if opcode == Opcode.CHUNK:
                data, compression = self._open_chunk(content)
                compressions = compressions or [compression]
                for inner, inner_content in self._split(data):
                    note(inner, inner_content)
            else:
                note(opcode, content)
        start, end = times or (0, 0)
        return schemas, channels, Statistics(
            attachment_count=0, channel_count=len(channels), channel_message_counts=counts,
            chunk_count=0, message_count=sum(counts.values()), message_end_time=end,
            message_start_time=start, metadata_count=0, schema_count=len(schemas)), (
                compressions or [''])[0]

    def _channel(self, channel: McapChannel, schemas: dict[int, Schema]) -> Channel:
        schema = schemas.get(channel.schema_id)
        if schema is None and channel.schema_id:
            raise self._damaged(f'channel {channel.topic} has no schema {channel.schema_id}')
        name, encoding, text = '', '', ''
        if schema is not None:
            # Not only text: schemas of protobuf are bytes.
            name, encoding = schema.name, schema.encoding
            text = schema.data.decode('utf-8', 'surrogateescape')
        metadata = channel.metadata
        return Channel(channel.topic, name, channel.message_encoding, encoding, text,
                       metadata.get(TYPE_HASH_KEY, ''), metadata.get(QOS_KEY, ''),
                       tuple(metadata.items()))

    def _items(self) -> Iterator[Item]:
        for opcode, content in self._records():
            if opcode == Opcode.CHUNK:
                yield from self._messages(content)
            elif opcode == Opcode.MESSAGE:
                yield self._open_message(content)
            elif opcode == Opcode.ATTACHMENT:
                checksum, = _LENGTH4.unpack_from(content, len(content) - 4)
                if checksum and zlib.crc32(content[:-4]) != checksum:
                    raise self._damaged('the checksum of an attachment is wrong')
                yield self._parsed(Attachment.read, content)
            elif opcode == Opcode.METADATA:
                metadata = self._parsed(Metadata.read, content)
                if metadata.name != ROSBAG2_METADATA:
                    yield metadata

    def _messages(self, chunk: memoryview) -> Iterator[Message]:
        data, _ = self._open_chunk(chunk)
        for opcode, content in self._split(data):
            if opcode == Opcode.MESSAGE:
                yield self._open_message(content)

    def _records(self) -> Iterator[tuple[int, memoryview]]:
        """Yield opcode and content of the records of the data section."""
        file: BinaryIO = self._file
        file.seek(len(MAGIC))
        position, checksum = len(MAGIC), zlib.crc32(MAGIC)
        compares = self._data_checksum() != 0
        while position < self._data_end:
            head = file.read(_RECORD.size)
            if len(head) < _RECORD.size:
                raise self._damaged('it ends within a record')
            opcode, length = _RECORD.unpack(head)
            position += _RECORD.size + length
            if position > self._data_end or length > _MOST_BYTES:
                raise self._damaged(f'a record of {length} bytes reaches beyond its data')
            content = file.read(length)
            if len(content) < length:
                raise self._damaged('it ends within a record')
            if opcode == Opcode.DATA_END:
                if compares and checksum != self._data_checksum():
                    raise self._damaged('the checksum of its data is wrong')
                return
            if compares:
                checksum = zlib.crc32(content, zlib.crc32(head, checksum))
            yield opcode, memoryview(content)
        raise self._damaged('the end of its data is missing')

    def _data_checksum(self) -> int:
        """Return the checksum of the data section; 0 where the file has none."""
        position = self._file.tell()
        self._file.seek(self._data_end - _RECORD.size - 4)
        tail = self._file.read(_RECORD.size + 4)
        self._file.seek(position)
        opcode, length = _RECORD.unpack_from(tail)
        if opcode != Opcode.DATA_END or length != 4:
            raise self._damaged('the end of its data is missing')
        return int(_LENGTH4.unpack_from(tail, _RECORD.size)[0])

    def _open_chunk(self, content: memoryview) -> tuple[memoryview, str]:
        """Return the records of a chunk, and how it was compressed."""
        try:
            _, _, size, checksum = _CHUNK.unpack_from(content)
            position = _CHUNK.size + 4
            name_length, = _LENGTH4.unpack_from(content, _CHUNK.size)
            compression = str(content[position:position + name_length], 'utf-8')
            position += name_length
            length, = _LENGTH8.unpack_from(content, position)
        except (struct.error, UnicodeDecodeError) as error:
            raise self._damaged('the head of a chunk is wrong') from error
        packed = content[position + 8:]
        if len(packed) != length or size > _MOST_BYTES:
            raise self._damaged('the size of a chunk is wrong')
        if compression not in _DECOMPRESSORS:
            raise BagError(f'{self.path}: a chunk is compressed by {compression!r}, known are '
                           'lz4 and zstd.')
        try:
            data = _DECOMPRESSORS[compression](packed, size)
        except (RuntimeError, zstandard.ZstdError, MemoryError) as error:
            raise self._damaged(f'a chunk cannot be decompressed ({error})') from error
        if len(data) != size or (checksum and zlib.crc32(data) != checksum):
            raise self._damaged('the checksum of a chunk is wrong')
        return memoryview(data), compression

    def _split(self, records: memoryview) -> Iterator[tuple[int, memoryview]]:
        position, end = 0, len(records)
        while position < end:
            if end - position < _RECORD.size:
                raise self._damaged('a chunk ends within a record')
            opcode, length = _RECORD.unpack_from(records, position)
            start = position + _RECORD.size
            position = start + length
            if position > end:
                raise self._damaged('a record reaches beyond its chunk')
            yield opcode, records[start:position]

    def _open_message(self, content: memoryview) -> Message:
        if len(content) < _MESSAGE.size:
            raise self._damaged('a message is too short')
        number, sequence, log_time, publish_time = _MESSAGE.unpack_from(content)
        index = self._indices.get(number)
        if index is None:
            raise self._damaged(f'a message is of channel {number}, which there is not')
        return Message(index, log_time, publish_time, sequence, content[_MESSAGE.size:])

    def _parsed(self, read: Callable[[ReadDataStream], Any], content: memoryview) -> Any:
        try:
            return read(_stream(content))
        except _LIBRARY_ERRORS as error:
            raise self._damaged(f'a record cannot be read ({error})') from error

    def _damaged(self, what: str) -> DamagedError:
        return DamagedError(f'{self.path} is damaged: {what}. `mcap recover` saves what can be '
                            'saved into a new file.')


def read_attachment(content: bytes) -> Attachment:
    """Return the attachment in the content of a record."""
    return Attachment.read(_stream(memoryview(content)))


def read_metadata(content: bytes) -> Metadata:
    """Return the metadata in the content of a record."""
    return Metadata.read(_stream(memoryview(content)))


#: What the mcap package raises where bytes are not what they should be.
_LIBRARY_ERRORS = (McapError, struct.error, UnicodeDecodeError, ValueError, KeyError, EOFError)


def _stream(content: memoryview) -> ReadDataStream:
    return ReadDataStream(BytesIO(content))


def _zstd(packed: memoryview, size: int) -> bytes:
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=size)


_DECOMPRESSORS: dict[str, Callable[[memoryview, int], bytes | memoryview]] = {
    '': lambda packed, size: packed,
    'lz4': lambda packed, size: lz4.frame.decompress(packed),
    'zstd': _zstd,
}
