# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Memory that two processes share, for frames that are too large to be sent through a pipe."""

import mmap
import os
from pathlib import Path


class Slot:
    """One end of the memory: it holds what was put last, by either end.

    It is a file that both have mapped, so that it works everywhere. Its room is taken before it is
    used: a full disk is an `OSError`, not a signal.

    :param path: of the file, which is made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._map: mmap.mmap | None = None

    def put(self, data: bytes | memoryview) -> int:
        """Put something in; return its length, which the other end needs to get it."""
        size = len(data)
        if size > os.fstat(self._file).st_size:
            os.posix_fallocate(self._file, 0, size)
        self._mapped(size)[:size] = data
        return size

    def get(self, size: int) -> memoryview:
        """Return what the other end put in; it stays as it is until either puts something in."""
        return self._mapped(size)[:size]

    def close(self) -> None:
        """Let go of the memory, once nobody looks at it any more."""
        os.close(self._file)
        self._map = None

    def _mapped(self, size: int) -> memoryview:
        if size and (self._map is None or len(self._map) < size):
            # Views of the old map keep it as long as they need it.
            self._map = mmap.mmap(self._file, 0)
        return memoryview(self._map) if self._map is not None else memoryview(bytearray())
