# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Memory that two processes share, for frames that are too large to be sent through a pipe."""

import mmap
import os
from multiprocessing import reduction
from typing import Any


class SharedBuffer:
    """Memory into which one process puts something and from which another gets it.

    It is a file without a name, in memory alone, which both have mapped: however the processes end,
    nothing of the frames in it is left behind. Its room is taken before it is used, so that a lack
    of memory is an `OSError` and not a signal.

    It can be an argument of a process that is spawned.

    :param file: the descriptor of the memory; None for new one.
    """

    def __init__(self, file: int | None = None) -> None:
        self._file = os.memfd_create('frame') if file is None else file
        self._map: mmap.mmap | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self._file),)

    def put(self, *parts: bytes | memoryview) -> int:
        """Put parts in, one after the other; return their length, with which to get them."""
        size = sum(len(part) for part in parts)
        if size > os.fstat(self._file).st_size:
            os.posix_fallocate(self._file, 0, size)
        memory, end = self._mapped(size), 0
        for part in parts:
            start, end = end, end + len(part)
            memory[start:end] = part
        return size

    def get(self, size: int) -> memoryview:
        """Return what was put in; it stays as it is until the next thing is put in."""
        return self._mapped(size)[:size].toreadonly()

    def close(self) -> None:
        """Let go of the memory, once nobody looks at it any more."""
        os.close(self._file)
        self._map = None

    def _mapped(self, size: int) -> memoryview:
        if size and (self._map is None or len(self._map) < size):
            # Views of the old map keep it as long as they need it.
            self._map = mmap.mmap(self._file, 0)
        return memoryview(self._map) if self._map is not None else memoryview(bytearray())


def _received(file: Any) -> SharedBuffer:
    return SharedBuffer(file.detach())
