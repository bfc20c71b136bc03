# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One sqlite3 file of rosbag2, row by row.

Not by way of rosbags: its readers give QoS profiles as objects, whose text is lost.
"""

import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deid_ros.offboard.recordings.errors import BagError, DamagedError
from deid_ros.offboard.recordings.formats.recording import Channel, Compression, Item, Message


class SqliteFile:
    """A sqlite3 file that is open for reading.

    :raises BagError: it cannot be opened, or it was not closed by its recorder.
    :raises DamagedError: it is cut, or no recording.
    """

    compression = Compression()

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise BagError(f'{path} cannot be opened: there is no such file.')
        if path.with_name(path.name + '-wal').exists():
            raise BagError(f'{path} was not closed by its recorder. Run: sqlite3 {path.name} '
                           "'PRAGMA wal_checkpoint(TRUNCATE)'")
        # Immutable: nothing is written beside the recording, not even a lock.
        name = urllib.parse.quote(str(path.resolve()))
        self._database = sqlite3.connect(f'file:{name}?mode=ro&immutable=1', uri=True)
        try:
            self._read_channels()
        except sqlite3.Error as error:
            self.close()
            raise self._damaged(error) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def items(self) -> Iterator[Item]:
        """Yield the messages in the order in which they were written."""
        yield from self._messages('ORDER BY id')

    def first(self, channel: int) -> Message | None:
        """Return the first message of a channel."""
        return next(self._messages('WHERE topic_id = ? ORDER BY id LIMIT 1', self._ids[channel]),
                    None)

    def _messages(self, clause: str, *values: int) -> Iterator[Message]:
        rows = self._database.execute(
            f'SELECT topic_id, timestamp, data FROM messages {clause}', values)
        try:
            for number, time, data in rows:
                if number not in self._indices:
                    raise self._damaged(f'a message is of topic {number}, which there is not')
                if not isinstance(data, bytes):
                    raise self._damaged(f'a message is no bytes but {type(data).__name__}')
                yield Message(self._indices[number], time, time, 0, data)
        except sqlite3.Error as error:
            raise self._damaged(error) from error

    def _read_channels(self) -> None:
        pages, = self._database.execute('PRAGMA page_count').fetchone()
        size, = self._database.execute('PRAGMA page_size').fetchone()
        if self.path.stat().st_size < pages * size:
            raise self._damaged('its end is missing')
        columns = {row[1] for row in self._database.execute('PRAGMA table_info(topics)')}
        tables = {row[0] for row in self._database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {'topics', 'messages'} <= tables:
            raise BagError(f'{self.path} is no recording: it has no tables of topics and messages.')
        definitions: dict[str, tuple[str, str]] = {}
        if 'message_definitions' in tables:
            for name, encoding, text in self._database.execute(
                    'SELECT topic_type, encoding, encoded_message_definition '
                    'FROM message_definitions ORDER BY id'):
                definitions.setdefault(name, (encoding, text))
        # Older recorders did not write these.
        qos = 'offered_qos_profiles' if 'offered_qos_profiles' in columns else "''"
        type_hash = 'type_description_hash' if 'type_description_hash' in columns else "''"
        rows = self._database.execute('SELECT id, name, type, serialization_format, '
                                      f'{type_hash}, {qos} FROM topics ORDER BY id').fetchall()
        counts = dict(self._database.execute(
            'SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id'))
        self._ids = [row[0] for row in rows]
        self._indices = {number: index for index, number in enumerate(self._ids)}
        self.channels = []
        for _, name, kind, encoding, digest, profiles in rows:
            # Recorders write `unknown` or nothing where they found no definition.
            definition_encoding, text = definitions.get(kind, ('', ''))
            if definition_encoding not in ('ros2msg', 'ros2idl') or not text:
                definition_encoding, text = '', ''
            self.channels.append(Channel(name, kind, encoding, definition_encoding, text,
                                         digest, profiles))
        self.counts = [counts.get(number, 0) for number in self._ids]
        start, end = self._database.execute(
            'SELECT MIN(timestamp), MAX(timestamp) FROM messages').fetchone()
        self.start, self.end = start or 0, end or 0

    def _damaged(self, what: object) -> DamagedError:
        with suppress(sqlite3.Error):
            self._database.interrupt()
        return DamagedError(f'{self.path} is damaged: {what}. `sqlite3 {self.path.name} .recover` '
                            'saves what can be saved.')
