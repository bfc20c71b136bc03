# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One run, from a recording to its anonymized copy.

Everything is written into a folder beside the target, out of which the target is moved at the very
end. Until then there is nothing that could be taken for finished. What is only needed to go on,
small gray copies of original frames among it, stays behind and is deleted.
"""

import base64
import shutil
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mcap.records import Attachment, Metadata

from deid_ros import __version__
from deid_ros.core.deidentification.identities import draw_key
from deid_ros.core.parameters import KEY, public
from deid_ros.core.tracking.state import tracker_with
from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.formats.image_folder import ImageFolder, ImageFolderWriter
from deid_ros.offboard.recordings.formats.reading import open_recording
from deid_ros.offboard.recordings.formats.recording import FILE, Channel, Message, Recording
from deid_ros.offboard.recordings.formats.ros1 import AsRos2
from deid_ros.offboard.recordings.formats.video import VideoFile, VideoFileWriter
from deid_ros.offboard.recordings.formats.writing import (
    COMPRESSIONS,
    RecordingWriter,
    Target,
    version_like,
)
from deid_ros.offboard.recordings.policy.selection import (
    ANONYMIZE,
    COPY,
    LEAVE_OUT,
    Decision,
    Rules,
    check_kept,
    decide,
    is_picture,
    kind_of,
)
from deid_ros.offboard.recordings.report import REPORT_FILES, Summary, write_reports
from deid_ros.offboard.recordings.run.bridging import Detections
from deid_ros.offboard.recordings.run.fingerprint import Hashes, fingerprint
from deid_ros.offboard.recordings.run.frames import (
    Result,
    Task,
    Work,
    view_from_bytes,
    view_to_bytes,
)
from deid_ros.offboard.recordings.run.journal import Journal
from deid_ros.offboard.recordings.run.workers import Camera, Job, Workers

JOURNAL_FILE = 'journal.jsonl'
#: Holds the secret of an unfinished run; it goes with the folder.
KEY_FILE = 'key'
#: Appended to the target's name while a run is not finished.
UNFINISHED = '.unfinished'
# What is a folder, with the reports in it.
_FOLDERS = ('mcap', 'sqlite3', 'images')
# Bytes of copied messages that may wait for a frame before them.
_MOST_WAITING = 64 << 20
# Of each of them, beside its data.
_OVERHEAD = 300
# Seconds between two checkpoints, at least.
_CHECKPOINT_PERIOD = 1.0
_THUMBNAILS = 6


class Options(NamedTuple):
    """What the user wants."""

    source: Path
    target: Path
    #: Of all parameters, by name.
    values: dict[str, Any]
    rules: Rules = Rules()
    #: `mcap`, `sqlite3` or `ros1`; empty for the one that fits the target's name.
    storage: str = ''
    #: `none`, `zstd`, `lz4` or `bz2`; empty for that of the source.
    compression: str = ''
    split_size: int = 0
    jobs: int = 1
    bridge_gaps: bool = False
    verify: bool = False
    resume: bool = False


class Progress(Protocol):
    """What is told while the run goes on."""

    def begin(self, what: str, frames: int, messages: int) -> None:
        """A pass begins, over so many frames and messages."""

    def advance(self, is_frame: bool, faces: int) -> None:
        """A message is done."""


class Plan(NamedTuple):
    """What will happen to each channel of a recording, and what is written."""

    recording: Recording
    decisions: list[Decision]
    target: Target


def plan(options: Options, stack: ExitStack) -> Plan:
    """Open the source and decide what will happen.

    :param stack: closes the source.
    :raises BagError: it cannot be read, or what is wanted of it cannot be done.
    """
    recording = stack.enter_context(open_recording(options.source))
    if isinstance(recording, (ImageFolder, VideoFile)):
        return _plan_plain(options, recording)
    is_ros1_target = options.storage == 'ros1' or (
        not options.storage and options.target.suffix == '.bag')
    if is_ros1_target and recording.storage != 'ros1':
        raise BagError('A ROS 1 bag is only made from a ROS 1 bag. Name a folder as the target, or '
                       'give --storage.')
    if recording.storage == 'ros1' and not is_ros1_target:
        recording = AsRos2(recording)
    storage = 'ros1' if is_ros1_target else options.storage or 'mcap'
    if storage == 'ros1' and options.split_size:
        raise BagError('--split-size is for rosbag2 recordings; a ROS 1 bag is one file.')
    # Attachments are known at the end only; topics now.
    check_kept([name for name in options.rules.keep if name.startswith('/')],
               recording.channels, ())
    decisions = decide(recording, options.rules)
    return Plan(recording, decisions, Target(
        storage, _compression(options.compression, storage, recording), options.split_size,
        version_like(recording.version), recording.ros_distro))


def _plan_plain(options: Options, recording: ImageFolder | VideoFile) -> Plan:
    """Plan for images or a video, of which the same kind is written."""
    if any((options.storage, options.compression, options.split_size, options.rules != Rules())):
        raise BagError('--storage, --compression, --split-size, --topics, --exclude and --keep are '
                       'for recordings, not for images or videos.')
    suffix = recording.files[0].suffix if isinstance(recording, VideoFile) else ''
    if suffix and options.target.suffix.lower() != suffix.lower():
        raise BagError(f'The target {options.target} must end in {suffix}, as the video does.')
    if options.bridge_gaps and isinstance(recording, ImageFolder):
        raise BagError('--bridge-gaps is for recordings and videos: images of a folder are not one '
                       'after the other in time.')
    return Plan(recording, decide(recording, options.rules), Target(recording.storage))


def run(options: Options, progress: Progress) -> Summary:
    """Write the anonymized copy.

    :returns: what the report says.
    :raises BagError: nothing was written that could be taken for finished.
    :raises OSError: the same, as the disk is full or a file may not be written.
    """
    if options.target.exists():
        raise BagError(f'{options.target} exists already. It is never overwritten: move it away, '
                       'or name another target.')
    folder = options.target.with_name(options.target.name + UNFINISHED)
    if folder.exists() and not options.resume:
        raise BagError(f'{folder} is an unfinished run. Go on with it by --resume, or delete it.')
    with ExitStack() as stack:
        planned = plan(options, stack)
        goes_on = folder.exists()
        if goes_on and not (folder / JOURNAL_FILE).exists() and any(folder.iterdir()):
            raise BagError(f'{folder} is no unfinished run: it has no {JOURNAL_FILE}. Move it '
                           'away.')
        output = folder / _name_in(planned.target.storage, options.target)
        folder.mkdir(parents=True, exist_ok=True)
        if not output.exists():  # There is nothing to go on with, whatever the journal says.
            (folder / JOURNAL_FILE).write_bytes(b'')
        journal = Journal(folder / JOURNAL_FILE, _head(options, planned))
        reports = output if planned.target.storage in _FOLDERS else folder
        reports.mkdir(exist_ok=True)
        stack.callback(journal.close)
        hashes = Hashes(planned.recording.files)
        stack.callback(hashes.stop)
        values = {**options.values, KEY: _run_key(folder, options.values[KEY])}
        if planned.target.storage == 'video':
            values['on_failure'] = 'mask_frame'  # Without a frame, the rest would come too early.
        workers = stack.enter_context(Workers(Work(values, options.verify), options.jobs))
        detections = None
        if options.bridge_gaps:
            detections = Detections(folder, options.values['tracking.hold_frames'])
            stack.callback(detections.close)
            _Look(planned, workers, progress, detections).run()
        copy = _Copy(planned, workers, progress, options, output, journal, detections)
        stack.callback(copy.close)
        provenance = {
            'package': 'deid_ros', 'version': __version__, **workers.provenance,
            'parameters': public({**values, KEY: options.values[KEY]}),
            'bridge_gaps': options.bridge_gaps,
            'verify': options.verify}
        copy.run()
        provenance['input_sha256'] = hashes.result()
        copy.finish(provenance)
        summary = write_reports(reports, planned.recording, planned.decisions, provenance,
                                journal)
    if reports is folder:
        for name in REPORT_FILES:
            (folder / name).rename(options.target.with_name(f'{options.target.stem}.{name}'))
    output.rename(options.target)
    # Only now: until the target has its name, a kill must leave something to go on with.
    shutil.rmtree(folder)
    return summary


def _run_key(folder: Path, wanted: str) -> str:
    """Return the secret that chooses synthetic identities, the same when the run goes on.

    :raises BagError: the unfinished run has another one than is wanted.
    """
    path = folder / KEY_FILE
    if not path.exists():
        # Whole or not at all, as a run that goes on must not take a part of it for its key.
        partial = path.with_suffix('.partial')
        partial.touch(0o600)
        partial.write_text(wanted or draw_key(), encoding='utf-8')
        partial.rename(path)
    key = path.read_text(encoding='utf-8')
    if wanted and wanted != key:
        raise BagError(f'{folder} is an unfinished run with another {KEY}. Go on with that one, or '
                       'delete the folder.')
    return key


def _name_in(storage: str, target: Path) -> str:
    """Return what the target is called in the folder of an unfinished run."""
    return f'{target.stem}.bag' if storage == 'ros1' else target.name


def _head(options: Options, planned: Plan) -> dict[str, Any]:
    """Return all that the result depends on."""
    return {'version of deid_ros': __version__,
            'input': fingerprint(planned.recording.files), 'parameters': public(options.values),
            'choice of topics': [list(decision) for decision in planned.decisions],
            '--storage': planned.target.storage, '--compression': planned.target.compression,
            '--split-size': planned.target.split_size, '--bridge-gaps': options.bridge_gaps,
            '--verify': options.verify}


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


def _compression(wanted: str, storage: str, recording: Recording) -> Any:
    allowed = COMPRESSIONS[storage]
    if not wanted:
        # Compressed as the source is; if that is not possible, in the storage's own way.
        if recording.compression in allowed:
            return recording.compression
        return allowed[1] if recording.compression.mode else allowed[0]
    for compression in allowed:
        if (compression.format or 'none') == wanted:
            return compression
    names = ', '.join(compression.format or 'none' for compression in allowed)
    raise BagError(f'--compression is {wanted!r}; a {storage} recording can have: {names}.')


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


class _Look(_Pass):
    """The first of two passes: finds the faces of all frames."""

    def __init__(self, planned: Plan, workers: Workers, progress: Progress,
                 detections: Detections) -> None:
        super().__init__(planned, workers, progress)
        self._detections = detections

    def run(self) -> None:
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
                Task(kind_of(channel), item.data, item.log_time, only_look=True))))
            while pending and (len(pending) >= self._workers.capacity
                               or self._workers.is_done(pending[0][1])):
                self._end(*pending.popleft())
        while pending:
            self._end(*pending.popleft())
        self._detections.link([channel for channel in range(len(self._recording.channels))
                               if self._is_frame(channel)])

    def _end(self, channel: int, job: Job) -> None:
        self._workers.result(job)
        self._detections.add(channel, job.seen)
        self._progress.advance(True, len(job.seen.faces or ()) if job.seen else 0)
        self._workers.release(job)


class _Pending(NamedTuple):
    """Something that waits for its turn to be written."""

    #: Of the item in the recording, from 1 on.
    position: int
    item: Any
    #: None for what is no frame.
    job: Job | None = None


class _Copy(_Pass):
    """The pass that writes the new recording."""

    def __init__(self, planned: Plan, workers: Workers, progress: Progress, options: Options,
                 output: Path, journal: Journal, detections: Detections | None) -> None:
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
        self._writer.finish(provenance, self._recording.custom_data)

    def close(self) -> None:
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
