# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One thread that works on the newest frame of each camera."""

import threading
import time
from collections import OrderedDict
from typing import Any, Callable, Hashable, Optional


class NewestFrameWorker:
    """Hands frames to `handle(key, frame)`, one at a time, on a thread of its own.

    Each key has one waiting slot, in which a newer frame takes the place of an older one; so the
    wait is bounded however slow `handle` is. Keys take turns. `handle` must not raise.
    """

    def __init__(self, handle: Callable[[Any, Any], None]) -> None:
        self._handle = handle
        self._slots = OrderedDict()  # type: OrderedDict
        self._changed = threading.Condition()
        self._stopping = False
        self._busy_since: Optional[float] = None
        self._thread = threading.Thread(target=self._run, name='deid_worker', daemon=True)
        self._thread.start()

    def offer(self, key: Hashable, frame: Any) -> bool:
        """Let a frame wait for its turn; return whether an older one was superseded by it."""
        with self._changed:
            superseded = key in self._slots
            self._slots[key] = frame  # A key that waits already keeps its place in the queue.
            self._changed.notify()
            return superseded

    def stop(self, timeout: float) -> bool:
        """Finish the frame at work, drop those that wait, end the thread.

        :param timeout: seconds to wait for the frame at work.
        :returns: whether the thread has ended; if not, `handle` hangs.
        """
        with self._changed:
            self._stopping = True
            self._slots.clear()
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def busy_seconds(self) -> float:
        """How long the frame at work has been at work; 0 while idle."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy_since = None
                while not self._slots and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                key, frame = self._slots.popitem(last=False)
                self._busy_since = time.monotonic()
            self._handle(key, frame)
