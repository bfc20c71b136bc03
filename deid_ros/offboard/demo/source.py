# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the demo's camera sees, frame by frame."""

from typing import Protocol

import numpy as np

from deid_ros.core.faces import Box

#: Threshold of dlib's frontal detector for the ground truth: its own default, which gives no false
#: positives. As a detector of the node it has a lower one.
GROUND_TRUTH_THRESHOLD = 0.0


class FrameSource(Protocol):
    """Frames by their index, which can be read several times."""

    width: int
    height: int
    #: Frames per second.
    rate: float
    frame_count: int

    def frame(self, index: int) -> np.ndarray:
        """Return a frame, (height, width, 3) uint8 BGR; the same for the same index."""

    def faces(self, index: int) -> list[Box]:
        """Return the faces that lie wholly inside a frame, found without the node's help.

        The boxes are tight, as dlib's frontal detector draws them.
        """
