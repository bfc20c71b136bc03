# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A camera that flies along a wall: it pans, zooms, rolls, shakes, and blurs what moves."""

import math

import cv2
import numpy as np

from deid_ros.core.faces import Box
from deid_ros.offboard.demo.scene import Scene

WIDTH, HEIGHT = 1280, 720

_PERIOD = 10.0  # seconds of one flight along the wall and back
_ZOOM = (0.78, 1.15)  # image pixels per wall pixel
_ROLL = 7.0  # degrees to either side
# The pan turns back so far before the outermost pictures' centres, but not sooner; wall pixels.
_TURN_BACK, _LEAST_REACH = 150.0, 240.0
# The shutter is open for half of the time between frames. The blur is the mean of so many moments.
_SHUTTER = 0.5
_EXPOSURES = 4


class SimulatedCamera:
    """Frames of a flight along a scene; a `FrameSource` whose faces are known by construction."""

    width, height = WIDTH, HEIGHT

    def __init__(self, scene: Scene, rate: float, seconds: float) -> None:
        self.rate = rate
        self.frame_count = max(1, round(rate * seconds))
        self._scene = scene

    def frame(self, index: int) -> np.ndarray:
        """Return a frame, (720, 1280, 3) uint8 BGR."""
        times = (index + _SHUTTER * (np.arange(_EXPOSURES) / _EXPOSURES - 0.5)) / self.rate
        images = [cv2.warpAffine(self._scene.wall, self.view(time), (WIDTH, HEIGHT),
                                 borderMode=cv2.BORDER_REFLECT) for time in times]
        # Means of pairs in 8 bits: five times as fast as a sum of floats, with no visible
        # difference.
        while len(images) > 1:
            images = [cv2.addWeighted(one, 0.5, other, 0.5, 0)
                      for one, other in zip(images[::2], images[1::2])]
        return images[0]

    def faces(self, index: int) -> list[Box]:
        """Return the boxes of the faces that lie wholly inside a frame."""
        view = self.view(index / self.rate)
        zoom = math.hypot(view[0, 0], view[1, 0])
        boxes = []
        for face in self._scene.faces:
            # The roll turns the face about its centre; the box stays upright, as a detector's.
            x, y = view @ (face.x + face.width / 2, face.y + face.height / 2, 1)
            width, height = zoom * face.width, zoom * face.height
            box = Box(x - width / 2, y - height / 2, width, height)
            if (box.x >= 0 and box.y >= 0 and box.x + width <= WIDTH
                    and box.y + height <= HEIGHT):
                boxes.append(box)
        return boxes

    def view(self, time: float) -> np.ndarray:
        """Return the (2, 3) affine map from wall to image at a time in seconds."""
        first, last = self._scene.centres[0], self._scene.centres[-1]
        turn = 2 * math.pi * time / _PERIOD
        reach = max(_LEAST_REACH, (last[0] - first[0]) / 2 - _TURN_BACK)
        pan = (first[0] + last[0]) / 2 - reach * math.cos(turn)
        rise = (first[1] + last[1]) / 2 - 60 + 70 * math.sin(2 * turn + 0.5)
        # A drone that hovers still moves a little.
        pan += 5 * math.sin(2 * math.pi * 1.3 * time)
        rise += 4 * math.sin(2 * math.pi * 1.7 * time + 1)
        middle, swing = math.sqrt(_ZOOM[0] * _ZOOM[1]), math.sqrt(_ZOOM[1] / _ZOOM[0])
        zoom = middle * swing ** math.cos(2 * turn)
        roll = _ROLL * math.sin(turn) + 0.6 * math.sin(2 * math.pi * 0.9 * time)
        view = cv2.getRotationMatrix2D((pan, rise), roll, zoom)
        return view + np.array(((0, 0, WIDTH / 2 - pan), (0, 0, HEIGHT / 2 - rise)))
