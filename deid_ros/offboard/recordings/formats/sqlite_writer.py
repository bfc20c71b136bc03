# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writes one sqlite3 file of rosbag2, and goes on with one whose writer was killed."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zstandard

from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.formats.recording import Channel, Compression, Message

# As rosbag2 has it since Iron; Humble reads it, too.
_TABLES = (
    'CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL)',
    'CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL, '
    'metadata TEXT NOT NULL)',
    'CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, '
    'serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL, '
    'type_description_hash TEXT NOT NULL)',
    'CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL, '
    'encoding TEXT NOT NULL, encoded_message_definition TEXT NOT NULL, '
    'type_description_hash TEXT NOT NULL)',
    'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, '
    'timestamp INTEGER NOT NULL, data BLOB NOT NULL)',
    'CREATE INDEX timestamp_idx ON messages (timestamp ASC)',
)
_SCHEMA_VERSION = 4


class SqliteFileWriter:
    """A sqlite3 file that is being written.

    :param compression: `message` with `zstd`, or none.
    :param state: of a file whose writer was killed, as `checkpoint` gave it; what was written
        after that is taken back.
    """

    suffix = '.db3'

    def __init__(self, path: Path, channels: Sequence[Channel], compression: Compression,
                 ros_distro: str, state: dict[str, int] | None = None) -> None:
        self._path = path
        self._compressor = zstandard.ZstdCompressor() if compression.mode == 'message' else None
        self._database = sqlite3.connect(path, isolation_level=None)
        self._rows = self.size = 0
        if state is None:
            for table in _TABLES:
                self._execute(table)
            self._execute('BEGIN')
            self._write_channels(channels, ros_distro)
        else:
            self._rows, self.size = state['rows'], state['size']
            self._execute('BEGIN')
            self._execute('DELETE FROM messages WHERE id > ?', self._rows)
            self._execute('DELETE FROM metadata')

    def write(self, message: Message) -> None:
        """Append a message; its channel is an index into the channels."""
        data = self._compressor.compress(message.data) if self._compressor else message.data
        self._rows += 1
        self.size += len(data)
        self._execute('INSERT INTO messages VALUES (?, ?, ?, ?)',
                      self._rows, message.channel + 1, message.log_time, data)

    def checkpoint(self) -> dict[str, int]:
        """Put everything on the disk; return what a later writer needs to go on from here."""
        self._execute('COMMIT')
        self._execute('BEGIN')
        return {'rows': self._rows, 'size': self.size}

    def finish(self, metadata: str, version: int) -> None:
        """End the file.

        :param metadata: the recording's, as YAML, of the given version.
        """
        self._execute('INSERT INTO metadata(metadata_version, metadata) VALUES (?, ?)',
                      version, metadata)
        self._execute('COMMIT')
        self.close()

    def close(self) -> None:
        """Close the file as it is."""
        self._database.close()

    def _execute(self, statement: str, *values: Any) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise BagError(f'{self._path} cannot be written: {error}. Nothing is finished; '
                           '--resume goes on once that is put right.') from error

    def _write_channels(self, channels: Sequence[Channel], ros_distro: str) -> None:
        self._execute('INSERT INTO schema VALUES (?, ?)', _SCHEMA_VERSION, ros_distro)
        types = set()
        for number, channel in enumerate(channels, 1):
            self._execute('INSERT INTO topics VALUES (?, ?, ?, ?, ?, ?)', number, channel.topic,
                          channel.type, channel.encoding, channel.qos, channel.type_hash)
            if channel.definition and channel.type not in types:
                types.add(channel.type)
                self._execute('INSERT INTO message_definitions VALUES (NULL, ?, ?, ?, ?)',
                              channel.type, channel.definition_encoding, channel.definition,
                              channel.type_hash)
