# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames in several processes at once, and the trackers that see them in order.

The parent process gives each frame to a conversation with one of the others. The frame goes in, and
its result comes out; between the two, the process asks for the faces that the camera's tracker
gives, and the parent answers in the order of the frames. While one conversation waits for that, its
process works on the frame of another. So the earliest frame always goes on.

The parent does one thing at a time, and waits at one place only, for all processes at once: the end
of one of them is noticed whatever is waited for.
"""

import json
import multiprocessing
import os
import selectors
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, NamedTuple

import cv2

from deid_ros.core.errors import ConfigurationError, DeidError
from deid_ros.core.faces import Face
from deid_ros.core.parameters import pipeline_settings
from deid_ros.core.resources import THREADS_VARIABLE
from deid_ros.core.tracking import Tracker, View
from deid_ros.core.tracking.state import face_state, face_with, state_of
from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.policy.messages import Kind
from deid_ros.offboard.recordings.run.frames import (
    Follower,
    FrameWorker,
    Result,
    Seen,
    Task,
    Work,
    result_from_json,
    result_to_json,
    view_from_bytes,
    view_to_bytes,
)
from deid_ros.offboard.recordings.run.slot import Slot

# Of each process: one works, the others wait for the tracker or for their result to be written.
_CONVERSATIONS = 4
# Seconds that a process may take to end before it is killed.
_PATIENCE = 5.0
_THREADS = (THREADS_VARIABLE, 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS')


class Camera:
    """The tracker of one camera, and the frames that it has not seen yet, in their order.

    :param values: of all parameters, by name.
    """

    def __init__(self, values: dict[str, Any], tracker: Tracker | None = None) -> None:
        settings = pipeline_settings(values)
        self.interval, self.hold_frames = settings.detection_interval, settings.hold_frames
        self.tracker = tracker or Tracker()
        self.waiting: deque[Job] = deque()

    def go_on(self) -> None:
        """Answer the questions that can be answered: those of the first frame in the row."""
        while self.waiting:
            job = self.waiting[0]
            if job.question is None and job.result is None:
                return
            if job.question is not None and not job.answer():
                continue  # Its detector must look first, or not; then it will ask for the faces.
            job.end()
            self.waiting.popleft()


class Job:
    """A frame that is worked on; the `Follower` of its camera.

    :param camera: None if it is not tracked.
    """

    def __init__(self, camera: Camera | None = None) -> None:
        self.camera = camera
        self.conversation: _Conversation | None = None
        self.question: _Question | None = None
        #: What is seen in it, if only that was wanted and it could be opened.
        self.seen: Seen | None = None
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

    def update(self, seen: Seen) -> list[Face]:
        """Return the faces of the frame."""
        assert self.camera
        self.is_due(seen.seconds, seen.view)
        return self.camera.tracker.update(seen.faces, self.camera.hold_frames)

    def answer(self) -> bool:
        """Answer the question; tell whether it was the last."""
        assert self.question
        assert self.conversation
        (kind, seen), self.question = self.question, None
        if kind == 'due':
            self.conversation.send(self.is_due(seen.seconds, seen.view))
            return False
        self.conversation.send([face_state(face) for face in self.update(seen)])
        return True

    def end(self) -> None:
        """Note what the tracker knows."""
        if self.camera:
            self.state = state_of(self.camera.tracker)


class _Question(NamedTuple):
    """What a process asks of the tracker: `due` or `update`, as in `Follower`."""

    kind: str
    seen: Seen


class Workers:
    """Several processes that work on frames; a context manager.

    :param jobs: how many. With one, the work is done in this process, within `submit`.
    :raises ConfigurationError: a model or a package is missing.
    """

    def __init__(self, work: Work, jobs: int) -> None:
        self._local: FrameWorker | None = None
        self._processes: list[BaseProcess] = []
        self._idle: deque[_Conversation] = deque()
        self._selector = selectors.DefaultSelector()
        #: How many frames may be submitted and not released at once.
        self.capacity = jobs * _CONVERSATIONS if jobs > 1 else 1
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        self._threads_before = threads
        try:
            with _one_thread_each():
                if jobs == 1:
                    self._local = FrameWorker(work)
                    self.provenance = self._local.provenance
                else:
                    self._start(work, jobs)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> 'Workers':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def submit(self, task: Task, camera: Camera | None = None) -> Job:
        """Begin to work on a frame; the frames of one camera in their order.

        :param camera: None if the frame is not tracked.
        """
        job = Job(camera)
        if self._local:
            if task.only_look:
                job.seen, job.result = self._local.look(task)
            else:
                job.result = self._local.treat(task, job if camera else None)
            job.end()
            return job
        conversation = self._idle.popleft()
        if camera:
            camera.waiting.append(job)
        conversation.begin(task, job)
        return job

    def is_done(self, job: Job) -> bool:
        """Tell whether there is a result, without waiting for it."""
        if job.result is None:
            self._listen(0)
        return job.result is not None

    def result(self, job: Job) -> Result:
        """Wait for the result of a frame and return it.

        :raises BagError: a process ended.
        """
        while job.result is None:
            self._listen(None)
        return job.result

    def release(self, job: Job) -> None:
        """Let go of the data of a result: another frame may take their place."""
        if job.conversation:
            self._idle.append(job.conversation)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(_PATIENCE)
            if process.exitcode is None:
                process.kill()
                process.join()
        self._selector.close()
        cv2.setNumThreads(self._threads_before)

    def _start(self, work: Work, jobs: int) -> None:
        # Forked copies of a process whose libraries have threads can wait for them forever.
        context = multiprocessing.get_context('spawn')
        begun = []
        for _ in range(jobs):
            ends = []
            for _ in range(_CONVERSATIONS):
                ours, theirs = context.Pipe()
                ends.append((ours, _End(theirs, Slot(), Slot())))
            process = context.Process(target=_serve, daemon=True,
                                      args=(work, [end for _, end in ends]))
            process.start()
            self._processes.append(process)
            begun.append([_Conversation(process, ours, end.frames, end.results)
                          for ours, end in ends])
            for _, end in ends:
                end.connection.close()
        for conversations in begun:
            self.provenance = conversations[0].greeting()
            for conversation in conversations:
                self._selector.register(conversation.connection, selectors.EVENT_READ,
                                        conversation)
        # One of each process first: two frames that follow each other are for two processes.
        self._idle.extend(each for row in zip(*begun, strict=True) for each in row)

    def _listen(self, seconds: float | None) -> None:
        """Hear what the processes say; wait for it up to some time, None for without end."""
        for key, _ in self._selector.select(seconds):
            job = key.data.hear()
            if job.camera:
                job.camera.go_on()


class _End(NamedTuple):
    """A process' end of a conversation."""

    connection: Connection
    #: Frames come in by one and results go out by the other: nothing that was not made there can
    #: be taken for a result.
    frames: Slot
    results: Slot


class _Conversation:
    """The parent's end of a conversation."""

    def __init__(self, process: BaseProcess, connection: Connection, frames: Slot, results: Slot
                 ) -> None:
        self.connection = connection
        self._process, self._frames, self._results = process, frames, results
        self._job: Job | None = None

    def greeting(self) -> dict[str, Any]:
        """Return the provenance of the work, once the process is ready."""
        with self._process_alive():
            kind, content = json.loads(self.connection.recv_bytes())
        if kind == 'error':
            raise ConfigurationError(content)
        return dict(content)

    def begin(self, task: Task, job: Job) -> None:
        """Have a frame worked on."""
        self._job, job.conversation = job, self
        faces = None if task.faces is None else [face_state(face) for face in task.faces]
        self.send([self._frames.put(task.serialized), task.kind, task.time, task.only_look, faces,
                   task.wants_thumbnail, job.camera is not None])

    def send(self, content: Any) -> None:
        """Tell the process something, as JSON."""
        with self._process_alive():
            self.connection.send_bytes(json.dumps(content).encode())

    def hear(self) -> Job:
        """Take in what the process has said; return the job that it is about."""
        with self._process_alive():
            head, _, pixels = self.connection.recv_bytes().partition(b'\n')
        job = self._job
        assert job
        kind, content = json.loads(head)
        if kind == 'result':
            size, result = content
            job.result = result_from_json(result, self._results.get(size))
        elif kind == 'seen':
            job.seen = _seen(content, pixels)
        else:
            job.question = _Question(kind, _seen(content, pixels))
        return job

    @contextmanager
    def _process_alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            self._process.join(1)
            code = self._process.exitcode
            what = 'failed' if code is None else f'ended (exit code {code})'
            raise BagError(
                f'A worker process {what}. If the memory was full, which ends processes by signal '
                '9, use fewer --jobs.') from error


class _Asking:
    """The process' end of a camera's tracker; a `Follower`.

    :param working: held while this process works; let go of while it waits for an answer.
    """

    def __init__(self, connection: Connection, working: threading.Lock) -> None:
        self._connection, self._working = connection, working

    def is_due(self, seconds: float, view: View) -> bool:
        return bool(self._ask('due', Seen(seconds, view, None)))

    def update(self, seen: Seen) -> list[Face]:
        return [face_with(face) for face in self._ask('update', seen)]

    def _ask(self, kind: str, seen: Seen) -> Any:
        # The answer may wait for an earlier frame, which another conversation may have.
        self._working.release()
        try:
            _send_seen(self._connection, kind, seen)
            return json.loads(self._connection.recv_bytes())
        finally:
            self._working.acquire()


def _serve(work: Work, ends: list[_End]) -> None:
    """Work on frames until the parent process hangs up: the main function of a process."""
    # The terminal sends it to all processes; it is for the parent to end the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    try:
        worker = FrameWorker(work)
    except DeidError as error:
        ends[0].connection.send_bytes(json.dumps(['error', str(error)]).encode())
        return
    ends[0].connection.send_bytes(json.dumps(['ready', worker.provenance]).encode())
    working = threading.Lock()
    threads = [threading.Thread(target=_converse, args=(worker, end, working)) for end in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _converse(worker: FrameWorker, end: _End, working: threading.Lock) -> None:
    """Hold one conversation."""
    # However it ends, the parent must not wait for an answer that never comes.
    with end.connection, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            _answer(worker, end, working)


def _answer(worker: FrameWorker, end: _End, working: threading.Lock) -> None:
    size, kind, time, only_look, faces, wants_thumbnail, is_tracked = json.loads(
        end.connection.recv_bytes())
    task = Task(Kind(*kind), end.frames.get(size), time, only_look,
                None if faces is None else [face_with(face) for face in faces],
                wants_thumbnail)
    seen = None
    with working:
        if task.only_look:
            seen, result = worker.look(task)
        else:
            follower: Follower | None = _Asking(end.connection, working) if is_tracked else None
            result = worker.treat(task, follower)
        size = end.results.put(*result.data)
    if seen:
        _send_seen(end.connection, 'seen', seen)
    end.connection.send_bytes(json.dumps(['result', [size, result_to_json(result)]]).encode())


def _send_seen(connection: Connection, kind: str, seen: Seen) -> None:
    """Send a line of JSON, and the pixels of the view behind it."""
    faces = None if seen.faces is None else [face_state(face) for face in seen.faces]
    head = json.dumps([kind, [
        seen.seconds, faces, seen.view.gray.shape, seen.view.width, seen.view.height]])
    connection.send_bytes(head.encode() + b'\n' + view_to_bytes(seen.view))


def _seen(content: Sequence[Any], pixels: bytes) -> Seen:
    seconds, faces, shape, width, height = content
    return Seen(seconds, view_from_bytes(pixels, shape, width, height),
                None if faces is None else [face_with(face) for face in faces])


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let the networks that are loaded here, or in processes begun here, use one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, '1'))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
