# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Thinning a stream of frames to a rate."""


class RateLimit:
    """Admits events so that no more than a given number a second pass, evenly spaced."""

    def __init__(self) -> None:
        self._due = -float('inf')

    def admits(self, now: float, max_rate: float) -> bool:
        """Tell whether an event at `now` (seconds) may pass; a `max_rate` of 0 admits all."""
        if max_rate <= 0:
            return True
        period = 1.0 / max_rate
        # Arrival times jitter. An event that comes a little early passes, and the next one is due
        # by the schedule, not by that event, so the mean rate holds.
        if now < self._due - 0.1 * period:
            return False
        self._due = max(self._due + period, now)
        return True
