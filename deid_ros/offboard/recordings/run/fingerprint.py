# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The files of an input: what they were, for the provenance and to know them again."""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

# Small enough to stay in a processor's cache between reading and hashing.
_BLOCK = 1 << 18


def fingerprint(files: Sequence[Path]) -> list[list[str | int]]:
    """Return name, size and time of change of each file: different when a file is another one."""
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]


class Hashes:
    """SHA-256 of files, computed beside other work."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = list(files)
        self._hashes: dict[str, str] = {}
        self._error: OSError | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='hashes', daemon=True)
        self._thread.start()

    def result(self) -> dict[str, str]:
        """Wait for the hashes and return them by file name.

        :raises OSError: a file cannot be read.
        """
        self._thread.join()
        if self._error:
            raise self._error
        return self._hashes

    def stop(self) -> None:
        """Do without the hashes."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            block = memoryview(bytearray(_BLOCK))
            for path in self._files:
                digest = hashlib.sha256()
                with path.open('rb', buffering=0) as file:
                    while not self._stopped.is_set() and (size := file.readinto(block)):
                        digest.update(block[:size])
                self._hashes[path.name] = digest.hexdigest()
        except OSError as error:
            self._error = error
