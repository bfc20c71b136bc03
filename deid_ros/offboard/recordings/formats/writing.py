# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writes recordings: the files of a split one, and what `ros2 bag info` reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml
from mcap.records import Attachment, Metadata

from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.formats.mcap_writer import McapFileWriter
from deid_ros.offboard.recordings.formats.reading import METADATA_FILE
from deid_ros.offboard.recordings.formats.recording import CDR, ROS1, Channel, Compression, Message
from deid_ros.offboard.recordings.formats.ros1_writer import Ros1FileWriter
from deid_ros.offboard.recordings.formats.sqlite_writer import SqliteFileWriter

#: Compressions that each storage can write, the default of each mode first.
COMPRESSIONS: dict[str, tuple[Compression, ...]] = {
    'mcap': (Compression(), Compression('chunk', 'zstd'), Compression('chunk', 'lz4')),
    'sqlite3': (Compression(), Compression('message', 'zstd')),
    'ros1': (Compression(), Compression('chunk', 'lz4'), Compression('chunk', 'bz2')),
}
#: Name of the provenance in an mcap file's metadata and in metadata.yaml's custom data.
PROVENANCE = 'deid_ros'
# Of metadata.yaml: the oldest and the newest with QoS profiles as text.
_OLDEST_VERSION, _LAST_WITH_TEXT = 5, 8

_FileWriter: TypeAlias = McapFileWriter | SqliteFileWriter | Ros1FileWriter


class Target(NamedTuple):
    """What kind of recording to write."""

    storage: str
    compression: Compression = Compression()
    #: Bytes after which another file begins; 0 for never.
    split_size: int = 0
    #: Of metadata.yaml; 0 for the one that fits the QoS profiles.
    version: int = 0
    ros_distro: str = ''


class RecordingWriter:
    """A recording that is being written into a folder of its own.

    :param folder: where the files go; it is there.
    :param name: what the files are named after.
    :param channels: all that the recording may hold.
    :param state: of a recording whose writer was killed, as `checkpoint` gave it.
    :raises BagError: the channels cannot be kept in such a recording.
    """

    def __init__(self, folder: Path, name: str, channels: Sequence[Channel], target: Target,
                 state: dict[str, Any] | None = None) -> None:
        self._folder, self._name = folder, name
        self._channels, self._target = list(channels), target
        self._check()
        self._version = target.version or _fitting_version(channels)
        self._files: list[dict[str, Any]] = list(state['files']) if state else []
        self._delete_surplus()
        self._file = self._open(state['file']) if state else self._next_file()

    def write(self, message: Message) -> None:
        """Append a message; its channel is an index into the channels."""
        self._file.write(message)
        entry, time = self._files[-1], message.log_time
        entry['start'] = time if entry['start'] is None else min(entry['start'], time)
        entry['end'] = time if entry['end'] is None else max(entry['end'], time)
        entry['counts'][message.channel] += 1
        if 0 < self._target.split_size <= self._file.size:
            self._finish_file()
            self._file = self._next_file()

    def write_extra(self, record: Attachment | Metadata) -> None:
        """Append an attachment or metadata of an mcap recording to one."""
        assert isinstance(self._file, McapFileWriter)
        self._file.write_extra(record)

    def checkpoint(self) -> dict[str, Any] | None:
        """Return what a later writer needs to go on from here; None where it could not."""
        state = self._file.checkpoint()
        if state is None:
            return None
        return {'file': state, 'files': self._files}

    def finish(self, provenance: dict[str, Any], custom_data: dict[str, str]) -> None:
        """End the recording.

        :param provenance: how it came about, as JSON can hold it.
        :param custom_data: other entries for `metadata.yaml`.
        """
        custom = {**custom_data, PROVENANCE: json.dumps(provenance)}
        if isinstance(self._file, McapFileWriter):
            self._file.write_extra(Metadata(PROVENANCE, {
                key: value if isinstance(value, str) else json.dumps(value)
                for key, value in provenance.items()}))
        self._finish_file(custom)
        if self._target.storage != 'ros1':
            content = {'rosbag2_bagfile_information': self._metadata(self._files, custom)}
            (self._folder / METADATA_FILE).write_text(_yaml(content), encoding='utf-8')

    def close(self) -> None:
        """Close the files as they are."""
        self._file.close()

    def _check(self) -> None:
        storage, wanted = self._target.storage, ROS1 if self._target.storage == 'ros1' else CDR
        if storage == 'mcap':  # It holds anything.
            return
        for channel in self._channels:
            if channel.encoding != wanted:
                raise BagError(f'{channel.topic} has messages encoded as {channel.encoding}; a '
                               f'{storage} recording holds {wanted} only. Write mcap, or leave it '
                               f'out by --exclude.')

    def _delete_surplus(self) -> None:
        """Delete what was written after the checkpoint, by a writer that was killed."""
        names = {entry['path'] for entry in self._files}
        for suffix in ('.mcap', '.db3', '.db3-journal', '.bag', '.bag.killed'):
            for path in self._folder.glob(f'*{suffix}'):
                if path.name.removesuffix('-journal').removesuffix('.killed') not in names:
                    path.unlink()

    def _next_file(self) -> _FileWriter:
        self._files.append({'path': self._file_path(len(self._files)).name,
                            'start': None, 'end': None,
                            'counts': [0] * len(self._channels)})
        return self._open(None)

    def _open(self, state: dict[str, int] | None) -> _FileWriter:
        path = self._folder / self._files[-1]['path']
        compression = self._target.compression
        if self._target.storage == 'mcap':
            return McapFileWriter(path, self._channels, compression, state)
        if self._target.storage == 'ros1':
            return Ros1FileWriter(path, self._channels, compression, state)
        return SqliteFileWriter(path, self._channels, compression, self._target.ros_distro, state)

    def _file_path(self, number: int = 0) -> Path:
        if self._target.storage == 'ros1':
            return self._folder / f'{self._name}.bag'
        suffix = '.mcap' if self._target.storage == 'mcap' else '.db3'
        return self._folder / f'{self._name}_{number}{suffix}'

    def _finish_file(self, custom_data: dict[str, str] | None = None) -> None:
        text = _yaml(self._metadata(self._files[-1:], custom_data or {}))
        if isinstance(self._file, McapFileWriter):
            self._file.finish(text)
        elif isinstance(self._file, SqliteFileWriter):
            self._file.finish(text, self._version)
        else:
            self._file.finish()

    def _metadata(self, files: list[dict[str, Any]], custom_data: dict[str, str]
                  ) -> dict[str, Any]:
        spans = [_span(entry) for entry in files if sum(entry['counts'])]
        start = min((start for start, _ in spans), default=0)
        end = max((end for _, end in spans), default=0)
        counts = [sum(column) for column in zip(*(entry['counts'] for entry in files),
                                                strict=True)]
        compression = self._target.compression
        is_known = compression.mode == 'message'  # Chunks are the storage's own business.
        return {
            'version': self._version,
            'storage_identifier': self._target.storage,
            'duration': {'nanoseconds': end - start},
            'starting_time': {'nanoseconds_since_epoch': start},
            'message_count': sum(counts),
            'topics_with_message_count': [
                {'topic_metadata': {
                    'name': channel.topic, 'type': channel.type,
                    'serialization_format': channel.encoding,
                    'offered_qos_profiles': _qos(channel.qos, self._version),
                    'type_description_hash': channel.type_hash},
                 'message_count': count}
                for channel, count in zip(self._channels, counts, strict=True)],
            'compression_format': compression.format if is_known else '',
            'compression_mode': compression.mode.upper() if is_known else '',
            'relative_file_paths': [entry['path'] for entry in files],
            'files': [_file_information(entry) for entry in files],
            'custom_data': custom_data,
            'ros_distro': self._target.ros_distro,
        }


def _span(entry: dict[str, Any]) -> tuple[int, int]:
    return entry['start'] or 0, entry['end'] or 0


def _file_information(entry: dict[str, Any]) -> dict[str, Any]:
    start, end = _span(entry)
    return {'path': entry['path'], 'starting_time': {'nanoseconds_since_epoch': start},
            'duration': {'nanoseconds': end - start}, 'message_count': sum(entry['counts'])}


def _fitting_version(channels: Sequence[Channel]) -> int:
    """Return the version of metadata.yaml whose QoS profiles look like those of the channels."""
    for channel in channels:
        profiles = yaml.safe_load(channel.qos) if channel.qos else None
        if profiles:
            return _LAST_WITH_TEXT + isinstance(profiles[0].get('history'), str)
    return _LAST_WITH_TEXT


def _qos(text: str, version: int) -> Any:
    """Return QoS profiles as `metadata.yaml` of that version has them: as text, or as a list."""
    return text if version <= _LAST_WITH_TEXT else (yaml.safe_load(text) if text else []) or []


def _yaml(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1 << 20)


def version_like(version: int) -> int:
    """Return the version to write for a recording of `version`; 0 where it has none."""
    return max(version, _OLDEST_VERSION) if version else 0
