# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames on their way through worker processes, and the tracker that sees them in order."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from deid_ros.core.detection import Plan
from deid_ros.core.detection.looks import plan_state
from deid_ros.core.faces import Face
from deid_ros.core.parameters import pipeline_settings
from deid_ros.core.tracking import Tracker, View
from deid_ros.core.tracking.state import face_state, state_of
from deid_ros.offboard.recordings.run.frames import FrameDetections, Result


class Camera:
    """The tracker of one camera, and the frames that it has not seen yet, in their order.

    :param values: of all parameters, by name.
    """

    def __init__(self, values: dict[str, Any], tracker: Tracker | None = None) -> None:
        settings = pipeline_settings(values)
        self.interval, self.hold_frames = settings.detection_interval, settings.hold_frames
        self.search = settings.search
        self.tracker = tracker or Tracker()
        self.waiting: deque[Job] = deque()

    def answer_waiting(self) -> None:
        """Answer the requests that can be answered: those of the first frame in the queue."""
        while self.waiting:
            job = self.waiting[0]
            if job.request is None and job.result is None:
                return
            if job.request is not None and not job.answer():
                continue  # Its detector must look first, or not; then it will ask for the faces.
            job.end()
            self.waiting.popleft()


class Job:
    """A frame that is worked on; the `FrameTracker` of its camera.

    :param camera: None if it is not tracked.
    """

    def __init__(self, camera: Camera | None = None) -> None:
        self.camera = camera
        #: Sends an answer to the process that works on it; None if that is this process.
        self.reply: Callable[[Any], None] | None = None
        self.request: TrackerRequest | None = None
        #: What is seen in it, if only that was wanted and it could be opened.
        self.detections: FrameDetections | None = None
        #: What became of it; None until then. Its data are there until `Workers.release`.
        self.result: Result | None = None
        #: What the tracker knows once it has seen this frame; see `state_of`.
        self.state: dict[str, Any] = {}
        self._has_begun = False

    def is_due(self, seconds: float, view: View) -> bool:
        """Go on to this frame, if not done yet; tell whether the detector must look at it."""
        assert self.camera
        if not self._has_begun:
            self._has_begun = True
            self.camera.tracker.advance(seconds, view)
        return self.camera.tracker.is_detection_due(self.camera.interval)

    def plan(self, seconds: float, view: View) -> Plan:
        """Go on to this frame, if not done yet; return how the detector looks at it."""
        assert self.camera
        assert self.camera.search
        self.is_due(seconds, view)
        return self.camera.tracker.plan(self.camera.search)

    def update(self, detections: FrameDetections) -> list[Face]:
        """Return the faces of the frame."""
        assert self.camera
        self.is_due(detections.seconds, detections.view)
        return self.camera.tracker.update(detections.faces, self.camera.hold_frames)

    def answer(self) -> bool:
        """Answer the request; tell whether it was the last of this frame."""
        assert self.request
        assert self.reply
        (kind, detections), self.request = self.request, None
        if kind == 'due':
            self.reply(self.is_due(detections.seconds, detections.view))
            return False
        if kind == 'plan':
            self.reply(plan_state(self.plan(detections.seconds, detections.view)))
            return False
        self.reply([face_state(face) for face in self.update(detections)])
        return True

    def end(self) -> None:
        """Note what the tracker knows."""
        if self.camera:
            self.state = state_of(self.camera.tracker)


class TrackerRequest(NamedTuple):
    """What a process asks of the tracker: `due`, `plan` or `update`, as in `FrameTracker`."""

    kind: str
    detections: FrameDetections
