# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where a face will be: it goes on as it went, and how wrong that may be by now."""

import math
from typing import Tuple

from deid_ros.core.faces import Box

# Measured on people who walk, seen at 12 and 25 Hz, in sizes of the face.
# Standard deviation of the place of a detector's box.
_NOISE = 0.04
# Standard deviation of a face's velocity against the background, in sizes a second.
_SPEED = 2.0
# Seconds after which little is left of a velocity: heads bob, and people turn.
_MEMORY = 0.3
# How much of a new box's size is believed.
_SIZE_GAIN = 0.5


class Motion:
    """The place and velocity of one face, by a Kalman filter.

    Velocity is constant but for a drift back to that of the background, so that the place of a face
    that is not seen becomes uncertain step by step, and never runs away. The model is an integrated
    Ornstein-Uhlenbeck process (D. S. Johnson et al., "Continuous-time correlated random walk model
    for animal telemetry data", 2008), stepped exactly for any time between two frames.

    Place is in pixels, its variance in sizes of the face: what is uncertain about a face grows with
    it. Both axes share the variance.
    """

    def __init__(self, box: Box) -> None:
        self._width, self._height = box.width, box.height
        self._x, self._y = _centre(box)
        self._x_rate = self._y_rate = 0.0
        self._variance, self._covariance, self._rate_variance = _NOISE ** 2, 0.0, _SPEED ** 2

    @property
    def box(self) -> Box:
        """The box in which the face should be now."""
        return Box(self._x - self._width / 2, self._y - self._height / 2,
                   self._width, self._height)

    @property
    def deviation(self) -> float:
        """The standard deviation of the face's place on each axis, in sizes of the face."""
        return math.sqrt(self._variance)

    def shift(self, x: float, y: float) -> None:
        """Move with the picture, by so many pixels."""
        self._x += x
        self._y += y

    def loosen(self, deviation: float) -> None:
        """Forget the velocity; the place is off by that much more, in sizes of the face."""
        self._x_rate = self._y_rate = 0.0
        self._variance += deviation ** 2
        self._covariance, self._rate_variance = 0.0, _SPEED ** 2

    def advance(self, seconds: float) -> None:
        """Go on for some time, 0 or more."""
        left = math.exp(-seconds / _MEMORY)
        way = _MEMORY * (1 - left)
        self._x += way * self._x_rate
        self._y += way * self._y_rate
        self._x_rate *= left
        self._y_rate *= left
        drift = 2 * seconds / _MEMORY - 3 + 4 * left - left ** 2
        self._variance += (2 * way * self._covariance + way ** 2 * self._rate_variance
                           + (_SPEED * _MEMORY) ** 2 * drift)
        self._covariance = (left * (self._covariance + way * self._rate_variance)
                            + _SPEED ** 2 * _MEMORY * (1 - left) ** 2)
        self._rate_variance = left ** 2 * self._rate_variance + _SPEED ** 2 * (1 - left ** 2)

    def correct(self, box: Box) -> None:
        """Learn where the face is in fact."""
        x, y = _centre(box)
        total = self._variance + _NOISE ** 2
        gain, rate_gain = self._variance / total, self._covariance / total
        x_error, y_error = x - self._x, y - self._y
        self._x += gain * x_error
        self._y += gain * y_error
        self._x_rate += rate_gain * x_error
        self._y_rate += rate_gain * y_error
        self._rate_variance -= rate_gain * self._covariance
        self._covariance *= 1 - gain
        self._variance *= 1 - gain
        self._width += _SIZE_GAIN * (box.width - self._width)
        self._height += _SIZE_GAIN * (box.height - self._height)


def _centre(box: Box) -> Tuple[float, float]:
    return box.x + box.width / 2, box.y + box.height / 2
