# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Faces linked over time, forwards and backwards, so that missed ones are treated, too.

A recording knows the future: a face that the detector misses is held on from when it was last seen,
as by the live node, and back from when it is next seen. Where both meet, its place is the mean of
both, weighted by how certain each is: the two-filter smoother of D. C. Fraser and J. E. Potter,
"The optimum linear smoother as a combination of two optimum linear filters" (1969).

What the detector saw is kept in files, so that memory does not grow with the recording. They hold
small gray copies of the frames, too, and so must never get into an anonymized recording.
"""

import base64
import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from deid_ros.core.faces import Box, Face, region_of
from deid_ros.core.tracking import Tracker
from deid_ros.core.tracking.state import face_state, face_with
from deid_ros.offboard.recordings.run.frames import FrameDetections, view_from_bytes, view_to_bytes

#: Frames over which a face is held from either side to be met from the other.
BRIDGE_FRAMES = 25
# Places that share less than this may be two faces, and both are treated.
_LEAST_IOU = 0.3


class Held(NamedTuple):
    """A face that is held in a frame, and for how many frames it was not seen until then."""

    face: Face
    frames: int


class Linker:
    """Follows the faces of one camera in one direction of time.

    :param direction: 1 forwards, -1 backwards.
    """

    def __init__(self, direction: int) -> None:
        self._direction = direction
        self._tracker = Tracker()
        self._unseen: dict[int | None, int] = {}

    def next(self, detections: FrameDetections | None) -> list[Held]:
        """Return the faces held in the next frame; None is one that cannot be opened."""
        if detections is None:
            return []
        self._tracker.advance(self._direction * detections.seconds, detections.view)
        faces = self._tracker.update(detections.faces, BRIDGE_FRAMES)
        held = [face for face in faces if face.held]
        self._unseen = {face.track: self._unseen.get(face.track, 0) + 1 for face in held}
        return [Held(face, self._unseen[face.track]) for face in held]


def merged(detected: Sequence[Face], forwards: Sequence[Held], backwards: Sequence[Held],
           hold_frames: int) -> list[Face]:
    """Return all faces of a frame: those detected, and those held from either side or both.

    :param hold_frames: for how many frames a face is held from one side only: after it was last
        detections, and before it was first detections.
    """
    result = list(detected)
    left = list(backwards)
    for one in forwards:
        other = max(left, key=lambda held: held.face.extent.iou(one.face.extent), default=None)
        if other and other.face.extent.iou(one.face.extent) >= _LEAST_IOU:
            left.remove(other)
            result.append(_mean(one.face, other.face))
        elif one.frames <= hold_frames:
            result.append(one.face)
    # Numbers of tracks are those of the way forwards; the others' own ones mean nothing there.
    result += [held.face._replace(track=None) for held in left if held.frames <= hold_frames]
    return result


def _mean(one: Face, other: Face) -> Face:
    """Return a face at the mean of two places, weighted by how certain each is."""
    weight, other_weight = one.doubt ** -2, other.doubt ** -2
    share = weight / (weight + other_weight)
    box = Box(*(share * first + (1 - share) * second
                for first, second in zip(one.box, other.box, strict=True)))
    nearer = one if share >= 0.5 else other
    landmarks = nearer.landmarks
    if landmarks is not None:
        before = nearer.box
        scale = np.array([box.width / before.width, box.height / before.height])
        landmarks = ((landmarks - (before.x, before.y)) * scale + (box.x, box.y)
                     ).astype(np.float32)
    return Face(box, nearer.score, landmarks, one.track, (weight + other_weight) ** -0.5)


def linked(frames: Sequence[FrameDetections], hold_frames: int) -> list[list[Face]]:
    """Return all faces of each frame of a sequence that is short enough for the memory.

    :param hold_frames: see `merged`.
    """
    backwards = Linker(-1)
    later = [backwards.next(detections) for detections in reversed(frames)][::-1]
    forwards = Linker(1)
    return [merged(detections.faces or [], forwards.next(detections), held, hold_frames)
            for detections, held in zip(frames, later, strict=True)]


class DetectionLog:
    """What was seen in all frames of a recording, by channel, in files that survive a kill.

    :param folder: where the files are, or will be.
    :param hold_frames: see `merged`.
    """

    def __init__(self, folder: Path, hold_frames: int) -> None:
        self._folder = folder
        self._hold_frames = hold_frames
        self._files: dict[int, _Lines] = {}

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def wants(self, channel: int, number: int) -> bool:
        """Tell whether the frame of that number, from 0 on, is not known yet."""
        return number >= len(self._lines(channel))

    def add(self, channel: int, detections: FrameDetections | None) -> None:
        """Add what was seen in the next frame; None if it cannot be opened."""
        self._lines(channel).append(_detections_to_json(detections))

    def link(self, channels: Sequence[int]) -> None:
        """Go through all frames backwards, once they are known."""
        for channel in channels:
            linker, lines = Linker(-1), self._lines(channel)
            held = _Lines(self._path(channel, 'held'), goes_on=False)
            for number in reversed(range(len(lines))):
                held.append([[face_state(face), frames] for face, frames
                             in linker.next(_detections_from_json(lines[number]))])
            self._files[-1 - channel] = held

    def faces(self, channel: int, start: int) -> Iterator[list[Face] | None]:
        """Yield the faces of each frame from number `start` on.

        None where the frame could not be opened, or the detector failed.
        """
        linker, lines, held = Linker(1), self._lines(channel), self._files[-1 - channel]
        for number in range(len(lines)):
            detections = _detections_from_json(lines[number])
            forwards = linker.next(detections)
            if number < start:
                continue
            if detections is None or detections.faces is None:
                yield None
                continue
            backwards = [Held(face_with(face), frames)
                         for face, frames in held[len(lines) - 1 - number]]
            view = detections.view
            yield [face for face in merged(detections.faces, forwards, backwards,
                                                   self._hold_frames)
                   if not region_of(face.extent, view.width, view.height).is_empty]

    def _lines(self, channel: int) -> '_Lines':
        if channel not in self._files:
            self._files[channel] = _Lines(self._path(channel, 'detected'), goes_on=True)
        return self._files[channel]

    def _path(self, channel: int, what: str) -> Path:
        return self._folder / f'detections-{channel}-{what}.jsonl'


class _Lines:
    """A file of JSON, one value a line, that can be read in any order."""

    def __init__(self, path: Path, goes_on: bool) -> None:
        self._starts = array('Q')
        self._end = 0
        self._file: BinaryIO = path.open('r+b' if goes_on and path.exists() else 'w+b')
        for line in self._file:
            if not line.endswith(b'\n'):
                break  # The kill cut it.
            self._starts.append(self._end)
            self._end += len(line)
        self._file.truncate(self._end)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> Any:
        self._file.seek(self._starts[number])
        return json.loads(self._file.readline())

    def append(self, value: Any) -> None:
        """Write one more line."""
        line = json.dumps(value).encode() + b'\n'
        self._file.seek(self._end)
        self._file.write(line)
        self._starts.append(self._end)
        self._end += len(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _detections_to_json(detections: FrameDetections | None) -> Any:
    if detections is None:
        return None
    faces = None if detections.faces is None else [face_state(face) for face in detections.faces]
    view = detections.view
    pixels = base64.b64encode(view_to_bytes(view)).decode()
    return [detections.seconds, faces, pixels, view.gray.shape, view.width, view.height]


def _detections_from_json(entry: Any) -> FrameDetections | None:
    if entry is None:
        return None
    seconds, faces, pixels, *rest = entry
    return FrameDetections(seconds, view_from_bytes(base64.b64decode(pixels), *rest),
                None if faces is None else [face_with(face) for face in faces])
