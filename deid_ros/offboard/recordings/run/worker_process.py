# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A worker process: what runs in it, and what it sends to its parent.

Messages are lines of JSON; the pixels of a view follow theirs. Frames and results travel in shared
memory.
"""

import json
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import cv2

from deid_ros.core.detection import Plan
from deid_ros.core.detection.looks import plan_with
from deid_ros.core.errors import DeidError
from deid_ros.core.faces import Face
from deid_ros.core.tracking import View
from deid_ros.core.tracking.state import face_state, face_with
from deid_ros.offboard.recordings.policy.messages import Kind
from deid_ros.offboard.recordings.run.frames import (
    FrameDetections,
    FrameOptions,
    FrameTracker,
    FrameWorker,
    Task,
    result_to_json,
    view_from_bytes,
    view_to_bytes,
)
from deid_ros.offboard.recordings.run.shared_buffer import SharedBuffer


class WorkerEndpoint(NamedTuple):
    """A worker process' end of a connection."""

    connection: Connection
    #: Frames come in by one and results go out by the other: nothing that was not made there can
    #: be taken for a result.
    frames: SharedBuffer
    results: SharedBuffer


class _TrackerClient:
    """The process' end of a camera's tracker; a `FrameTracker`.

    :param working: held while this process works; let go of while it waits for an answer.
    """

    def __init__(self, connection: Connection, working: threading.Lock) -> None:
        self._connection, self._working = connection, working

    def is_due(self, seconds: float, view: View) -> bool:
        return bool(self._request('due', FrameDetections(seconds, view, None)))

    def plan(self, seconds: float, view: View) -> Plan:
        return plan_with(self._request('plan', FrameDetections(seconds, view, None)))

    def update(self, detections: FrameDetections) -> list[Face]:
        return [face_with(face) for face in self._request('update', detections)]

    def _request(self, kind: str, detections: FrameDetections) -> Any:
        # The answer may wait for an earlier frame, which another thread may have.
        self._working.release()
        try:
            _send_detections(self._connection, kind, detections)
            return json.loads(self._connection.recv_bytes())
        finally:
            self._working.acquire()


def serve(options: FrameOptions, ends: list[WorkerEndpoint]) -> None:
    """Work on frames until the parent process hangs up: the main function of a process."""
    # The terminal sends it to all processes; it is for the parent to end the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    try:
        worker = FrameWorker(options)
    except DeidError as error:
        ends[0].connection.send_bytes(json.dumps(['error', str(error)]).encode())
        return
    ends[0].connection.send_bytes(json.dumps(['ready', worker.provenance]).encode())
    working = threading.Lock()
    threads = [threading.Thread(target=_handle_requests, args=(worker, end, working))
               for end in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _handle_requests(worker: FrameWorker, end: WorkerEndpoint, working: threading.Lock) -> None:
    """Work on the frames of one connection."""
    # However it ends, the parent must not wait for an answer that never comes.
    with end.connection, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            _handle_request(worker, end, working)


def _handle_request(worker: FrameWorker, end: WorkerEndpoint, working: threading.Lock) -> None:
    size, kind, time, detect_only, faces, wants_thumbnail, is_tracked = json.loads(
        end.connection.recv_bytes())
    task = Task(Kind(*kind), end.frames.get(size), time, detect_only,
                None if faces is None else [face_with(face) for face in faces],
                wants_thumbnail)
    detections = None
    with working:
        if task.detect_only:
            detections, result = worker.detect(task)
        else:
            tracker: FrameTracker | None = None
            if is_tracked:
                tracker = _TrackerClient(end.connection, working)
            result = worker.treat(task, tracker)
        size = end.results.put(*result.data)
    if detections:
        _send_detections(end.connection, 'detected', detections)
    end.connection.send_bytes(json.dumps(['result', [size, result_to_json(result)]]).encode())


def _send_detections(connection: Connection, kind: str, detections: FrameDetections) -> None:
    """Send a line of JSON, and the pixels of the view behind it."""
    faces = None if detections.faces is None else [face_state(face) for face in detections.faces]
    view = detections.view
    head = json.dumps([kind, [
        detections.seconds, faces, view.gray.shape, view.width, view.height]])
    connection.send_bytes(head.encode() + b'\n' + view_to_bytes(view))


def detections_from(content: Sequence[Any], pixels: bytes) -> FrameDetections:
    """Return what a process has sent: the content of its line, and the pixels of the view."""
    seconds, faces, shape, width, height = content
    return FrameDetections(seconds, view_from_bytes(pixels, shape, width, height),
                None if faces is None else [face_with(face) for face in faces])
