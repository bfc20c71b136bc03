# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames in several processes at once, and the trackers that see them in order.

Each process holds two conversations, each on a thread, so that it works on one frame while another
travels. In each of them a frame goes in and its result comes out; between the two, the process asks
for the faces that the camera's tracker gives, which waits for the tracker's answers to earlier
frames. While it waits, it lets the other conversation work. So the earliest frame always goes on.
"""

import json
import multiprocessing
import os
import queue
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2

from deid_ros.core.errors import ConfigurationError, DeidError
from deid_ros.core.faces import Face
from deid_ros.core.parameters import pipeline_settings
from deid_ros.core.resources import THREADS_VARIABLE
from deid_ros.core.tracking import Tracker, View
from deid_ros.core.tracking.state import face_state, face_with, state_of
from deid_ros.offboard.bag.errors import BagError
from deid_ros.offboard.bag.frames import (
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
from deid_ros.offboard.bag.messages import Kind
from deid_ros.offboard.bag.slot import Slot

_CONVERSATIONS = 2
_THREADS = (THREADS_VARIABLE, 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS')


class Camera:
    """The tracker of one camera, which takes its frames in turn.

    :param values: of all parameters, by name.
    """

    def __init__(self, values: dict[str, Any], tracker: Tracker | None = None) -> None:
        settings = pipeline_settings(values)
        self.interval, self.hold_frames = settings.detection_interval, settings.hold_frames
        self.tracker = tracker or Tracker()
        self._next_ticket = self._turn = 0
        self._changed = threading.Condition()
        self._is_broken = False

    def ticket(self) -> 'Ticket':
        """Return the place in the row of the frame that comes next."""
        ticket = Ticket(self, self._next_ticket)
        self._next_ticket += 1
        return ticket

    def wait_for(self, number: int) -> None:
        """Wait until it is this frame's turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._turn == number or self._is_broken)
            if self._is_broken:
                raise BagError('an earlier frame was lost')

    def pass_on(self, number: int) -> None:
        """End this frame's turn."""
        with self._changed:
            self._turn = number + 1
            self._changed.notify_all()

    def give_up(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._is_broken = True
            self._changed.notify_all()


class Ticket:
    """A frame's place in its camera's row; a `Follower`."""

    def __init__(self, camera: Camera, number: int) -> None:
        self._camera, self._number = camera, number
        self._has_begun = False
        #: What the tracker knows once this frame is done; see `state_of`.
        self.state: dict[str, Any] = {}

    def is_due(self, seconds: float, view: View) -> bool:
        """Go on to this frame, if not done yet; tell whether the detector must look at it."""
        self._camera.wait_for(self._number)
        if not self._has_begun:
            self._has_begun = True
            self._camera.tracker.advance(seconds, view)
        return self._camera.tracker.is_detection_due(self._camera.interval)

    def update(self, seen: Seen) -> list[Face]:
        """Return the faces of the frame."""
        self.is_due(seen.seconds, seen.view)
        return self._camera.tracker.update(seen.faces, self._camera.hold_frames)

    def give_up(self) -> None:
        """Let no frame of the camera wait any more: this one is lost."""
        self._camera.give_up()

    def end(self) -> None:
        """Let the next frame have its turn."""
        self._camera.wait_for(self._number)
        self.state = state_of(self._camera.tracker)
        self._camera.pass_on(self._number)


class Workers:
    """Several processes that work on frames; a context manager.

    :param jobs: how many. With one, the work is done in this process, within `submit`.
    :raises ConfigurationError: a model or a package is missing.
    """

    def __init__(self, work: Work, jobs: int) -> None:
        self._work = work
        self._jobs = jobs
        self._local: FrameWorker | None = None
        self._processes: list[BaseProcess] = []
        self._idle: queue.SimpleQueue[_Conversation] = queue.SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None
        #: How many frames may be under way at once.
        self.capacity = jobs * _CONVERSATIONS if jobs > 1 else 1
        self._stack = ExitStack()
        self._stack.enter_context(_one_thread_each())
        try:
            if jobs == 1:
                self._local = FrameWorker(work)
                self.provenance = self._local.provenance
            else:
                self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> 'Workers':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def submit(self, task: Task, ticket: Ticket | None) -> 'Future[tuple[Seen | None, Result]]':
        """Begin to work on a frame; the frames of one camera in their order.

        :param ticket: the frame's place in the row of its camera; None if it is not tracked.
        """
        if self._threads:
            return self._threads.submit(self._talk, task, ticket)
        done: Future[tuple[Seen | None, Result]] = Future()
        assert self._local
        try:
            if task.only_look:
                done.set_result(self._local.look(task))
            else:
                done.set_result((None, self._local.treat(task, ticket)))
        finally:
            if ticket:
                ticket.end()
        return done

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        if self._threads:
            # Those that wait for their process find that it has ended.
            self._threads.shutdown(cancel_futures=True)
        self._stack.close()

    def _start(self) -> None:
        # Forked copies of a process whose libraries have threads can wait for them forever.
        context = multiprocessing.get_context('spawn')
        folder = Path(self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix='anonymize_bag-')))
        conversations: list[_Conversation] = []
        for _ in range(self._jobs):
            pairs = [context.Pipe() for _ in range(_CONVERSATIONS)]
            paths = [folder / f'{len(conversations) + index}' for index in range(_CONVERSATIONS)]
            process = context.Process(target=_serve, daemon=True,
                                      args=(self._work, [theirs for _, theirs in pairs], paths))
            process.start()
            self._processes.append(process)
            for (ours, theirs), path in zip(pairs, paths, strict=True):
                theirs.close()
                conversations.append(_Conversation(process, ours, Slot(path)))
        for conversation in conversations[::_CONVERSATIONS]:
            self.provenance = conversation.greeting()
        # One of each process first: two frames that follow each other are for two processes.
        for first in range(_CONVERSATIONS):
            for conversation in conversations[first::_CONVERSATIONS]:
                self._idle.put(conversation)
        self._threads = ThreadPoolExecutor(len(conversations), thread_name_prefix='frames')

    def _talk(self, task: Task, ticket: Ticket | None) -> tuple[Seen | None, Result]:
        conversation = self._idle.get()
        try:
            return conversation.run(task, ticket)
        except BaseException:
            if ticket:
                ticket.give_up()
            raise
        finally:
            if ticket:
                with suppress(BagError):
                    ticket.end()
            self._idle.put(conversation)


class _Conversation:
    """The parent's end of a conversation."""

    def __init__(self, process: BaseProcess, connection: Connection, slot: Slot) -> None:
        self._process, self._connection, self._slot = process, connection, slot

    def greeting(self) -> dict[str, Any]:
        """Return the provenance of the work, once the process is ready."""
        with self._process_alive():
            kind, content = json.loads(self._connection.recv_bytes())
        if kind == 'error':
            raise ConfigurationError(content)
        return dict(content)

    def run(self, task: Task, ticket: Ticket | None) -> tuple[Seen | None, Result]:
        """Have a frame worked on."""
        with self._process_alive():
            faces = None if task.faces is None else [face_state(face) for face in task.faces]
            size = self._slot.put(task.serialized)
            self._connection.send_bytes(json.dumps([
                size, task.kind, task.time, task.only_look, faces, task.wants_thumbnail,
                ticket is not None]).encode())
            seen = None
            while True:
                kind, content = json.loads(self._connection.recv_bytes())
                if kind == 'result':
                    size, result = content
                    return seen, result_from_json(result, bytes(self._slot.get(size)))
                seen = self._seen(content)
                if kind == 'due':
                    assert ticket
                    self._connection.send_bytes(
                        json.dumps(ticket.is_due(seen.seconds, seen.view)).encode())
                elif kind == 'update':
                    assert ticket
                    self._connection.send_bytes(json.dumps(
                        [face_state(face) for face in ticket.update(seen)]).encode())

    def _seen(self, content: Sequence[Any]) -> Seen:
        seconds, faces, shape, width, height = content
        view = view_from_bytes(self._connection.recv_bytes(), shape, width, height)
        return Seen(seconds, view,
                    None if faces is None else [face_with(face) for face in faces])

    @contextmanager
    def _process_alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            self._process.join(1)
            raise BagError(
                f'A worker process ended (exit code {self._process.exitcode}). If the memory was '
                'full, which ends processes by signal 9, use fewer --jobs.') from error


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
        # The answer may wait for an earlier frame, which the other conversation may have.
        self._working.release()
        try:
            _send_seen(self._connection, kind, seen)
            return json.loads(self._connection.recv_bytes())
        finally:
            self._working.acquire()


def _serve(work: Work, connections: list[Connection], paths: list[Path]) -> None:
    """Work on frames until the parent process hangs up: the main function of a process."""
    # The terminal sends it to all processes; it is for the parent to end the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    try:
        worker = FrameWorker(work)
    except DeidError as error:
        connections[0].send_bytes(json.dumps(['error', str(error)]).encode())
        return
    connections[0].send_bytes(json.dumps(['ready', worker.provenance]).encode())
    working = threading.Lock()
    threads = [threading.Thread(target=_listen, args=(worker, connection, Slot(path), working))
               for connection, path in zip(connections, paths, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _listen(worker: FrameWorker, connection: Connection, slot: Slot, working: threading.Lock
            ) -> None:
    """Hold one conversation."""
    # However it ends, the parent must not wait for an answer that never comes.
    with connection, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            _answer(worker, connection, slot, working)


def _answer(worker: FrameWorker, connection: Connection, slot: Slot, working: threading.Lock
            ) -> None:
    size, kind, time, only_look, faces, wants_thumbnail, is_tracked = json.loads(
        connection.recv_bytes())
    task = Task(Kind(*kind), slot.get(size), time, only_look,
                None if faces is None else [face_with(face) for face in faces],
                wants_thumbnail)
    seen = None
    with working:
        if task.only_look:
            seen, result = worker.look(task)
        else:
            follower: Follower | None = _Asking(connection, working) if is_tracked else None
            result = worker.treat(task, follower)
    if seen:
        _send_seen(connection, 'seen', seen)
    connection.send_bytes(json.dumps(
        ['result', [slot.put(result.data), result_to_json(result)]]).encode())


def _send_seen(connection: Connection, kind: str, seen: Seen) -> None:
    faces = None if seen.faces is None else [face_state(face) for face in seen.faces]
    connection.send_bytes(json.dumps([kind, [
        seen.seconds, faces, seen.view.gray.shape, seen.view.width, seen.view.height]]).encode())
    connection.send_bytes(view_to_bytes(seen.view))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let the networks of this process, and of those begun here, use one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    threads = cv2.getNumThreads()
    os.environ.update(dict.fromkeys(_THREADS, '1'))
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
