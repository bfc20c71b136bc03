# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Opens recordings: one file, or the several files of a split one, as one stream."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import lz4.frame
import yaml
import zstandard

from deid_ros.offboard.recordings.errors import BagError, DamagedError
from deid_ros.offboard.recordings.formats.image_folder import ImageFolder
from deid_ros.offboard.recordings.formats.mcap_file import McapFile
from deid_ros.offboard.recordings.formats.recording import (
    Channel,
    Compression,
    Item,
    Message,
    Recording,
)
from deid_ros.offboard.recordings.formats.ros1_file import Ros1File
from deid_ros.offboard.recordings.formats.sqlite_file import SqliteFile
from deid_ros.offboard.recordings.formats.video import CODECS, VideoFile

METADATA_FILE = 'metadata.yaml'
#: The newest version of metadata.yaml that is known.
NEWEST_VERSION = 9
_UNCOMPRESSED = Compression()
# Of whole files or single messages: zstd as rosbag2 brings it, lz4 as plugins do.
_FORMATS = ('zstd', 'lz4')
# What zstandard and lz4 raise where bytes are not what they should be.
_LIBRARY_ERRORS = (zstandard.ZstdError, RuntimeError, EOFError)
_SUFFIXES = {'.mcap': 'mcap', '.db3': 'sqlite3', '.bag': 'ros1'}


class StorageFile(Protocol):
    """One file of a recording."""

    channels: list[Channel]
    counts: list[int]
    start: int
    end: int
    compression: Compression

    def items(self) -> Iterator[Item]:
        """Yield everything in the file."""

    def first(self, channel: int) -> Message | None:
        """Return the first message of a channel."""

    def close(self) -> None:
        """Close the file."""


_STORAGES: dict[str, Callable[[Path], StorageFile]] = {
    'mcap': McapFile, 'sqlite3': SqliteFile, 'ros1': Ros1File}


def open_recording(path: Path) -> Recording:
    """Open a recording.

    :param path: a rosbag2 folder, a folder of ROS 1 bags, or one `.mcap`, `.db3` or `.bag` file;
        or a folder of images, or a video.
    :raises BagError: it is none, or cannot be read; the message says what to do.
    """
    if not path.exists():
        raise BagError(f'{path} does not exist.')
    if path.is_file():
        if path.suffix.lower() in CODECS:
            return VideoFile(path)
        storage = _SUFFIXES.get(path.suffix)
        if storage is None:
            raise BagError(f'{path} is no recording: known are {", ".join(_SUFFIXES)} files, '
                           f'videos ({", ".join(CODECS)}), and folders with a metadata.yaml or '
                           'images.')
        return _Files(storage, [path])
    if (path / METADATA_FILE).exists():
        return _rosbag2(path)
    bags = sorted(path.glob('*.bag'))
    if bags:
        return _Files('ros1', bags)
    if any(path.glob('*.mcap')) or any(path.glob('*.db3')):
        raise BagError(f'{path} holds no {METADATA_FILE}. Run: ros2 bag reindex {path}')
    return ImageFolder(path)


def _rosbag2(path: Path) -> Recording:
    try:
        content = yaml.safe_load((path / METADATA_FILE).read_text(encoding='utf-8'))
        metadata = content['rosbag2_bagfile_information']
        version = int(metadata['version'])
        storage = metadata['storage_identifier']
        # Older versions give paths from somewhere else.
        files = [path / Path(name).name for name in metadata['relative_file_paths']]
        compression = Compression((metadata.get('compression_mode') or '').lower(),
                                  (metadata.get('compression_format') or '').lower())
        topics = [entry['topic_metadata'] for entry in metadata['topics_with_message_count']]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, UnicodeError) as error:
        raise DamagedError(f'{path / METADATA_FILE} cannot be read ({error}). Run: ros2 bag '
                           f'reindex {path}') from error
    if version > NEWEST_VERSION:
        raise BagError(f'{path / METADATA_FILE} has version {version}; known are those up to '
                       f'{NEWEST_VERSION}.')
    if storage not in ('mcap', 'sqlite3'):
        raise BagError(f'{path} has the storage {storage!r}; known are mcap and sqlite3.')
    if compression.mode in ('', 'none'):
        compression = _UNCOMPRESSED
    elif compression.format not in _FORMATS or compression.mode not in ('file', 'message'):
        raise BagError(f'{path} is compressed by {compression.format!r} in mode '
                       f'{compression.mode!r}; known are {" and ".join(_FORMATS)} in the modes '
                       'file and message.')
    recording = _Files(storage, files, compression, topics)
    recording.version = version
    recording.ros_distro = metadata.get('ros_distro') or ''
    recording.custom_data = {str(key): str(value)
                             for key, value in (metadata.get('custom_data') or {}).items()}
    return recording


class _Files(Recording):
    """The files of one recording, one after the other; two are never open at once.

    A compressed file is unpacked into the folder for temporary files. It loses its name there as
    soon as it is open, so that a kill later leaves no untreated image behind.
    """

    def __init__(self, storage: str, files: list[Path], compression: Compression = _UNCOMPRESSED,
                 topics: list[dict[str, Any]] | None = None) -> None:
        self.storage = storage
        self.files = files
        self.compression = compression
        self._topics = {topic['name']: topic for topic in topics or []}
        self._part: tuple[Path, StorageFile] | None = None
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._close_part()

    def items(self) -> Iterator[Item]:
        for file in self.files:
            part = self._open(file)
            indices = [self._indices[self._named(channel)] for channel in part.channels]
            for item in part.items():
                yield self._moved(item, indices) if isinstance(item, Message) else item

    def first(self, channel: int) -> Message | None:
        for file in self.files:
            part = self._open(file)
            for index, own in enumerate(part.channels):
                if self._indices[self._named(own)] != channel:
                    continue
                message = part.first(index)
                if message is not None:
                    return self._moved(message, {index: channel})
        return None

    def _look(self) -> None:
        """Collect the channels of all files; the same one in several files counts once."""
        self.channels, self.counts = [], []
        self._indices: dict[Channel, int] = {}
        spans = []
        for file in self.files:
            part = self._open(file)
            for channel, count in zip(part.channels, part.counts, strict=True):
                channel = self._named(channel)
                if channel not in self._indices:
                    self._indices[channel] = len(self.channels)
                    self.channels.append(channel)
                    self.counts.append(0)
                self.counts[self._indices[channel]] += count
            if any(part.counts):
                spans.append((part.start, part.end, file))
            if not self.compression.mode:
                self.compression = part.compression
        if spans:
            self.start = min(start for start, _, _ in spans)
            self.end = max(end for _, end, _ in spans)
        if self.storage == 'ros1' and len(self.files) > 1:
            starts = {file: start for start, _, file in spans}
            self.files = sorted(self.files, key=lambda file: (starts.get(file, 0), file.name))

    def _named(self, channel: Channel) -> Channel:
        """Return the channel with what only metadata.yaml knows of it."""
        topic = self._topics.get(channel.topic)
        if topic is None or topic.get('type') != channel.type:
            return channel
        type_hash = channel.type_hash or topic.get('type_description_hash') or ''
        return channel._replace(type_hash=type_hash)

    def _moved(self, message: Message, indices: Any) -> Message:
        data = message.data
        if self.compression.mode == 'message':
            data = _DECOMPRESSORS[self.compression.format](data)
        return message._replace(channel=indices[message.channel], data=data)

    def _open(self, file: Path) -> StorageFile:
        """Return a file, open; it is closed when another one is opened."""
        if self._part and self._part[0] == file:
            return self._part[1]
        self._close_part()
        if not file.is_file():
            raise BagError(f'{file} is missing, which the recording says is a part of it.')
        part = (self._unpacked(file) if self.compression.mode == 'file'
                else _STORAGES[self.storage](file))
        self._part = file, part
        return part

    def _close_part(self) -> None:
        if self._part:
            self._part[1].close()
            self._part = None

    def _unpacked(self, file: Path) -> StorageFile:
        # Gone with the folder as soon as it is open: see the class.
        with tempfile.TemporaryDirectory(prefix='anonymize_bag-') as folder:
            target = Path(folder) / file.stem
            try:
                with file.open('rb') as packed, target.open('xb') as unpacked:
                    if self.compression.format == 'lz4':
                        with lz4.frame.open(packed) as stream:
                            shutil.copyfileobj(stream, unpacked)
                    else:
                        zstandard.ZstdDecompressor().copy_stream(packed, unpacked)
                return _STORAGES[self.storage](target)
            except _LIBRARY_ERRORS as error:
                raise DamagedError(f'{file} is damaged: it cannot be decompressed ({error}).'
                                   ) from error


def _decompressed(decompressor: Any, data: bytes | memoryview) -> bytes:
    try:
        result: bytes = decompressor.decompress(data)
    except _LIBRARY_ERRORS as error:
        raise DamagedError(f'A message cannot be decompressed ({error}).') from error
    if not decompressor.eof:
        raise DamagedError('A message cannot be decompressed (its end is missing).')
    return result


_DECOMPRESSORS: dict[str, Callable[[bytes | memoryview], bytes]] = {
    'zstd': lambda data: _decompressed(zstandard.ZstdDecompressor().decompressobj(), data),
    'lz4': lambda data: _decompressed(lz4.frame.LZ4FrameDecompressor(), data),
}
