# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A video file in the place of the simulated camera."""

import math
import pathlib

import cv2
import numpy as np

from deid_ros.core.detection.dlib_hog import DlibHog
from deid_ros.core.faces import Box
from deid_ros.offboard.demo.errors import DemoError
from deid_ros.offboard.demo.source import GROUND_TRUTH_THRESHOLD

_USUAL_RATE = 25.0  # for files that do not tell


class VideoFile:
    """Frames of a video; a `FrameSource` whose faces are those that dlib's detector finds.

    Going through the frames in order is fast; going back begins anew.

    :param rate: frames per second to play it at; None means as it was recorded.
    :param seconds: how much of it, at that rate.
    :raises DemoError: the file cannot be read as a video.
    """

    def __init__(self, path: pathlib.Path, rate: float | None, seconds: float) -> None:
        self._path = path
        self._detector = DlibHog()
        self._rewind()
        self.rate = rate or self._recorded_rate()
        # Counted, as the number that a file's header gives is often a guess.
        self.frame_count = 0
        while self.frame_count < max(1, round(self.rate * seconds)) and self._capture.grab():
            self.frame_count += 1
        if not self.frame_count:
            raise DemoError(f'--video: {path} holds no frame that OpenCV can read.')
        self._rewind()
        self.height, self.width = self.frame(0).shape[:2]

    def frame(self, index: int) -> np.ndarray:
        """Return a frame, (height, width, 3) uint8 BGR."""
        if index < self._next:
            self._rewind()
        while self._next <= index:
            fine, image = self._capture.read()
            if not fine:
                raise DemoError(f'--video: frame {self._next} of {self._path} cannot be read.')
            self._next += 1
            self._image = image
        return self._image

    def faces(self, index: int) -> list[Box]:
        """Return the boxes of the faces that lie wholly inside a frame."""
        boxes = [face.box for face in self._detector.detect(
            self.frame(index), GROUND_TRUTH_THRESHOLD)]
        return [box for box in boxes if box.x >= 0 and box.y >= 0
                and box.x + box.width <= self.width and box.y + box.height <= self.height]

    def _rewind(self) -> None:
        if not self._path.is_file():
            raise DemoError(f'--video: {self._path} is not a file.')
        self._capture = cv2.VideoCapture(str(self._path))
        if not self._capture.isOpened():
            raise DemoError(f'--video: {self._path} cannot be read as a video.')
        self._next = 0  # of the frame that the file gives next

    def _recorded_rate(self) -> float:
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        return rate if math.isfinite(rate) and rate > 0 else _USUAL_RATE
