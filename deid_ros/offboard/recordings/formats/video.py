# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A video file as a recording: each frame is a message.

Sound is not kept: voices tell who somebody is, too.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from deid_ros.offboard.recordings.errors import BagError, DamagedError
from deid_ros.offboard.recordings.formats.recording import VIDEO, Channel, Item, Message, Recording

#: Codecs that OpenCV's wheels can write, by suffix.
CODECS = {'.mp4': 'mp4v', '.m4v': 'mp4v', '.mov': 'mp4v', '.mkv': 'mp4v', '.avi': 'MJPG'}
# Headers of videos often promise a few frames more than there are.
_MISSING_FRAMES = 2


class VideoFile(Recording):
    """The frames of a video; their times come from its rate.

    :raises BagError: OpenCV cannot read it.
    """

    storage = 'video'

    def __init__(self, path: Path) -> None:
        self.files = [path]
        self._path = path
        self._capture = self._open()
        self.rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.size = (int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
                     int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        if not (math.isfinite(self.rate) and self.rate > 0 and min(self.size) > 0):
            raise BagError(f'{path} cannot be read as a video.')
        count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        width, height = self.size
        self.channels = [Channel(path.name, f'{width}x{height}', VIDEO, '', '')]
        self.counts = [count]
        self.end = self._time(max(0, count - 1))

    def items(self) -> Iterator[Item]:
        """Yield the frames, each as its pixels, BGR."""
        self._capture.release()
        self._capture = self._open()
        number = 0
        while True:
            fine, bgr = self._capture.read()
            if not fine:
                break
            yield Message(0, self._time(number), self._time(number), number,
                          np.ascontiguousarray(bgr).data.cast('B'))
            number += 1
        if number < self.counts[0] - _MISSING_FRAMES:
            raise DamagedError(f'{self._path} is damaged: it ends after {number} of '
                               f'{self.counts[0]} frames.')

    def first(self, channel: int) -> Message | None:
        """Return nothing: there is nothing to learn from it."""
        return None

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            raise BagError(f'{self._path} cannot be read as a video.')
        return capture

    def _time(self, number: int) -> int:
        return round(number * 1e9 / self.rate)


class VideoFileWriter:
    """Writes a video of the same rate and size. It cannot go on after a kill, but begins anew.

    :raises BagError: OpenCV cannot write it.
    """

    def __init__(self, path: Path, source: VideoFile) -> None:
        self._path, self._size = path, source.size
        self._count = 0
        path.unlink(missing_ok=True)  # Of a writer that was killed.
        codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(path), codec, source.rate, source.size)
        if not self._writer.isOpened():
            raise BagError(f'{path} cannot be written as a video.')

    def write(self, message: Message) -> None:
        """Append a frame."""
        width, height = self._size
        self._writer.write(np.frombuffer(message.data, np.uint8).reshape(height, width, 3))
        self._count += 1

    def write_extra(self, record: Any) -> None:
        """There is nothing beside the frames."""

    def checkpoint(self) -> None:
        """Return that a later writer could not go on from here."""

    def finish(self, provenance: dict[str, Any], custom_data: dict[str, str]) -> None:
        """End the file; provenance is in the report.

        :raises BagError: the file does not hold what was written: OpenCV does not tell of a full
            disk.
        """
        self.close()
        capture = cv2.VideoCapture(str(self._path))
        # One by one: the number in the head is there even if the frames are not.
        count = 0
        while capture.grab():
            count += 1
        capture.release()
        if count < self._count:
            raise BagError(f'{self._path} was not written: is the disk full?')

    def close(self) -> None:
        """Close the file as it is."""
        self._writer.release()
