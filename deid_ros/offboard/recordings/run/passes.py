# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Passes over a recording: one that finds all faces, and the one that writes the copy."""

import base64
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mcap.records import Attachment, Metadata

from deid_ros.core.tracking.state import tracker_with
from deid_ros.offboard.recordings.formats.image_folder import ImageFolder, ImageFolderWriter
from deid_ros.offboard.recordings.formats.recording import FILE, Channel, Message
from deid_ros.offboard.recordings.formats.video import VideoFile, VideoFileWriter
from deid_ros.offboard.recordings.formats.writing import RecordingWriter
from deid_ros.offboard.recordings.policy.selection import (
    ANONYMIZE,
    COPY,
    LEAVE_OUT,
    check_kept,
    is_picture,
    kind_of,
)
from deid_ros.offboard.recordings.run.bridging import DetectionLog
from deid_ros.offboard.recordings.run.frames import Result, Task, view_from_bytes, view_to_bytes
from deid_ros.offboard.recordings.run.jobs import Camera, Job
from deid_ros.offboard.recordings.run.journal import Journal
from deid_ros.offboard.recordings.run.plan import Options, Plan
from deid_ros.offboard.recordings.run.workers import Workers

# Bytes of copied messages that may wait for a frame before them.
_MOST_WAITING = 64 << 20
# Of each of them, beside its data.
_OVERHEAD = 300
# Seconds between two checkpoints, at least.
_CHECKPOINT_PERIOD = 1.0
_THUMBNAILS = 6


class Progress(Protocol):
    """What is told while the run goes on."""

    def begin(self, what: str, frames: int, messages: int) -> None:
        """A pass begins, over so many frames and messages."""

    def advance(self, is_frame: bool, faces: int) -> None:
        """A message is done."""


class _Pass:
    """Goes through a recording once; frames are worked on beside each other, and end in order."""

    def __init__(self, planned: Plan, workers: Workers, progress: Progress) -> None:
        self._recording, self._decisions, self._target = planned
        self._workers, self._progress = workers, progress
        self._numbers = [0] * len(self._recording.channels)

    def _is_frame(self, channel: int) -> bool:
        return self._decisions[channel].action == ANONYMIZE

    def _frame_count(self) -> int:
        return sum(count for channel, count in enumerate(self._recording.counts)
                   if self._is_frame(channel))


class DetectionPass(_Pass):
    """The first of two passes: finds the faces of all frames."""

    def __init__(self, planned: Plan, workers: Workers, progress: Progress,
                 detections: DetectionLog) -> None:
        super().__init__(planned, workers, progress)
        self._detections = detections

    def run(self) -> None:
        """Find the faces of all frames that are not known yet, and link them over time.

        :raises BagError: a process ended.
        """
        self._progress.begin('looking', self._frame_count(), 0)
        pending: deque[tuple[int, Job]] = deque()
        for item in self._recording.items():
            if not isinstance(item, Message) or not self._is_frame(item.channel):
                continue
            number = self._numbers[item.channel]
            self._numbers[item.channel] += 1
            if not self._detections.wants(item.channel, number):
                self._progress.advance(True, 0)
                continue
            channel = self._recording.channels[item.channel]
            pending.append((item.channel, self._workers.submit(
                Task(kind_of(channel), item.data, item.log_time, detect_only=True))))
            while pending and (len(pending) >= self._workers.capacity
                               or self._workers.is_done(pending[0][1])):
                self._end(*pending.popleft())
        while pending:
            self._end(*pending.popleft())
        self._detections.link([channel for channel in range(len(self._recording.channels))
                               if self._is_frame(channel)])

    def _end(self, channel: int, job: Job) -> None:
        self._workers.result(job)
        self._detections.add(channel, job.detections)
        self._progress.advance(True, len(job.detections.faces or ()) if job.detections else 0)
        self._workers.release(job)


class _Pending(NamedTuple):
    """Something that waits for its turn to be written."""

    #: Of the item in the recording, from 1 on.
    position: int
    item: Any
    #: None for what is no frame.
    job: Job | None = None


class WritingPass(_Pass):
    """The pass that writes the new recording."""

    def __init__(self, planned: Plan, workers: Workers, progress: Progress, options: Options,
                 output: Path, journal: Journal, detections: DetectionLog | None) -> None:
        super().__init__(planned, workers, progress)
        self._journal = journal
        self._keep = options.rules.keep
        kept = [index for index, decision in enumerate(self._decisions)
                if decision.action != LEAVE_OUT]
        self._places = {index: place for place, index in enumerate(kept)}
        channels = [self._recording.channels[index] for index in kept]
        state = journal.state or {}
        self._position = state.get('position', 0)
        self._numbers = state.get('numbers', self._numbers)
        self._cameras: dict[int, Camera] = {}
        self._states: dict[int, dict[str, Any]] = {}
        self._restore(options.values, state.get('trackers', {}))
        self._faces = {channel: detections.faces(channel, self._numbers[channel])
                       for channel in self._cameras} if detections else None
        self._attachments: set[str] = set(state.get('attachments', []))
        self._pending: deque[_Pending] = deque()
        self._waiting = self._frames = 0
        self._written_numbers = list(self._numbers)
        self._last_checkpoint = time.monotonic()
        self._writer = _writer(planned, output, channels, state.get('writer'))

    def run(self) -> None:
        """Write all that is to be in the new recording, in the order of the source.

        :raises BagError: a process ended, or a name to keep fits nothing.
        """
        self._progress.begin('anonymizing', self._frame_count(), sum(self._recording.counts))
        for position, item in enumerate(self._recording.items(), 1):
            if position <= self._position:
                if isinstance(item, Message):
                    self._progress.advance(self._is_frame(item.channel), 0)
                continue
            self._begin(position, item)
            while self._pending and (self._is_full() or self._is_ready(self._pending[0])):
                self._end(self._pending.popleft())
        while self._pending:
            self._end(self._pending.popleft())
        check_kept(self._keep, self._recording.channels, self._attachments)
        if isinstance(self._recording, ImageFolder):
            for name in self._recording.others:
                self._journal.left_out(f'file {name}', 'no image that can be written again')

    def finish(self, provenance: dict[str, Any]) -> None:
        """Write what comes last: index, metadata and provenance."""
        self._writer.finish(provenance, self._recording.custom_data)

    def close(self) -> None:
        """Close the files."""
        self._writer.close()

    def _begin(self, position: int, item: Any) -> None:
        if not isinstance(item, Message):
            self._pending.append(_Pending(position, item))
            return
        if not self._is_frame(item.channel):
            # Left out or copied: either way it keeps its place in the row.
            self._pending.append(_Pending(position, item))
            self._waiting += _OVERHEAD + len(item.data)
            return
        channel, number = self._recording.channels[item.channel], self._numbers[item.channel]
        self._numbers[item.channel] += 1
        faces, camera = None, self._cameras.get(item.channel)
        if self._faces:
            faces, camera = next(self._faces[item.channel]), None
        task = Task(kind_of(channel), item.data, item.log_time, faces=faces,
                    wants_thumbnail=number in self._thumbnails(item.channel))
        job = self._workers.submit(task, camera)
        self._pending.append(_Pending(position, item._replace(data=b''), job))
        self._frames += 1

    def _end(self, pending: _Pending) -> None:
        item, job = pending.item, pending.job
        if isinstance(item, (Attachment, Metadata)):
            self._end_extra(item)
        elif job is None:
            self._waiting -= _OVERHEAD + len(item.data)
            if self._decisions[item.channel].action == COPY:
                self._writer.write(item._replace(channel=self._places[item.channel]))
            self._progress.advance(False, 0)
        else:
            self._frames -= 1
            self._end_frame(item, self._workers.result(job))
            self._workers.release(job)
            if job.camera:
                self._states[item.channel] = job.state
        now = time.monotonic()
        if now - self._last_checkpoint >= _CHECKPOINT_PERIOD:
            state = self._writer.checkpoint()
            if state is not None:
                self._last_checkpoint = now
                self._journal.checkpoint(self._checkpoint(pending.position, state))

    def _end_frame(self, message: Message, result: Result) -> None:
        self._written_numbers[message.channel] += 1
        self._journal.frame({
            'topic': self._recording.channels[message.channel].topic, 'time': message.log_time,
            'stamp': result.stamp, 'status': result.status, 'reason': result.reason,
            'detail': result.detail, 'faces': result.faces, 'thumbnail': result.thumbnail})
        if result.status != 'withheld':
            self._writer.write(message._replace(channel=self._places[message.channel],
                                                data=_joined(result.data)))
        self._progress.advance(True, len(result.faces))

    def _end_extra(self, record: Attachment | Metadata) -> None:
        if self._target.storage != 'mcap':
            self._journal.left_out(f'{type(record).__name__.lower()} {record.name}',
                                   f'a {self._target.storage} recording cannot hold it')
        elif isinstance(record, Attachment) and is_picture(record) \
                and record.name not in self._keep:
            self._journal.left_out(f'attachment {record.name}',
                                   'it may be or hold a picture, which cannot be opened')
        else:
            self._writer.write_extra(record)
        if isinstance(record, Attachment):
            self._attachments.add(record.name)

    def _is_full(self) -> bool:
        return self._frames >= self._workers.capacity or self._waiting > _MOST_WAITING

    def _is_ready(self, pending: _Pending) -> bool:
        return pending.job is None or self._workers.is_done(pending.job)

    def _thumbnails(self, channel: int) -> set[int]:
        """Return the numbers of the frames of which thumbnails are wanted."""
        count = self._recording.counts[channel]
        return {(2 * index + 1) * count // (2 * _THUMBNAILS) for index in range(_THUMBNAILS)}

    def _checkpoint(self, position: int, writer: dict[str, Any]) -> dict[str, Any]:
        trackers = {}
        for channel, state in self._states.items():
            view = state['view']
            trackers[str(channel)] = {**state, 'view': view and [
                base64.b64encode(view_to_bytes(view)).decode(), view.gray.shape, view.width,
                view.height]}
        return {'position': position, 'numbers': self._written_numbers, 'writer': writer,
                'trackers': trackers, 'attachments': sorted(self._attachments)}

    def _restore(self, values: dict[str, Any], trackers: dict[str, Any]) -> None:
        for channel in range(len(self._recording.channels)):
            # Files in a folder are not one after the other in time.
            if not self._is_frame(channel) or self._recording.channels[channel].encoding == FILE:
                continue
            state = trackers.get(str(channel))
            if state is None:
                self._cameras[channel] = Camera(values)
                continue
            if state['view']:
                pixels, *rest = state['view']
                state['view'] = view_from_bytes(base64.b64decode(pixels), *rest)
            self._states[channel] = state
            self._cameras[channel] = Camera(values, tracker_with(state))


def _joined(parts: Sequence[bytes | memoryview]) -> bytes | memoryview:
    return parts[0] if len(parts) == 1 else b''.join(parts)


def _writer(planned: Plan, output: Path, channels: Sequence[Channel],
            state: dict[str, Any] | None) -> RecordingWriter | ImageFolderWriter | VideoFileWriter:
    recording = planned.recording
    if isinstance(recording, ImageFolder):
        return ImageFolderWriter(output, recording.names)
    if isinstance(recording, VideoFile):
        return VideoFileWriter(output, recording)
    if planned.target.storage == 'ros1':
        return RecordingWriter(output.parent, output.stem, channels, planned.target, state)
    return RecordingWriter(output, output.name, channels, planned.target, state)
