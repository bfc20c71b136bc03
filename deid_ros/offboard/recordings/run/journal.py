# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a run has done so far, on the disk: for going on after a kill, and for the report.

One line of JSON for each frame, in the order in which frames were written, and one for each
checkpoint: a moment at which all that precedes it in the recording is safely on the disk.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from deid_ros.offboard.recordings.errors import BagError

HEAD, FRAME, LEFT_OUT, CHECKPOINT = 'head', 'frame', 'left_out', 'checkpoint'


class Journal:
    """A journal that is being written.

    :param path: of a journal to go on with, or of a new one.
    :param head: what the run is about; a run can only go on with a journal of the same.
    :raises BagError: the journal there is about another run.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self._path = path
        #: Of the last checkpoint, None if there was none.
        self.state: dict[str, Any] | None = None
        path.touch()
        end = self._last_checkpoint(head)
        self._file = path.open('r+b')
        self._file.truncate(end)
        self._file.seek(end)
        if not end:
            self._write(HEAD, head)
            self._sync()

    def frame(self, entry: dict[str, Any]) -> None:
        """Note what became of a frame."""
        self._write(FRAME, entry)

    def left_out(self, name: str, reason: str) -> None:
        """Note something that is not in the new recording."""
        self._write(LEFT_OUT, {'name': name, 'reason': reason})

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Note that all until now is on the disk."""
        self._write(CHECKPOINT, state)
        self._sync()

    def entries(self, kind: str) -> Iterator[dict[str, Any]]:
        """Yield all entries of a kind, from the first on."""
        self._file.flush()
        with self._path.open('rb') as file:
            for line in file:
                entry = json.loads(line)
                if kind in entry:
                    yield entry[kind]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _last_checkpoint(self, head: dict[str, Any]) -> int:
        """Return where in the file the last checkpoint ends, 0 if there is none."""
        position = end = 0
        with self._path.open('rb') as file:
            for number, line in enumerate(file):
                position += len(line)
                entry = None
                with suppress(ValueError):  # The last line, if the kill cut it.
                    entry = json.loads(line) if line.endswith(b'\n') else None
                if entry is None:
                    break
                if number == 0:
                    _check_same(entry.get(HEAD, {}), head)
                if CHECKPOINT in entry:
                    end, self.state = position, entry[CHECKPOINT]
        return end

    def _write(self, kind: str, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps({kind: entry}).encode() + b'\n')

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


def _check_same(before: dict[str, Any], now: dict[str, Any]) -> None:
    now = json.loads(json.dumps(now))
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise BagError(f'--resume: the unfinished run had another {key}. Give the same options '
                           'and input as for that run, or delete it and start anew.')
