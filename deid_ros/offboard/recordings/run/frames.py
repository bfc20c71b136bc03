# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is done with one frame, in whatever process, and how it travels between processes.

The frame path is the core's own, from decoding to encoding. Only the tracker is elsewhere: it
belongs to the camera, sees its frames in order, and stays in the parent process. Faces travel as
JSON, in which numbers keep every bit, and frames in shared memory.
"""

import base64
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from deid_ros.core.deidentifier import Deidentifier
from deid_ros.core.detection import Plan, Search
from deid_ros.core.errors import CodecError, DeidError
from deid_ros.core.faces import Face
from deid_ros.core.failsafe import Outcome
from deid_ros.core.image_codec import encode_jpeg, open_image
from deid_ros.core.pipeline import masked_frame, stamp_of
from deid_ros.core.tracking import View, view_of
from deid_ros.offboard.recordings.policy.messages import AnyImage, Kind, opened
from deid_ros.offboard.recordings.run.verification import Verifier, report_to_json

_THUMBNAIL_WIDTH = 320
_THUMBNAIL_QUALITY = 75


class FrameOptions(NamedTuple):
    """What is done with every frame."""

    #: Of all parameters, by name.
    values: dict[str, Any]
    verify: bool = False


class Task(NamedTuple):
    """One frame."""

    kind: Kind
    serialized: bytes | memoryview
    #: In nanoseconds, for images without a header.
    time: int = 0
    #: Only the faces are wanted.
    detect_only: bool = False
    #: The faces to treat; None to find them.
    faces: list[Face] | None = None
    wants_thumbnail: bool = False


class FrameDetections(NamedTuple):
    """What a tracker needs of a frame."""

    seconds: float
    view: View
    #: None where the detector failed or did not look.
    faces: list[Face] | None


class Result(NamedTuple):
    """What became of a frame."""

    #: `published`, `masked` or `withheld`, and why; see `Outcome`.
    status: str
    reason: str
    detail: str
    #: The header's stamp in nanoseconds; None where the message cannot be read.
    stamp: int | None
    #: Reports of the treated faces, as JSON has them.
    faces: list[dict[str, Any]]
    #: A JPEG file of the anonymized frame in base64, where one was wanted.
    thumbnail: str
    #: The new serialized message, in parts that follow each other; none if withheld.
    data: tuple[bytes | memoryview, ...] = ()


class FrameTracker(Protocol):
    """A camera's tracker, for one of its frames."""

    def is_due(self, seconds: float, view: View) -> bool:
        """Go on to this frame, if not done yet; tell whether the detector must look at it."""

    def plan(self, seconds: float, view: View) -> Plan:
        """Go on to this frame, if not done yet; return how the detector looks at it."""

    def update(self, detections: FrameDetections) -> list[Face]:
        """Return the faces of the frame."""


class FrameWorker:
    """Does the work, frame by frame.

    :raises ConfigurationError: a model or a package is missing.
    """

    def __init__(self, options: FrameOptions) -> None:
        self._deidentifier = Deidentifier(**options.values)
        self._settings = self._deidentifier.settings
        self._verifier = (Verifier(self._deidentifier.pipeline, self._settings) if options.verify
                          else None)

    @property
    def provenance(self) -> dict[str, Any]:
        """What does the work: names, devices, hashes."""
        return self._deidentifier.provenance

    def detect(self, task: Task) -> tuple[FrameDetections | None, Result]:
        """Return what is seen in a frame: None if it cannot be opened."""
        try:
            message = opened(task.kind, task.serialized, task.time)
            bgr = open_image(message.fields, self._settings.jpeg_quality).bgr
        except Exception as error:  # Whatever is wrong will be found again when it is treated.
            return None, _withheld(error)
        seconds, view = stamp_of(message.fields), view_of(bgr)
        try:
            faces = self._deidentifier.pipeline.detect(bgr, self._settings)
        except Exception as error:
            return FrameDetections(seconds, view, None), _withheld(error)
        return (FrameDetections(seconds, view, faces),
                Result('detected', '', '', message.stamp, [], ''))

    def treat(self, task: Task, frame_tracker: FrameTracker | None) -> Result:
        """Return the anonymized frame. Whatever goes wrong, the frame is withheld. Never raises.

        :param frame_tracker: of the frame's camera; None if its faces are not tracked.
        """
        try:
            message = opened(task.kind, task.serialized, task.time)
        except Exception as error:
            return _withheld(error)
        tracker: Any = None
        if task.faces is not None:
            tracker = _PrecomputedFaces(task.faces)
        elif frame_tracker:
            tracker = _RemoteTracker(frame_tracker)
        outcome = self._deidentifier.process_or_withhold(message.fields, tracker)
        if isinstance(tracker, _RemoteTracker):
            tracker.end()
        try:
            return self._result(task, message, outcome)
        except Exception as error:
            return self._failed(message, _withheld(error, message.stamp))

    def _result(self, task: Task, message: AnyImage, outcome: Outcome) -> Result:
        frame = outcome.frame
        if frame is None:
            return Result(outcome.status, outcome.reason, _last_line(outcome.detail),
                          message.stamp, [], '')
        faces = [report_to_json(face) for face in frame.faces]
        if self._verifier and outcome.status == 'published':
            frame, faces = self._verifier.check(message, frame, faces)
        thumbnail = _thumbnail(frame.bgr) if task.wants_thumbnail else ''
        return Result(outcome.status, outcome.reason, _last_line(outcome.detail), message.stamp,
                      faces, thumbnail, message.with_data(memoryview(frame.data).cast('B')))


    def _failed(self, message: AnyImage, result: Result) -> Result:
        """Return a black frame instead of none, if that is wanted and possible."""
        if self._deidentifier.values['on_failure'] == 'mask_frame':
            with suppress(Exception):
                frame = masked_frame(message.fields, self._settings.jpeg_quality)
                return result._replace(status='masked', data=message.with_data(
                    memoryview(frame.data).cast('B')))
        return result


class _RemoteTracker:
    """A tracker for the frame path that asks the camera's own."""

    def __init__(self, frame_tracker: FrameTracker) -> None:
        self._frame_tracker = frame_tracker
        self._pending: tuple[float, View] | None = None

    def advance(self, seconds: float, view: View) -> None:
        self._pending = seconds, view

    def is_detection_due(self, interval: int) -> bool:
        # With an interval of 1 it always is. So the detector need not wait for earlier frames.
        assert self._pending
        return interval <= 1 or self._frame_tracker.is_due(*self._pending)

    def plan(self, search: Search) -> Plan | None:
        # All that is to be seen closely is seen in every frame: no need to wait, either.
        if search.thorough:
            return None
        assert self._pending
        return self._frame_tracker.plan(*self._pending)

    def update(self, detected: Sequence[Face] | None, hold_frames: int) -> list[Face]:
        assert self._pending
        pending, self._pending = self._pending, None
        return self._frame_tracker.update(
            FrameDetections(*pending, None if detected is None else list(detected)))

    def end(self) -> None:
        """Let the camera's tracker know of a frame at which the detector failed."""
        if self._pending:
            self._frame_tracker.is_due(*self._pending)


class _PrecomputedFaces:
    """A tracker for the frame path that knows the faces without the detector."""

    def __init__(self, faces: list[Face]) -> None:
        self._faces = faces

    def advance(self, seconds: float, view: View) -> None:
        pass

    def is_detection_due(self, interval: int) -> bool:
        return False

    def update(self, detected: Sequence[Face] | None, hold_frames: int) -> list[Face]:
        return self._faces


def view_to_bytes(view: View) -> bytes:
    """Return the pixels of a view, which are whole numbers."""
    return view.gray.astype(np.uint8).tobytes()


def view_from_bytes(content: bytes, shape: Sequence[int], width: int, height: int) -> View:
    """Return the view whose pixels `view_to_bytes` gave; `shape` is that of its array."""
    gray = np.frombuffer(content, np.uint8).reshape(tuple(shape)).astype(np.float32)
    return View(gray, width, height)


def result_to_json(result: Result) -> dict[str, Any]:
    """Return a result, without its data, as JSON can hold it."""
    entry = result._asdict()
    del entry['data']
    return entry


def result_from_json(entry: dict[str, Any], data: memoryview) -> Result:
    """Return the result that `result_to_json` gave, with its data."""
    return Result(**entry, data=(data,))


def _withheld(error: Exception, stamp: int | None = None) -> Result:
    if isinstance(error, CodecError):
        return Result('withheld', error.reason, str(error), stamp, [], '')
    reason = 'internal error' if not isinstance(error, DeidError) else 'detector'
    return Result('withheld', reason, f'{type(error).__name__}: {error}', stamp, [], '')


def _last_line(detail: str) -> str:
    """Return what went wrong without where in the code, which names folders of this machine."""
    return detail.strip().rpartition('\n')[2]


def _thumbnail(bgr: np.ndarray) -> str:
    height, width = bgr.shape[:2]
    scale = min(1.0, _THUMBNAIL_WIDTH / width)
    small = cv2.resize(bgr, (max(1, round(width * scale)), max(1, round(height * scale))),
                       interpolation=cv2.INTER_AREA)
    return base64.b64encode(encode_jpeg(small, _THUMBNAIL_QUALITY)).decode()
