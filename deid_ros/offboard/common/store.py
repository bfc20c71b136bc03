# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A cache on disk of the results of dlib's networks, by the hash of a face's pixels.

It is one SQLite file, which several runs can use at the same time. Results are written in
transactions of a few faces, so a run that is stopped loses no more than these.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

_FILE = 'measurements.sqlite'
_LOCK_TIMEOUT = 60.0  # seconds
_CHUNK = 500  # values in one query; SQLite allows 999


class Store:
    """A table of arrays by kind and face.

    :param folder: of the file, which is made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / _FILE, timeout=_LOCK_TIMEOUT)
        with self._database:
            # So readers do not wait for writers.
            self._database.execute('PRAGMA journal_mode=WAL')
            self._database.execute('CREATE TABLE IF NOT EXISTS measurements (kind TEXT, face BLOB, '
                                   'value BLOB, PRIMARY KEY (kind, face)) WITHOUT ROWID')

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def get(self, kind: str, faces: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Return the stored results, (K,) float32 by key (see `face_key`)."""
        found: dict[bytes, np.ndarray] = {}
        for start in range(0, len(faces), _CHUNK):
            keys = faces[start:start + _CHUNK]
            rows = self._database.execute(
                'SELECT face, value FROM measurements WHERE kind = ? AND face IN '
                f'({",".join("?" * len(keys))})', [kind, *keys])
            found.update((face, np.frombuffer(value, np.float32)) for face, value in rows)
        return found

    def put(self, kind: str, entries: Iterable[tuple[bytes, np.ndarray]]) -> None:
        """Store (K,) float32 arrays by key in one transaction."""
        with self._database:
            self._database.executemany(
                'INSERT OR REPLACE INTO measurements VALUES (?, ?, ?)',
                [(kind, face, np.asarray(value, np.float32).tobytes()) for face, value in entries])


def face_key(face: np.ndarray) -> bytes:
    """Return the hash of a face's pixels and shape."""
    return hashlib.sha256(repr((face.shape, face.dtype.str)).encode() + face.tobytes()).digest()
