# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Counters of one camera, written by the node's threads and read once a second."""

import threading
import time
from collections import Counter, deque
from typing import Deque, Dict, NamedTuple

import numpy as np

# Frames over which latencies are measured.
_WINDOW = 300


class Summary(NamedTuple):
    """What happened to one camera: totals since activation, and what is new in this period."""

    totals: Dict[str, int]
    new: Dict[str, int]
    seconds: float
    #: Milliseconds from arrival to publishing; NaN before the first frame.
    latency_p50: float
    latency_p95: float
    #: Seconds since a frame arrived, infinity before the first.
    seconds_since_arrival: float


class CameraStatistics:
    """Thread-safe counters of one camera.

    Keys: `received`, `superseded`, `skipped` (by max_rate), `published`, `faces`,
    `held` (faces of those that were held), and `masked: REASON`, `withheld: REASON`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: Counter = Counter()
        self._seen: Counter = Counter()
        self._latencies: Deque[float] = deque(maxlen=_WINDOW)
        self._last_arrival = -float('inf')
        self._last_summary = time.monotonic()

    def count(self, key: str, number: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._totals[key] += number
            if key == 'received':
                self._last_arrival = time.monotonic()

    def finished(self, status: str, reason: str, faces: int, held: int,
                 milliseconds: float) -> None:
        """Count a frame by its outcome; see `deid_ros.core.failsafe.Outcome`."""
        with self._lock:
            self._totals['{}: {}'.format(status, reason) if reason else status] += 1
            self._totals['faces'] += faces
            self._totals['held'] += held
            if status != 'withheld':
                self._latencies.append(milliseconds)

    def summarize(self) -> Summary:
        """Return the summary and begin a new period."""
        with self._lock:
            now = time.monotonic()
            latencies = list(self._latencies) or [float('nan')]
            summary = Summary(dict(self._totals), dict(self._totals - self._seen),
                              now - self._last_summary,
                              float(np.percentile(latencies, 50)),
                              float(np.percentile(latencies, 95)), now - self._last_arrival)
            self._seen = Counter(self._totals)
            self._last_summary = now
            return summary
