# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a detector finds, and the boxes around it.

Pixel coordinates throughout: x to the right, y down, the top-left corner of the image is (0, 0).
"""

import math
from typing import NamedTuple, Optional, Tuple

import numpy as np

# The doubt (see `Face`) above which a face's place is uncertain. At 25 Hz it is reached in the
# fourth frame in which the face is not seen.
_UNCERTAIN = 0.35


class Box(NamedTuple):
    """A box around a face, in pixels, possibly fractional and possibly reaching over the edge."""

    x: float
    y: float
    width: float
    height: float

    def grown(self, margin: float) -> 'Box':
        """Return the box grown on each side by `margin` times its width (or height)."""
        return Box(self.x - margin * self.width, self.y - margin * self.height,
                   (1 + 2 * margin) * self.width, (1 + 2 * margin) * self.height)

    def scaled(self, factor_x: float, factor_y: float) -> 'Box':
        """Return the box in an image that is `factor_x` times as wide and `factor_y` as high."""
        return Box(self.x * factor_x, self.y * factor_y,
                   self.width * factor_x, self.height * factor_y)

    def iou(self, other: 'Box') -> float:
        """Return the intersection over union with another box, in 0…1."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.width * self.height + other.width * other.height - shared)


class Region(NamedTuple):
    """A rectangle of whole pixels inside an image: columns left…right-1, rows top…bottom-1."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> Tuple[slice, slice]:
        """Return the (rows, columns) index of the region in an image array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def is_empty(self) -> bool:
        """Tell whether the region holds no pixel."""
        return self.right <= self.left or self.bottom <= self.top

    def moved(self, right: int, down: int) -> 'Region':
        """Return the region so many pixels further to the right and down."""
        return Region(self.left + right, self.top + down, self.right + right, self.bottom + down)


class Face(NamedTuple):
    """A face that was detected, or that is held: its place is predicted from earlier frames.

    `landmarks`, where the detector gives them, are (5, 2) float32 pixel positions (x, y) in the
    order eye, eye, nose tip, mouth corner, mouth corner, the one further left in the image first.
    `track` is the number of the person's track, None where nobody tracks. `doubt` says how far off
    the box may be, on each side, as a share of its size; it is above 0 for held faces only.
    """

    box: Box
    score: float
    landmarks: Optional[np.ndarray] = None
    track: Optional[int] = None
    doubt: float = 0.0

    @property
    def held(self) -> bool:
        """Tell whether the place is predicted, as the detector has not seen the face here."""
        return self.doubt > 0

    @property
    def is_uncertain(self) -> bool:
        """Tell whether the place is not known well enough to draw a face there."""
        return self.doubt > _UNCERTAIN

    @property
    def extent(self) -> Box:
        """The box in which the face is, wherever in its doubt: what must be treated."""
        return self.box.grown(self.doubt) if self.held else self.box


def region_of(box: Box, width: int, height: int) -> Region:
    """Return the whole pixels that `box` touches in an image of `width` × `height` pixels.

    The result is empty (see `Region.is_empty`) where the box lies outside of the image.
    """
    return Region(max(0, int(math.floor(box.x))), max(0, int(math.floor(box.y))),
                  min(width, int(math.ceil(box.x + box.width))),
                  min(height, int(math.ceil(box.y + box.height))))
