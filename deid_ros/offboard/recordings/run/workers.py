# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Worker processes: frames go in, and their results come out in any order.

The parent sends each frame to a process. While the process treats it, it asks for the faces that
the camera's tracker gives, and the parent answers in the order of the frames. While one frame waits
for that answer, its process works on another one. So the earliest frame always makes progress.

The parent does one thing at a time, and waits at one place only, for all processes at once. So it
notices the end of one of them whatever it waits for.
"""

import json
import multiprocessing
import os
import selectors
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

import cv2

from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import THREADS_VARIABLE
from deid_ros.core.tracking.state import face_state
from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.run.frames import (
    FrameOptions,
    FrameWorker,
    Result,
    Task,
    result_from_json,
)
from deid_ros.offboard.recordings.run.jobs import Camera, Job, TrackerRequest
from deid_ros.offboard.recordings.run.shared_buffer import SharedBuffer
from deid_ros.offboard.recordings.run.worker_process import (
    WorkerEndpoint,
    detections_from,
    serve,
)

# Of each process. It works on one; the others wait for the tracker, or for their result to be
# written.
_REQUESTS_PER_PROCESS = 4
# Seconds that a process may take to end before it is killed.
_PATIENCE = 5.0
_THREADS = (THREADS_VARIABLE, 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS')


class Workers:
    """Several processes that work on frames; a context manager.

    :param jobs: how many. With one, the work is done in this process, within `submit`.
    :raises ConfigurationError: a model or a package is missing.
    """

    def __init__(self, options: FrameOptions, jobs: int) -> None:
        self._local: FrameWorker | None = None
        self._processes: list[BaseProcess] = []
        self._idle: deque[_Client] = deque()
        self._busy: dict[Job, _Client] = {}
        self._selector = selectors.DefaultSelector()
        #: How many frames may be submitted and not released at once.
        self.capacity = jobs * _REQUESTS_PER_PROCESS if jobs > 1 else 1
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        self._threads_before = threads
        try:
            with _one_thread_each():
                if jobs == 1:
                    self._local = FrameWorker(options)
                    self.provenance = self._local.provenance
                else:
                    self._start(options, jobs)
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
            if task.detect_only:
                job.detections, job.result = self._local.detect(task)
            else:
                job.result = self._local.treat(task, job if camera else None)
            job.end()
            return job
        client = self._busy[job] = self._idle.popleft()
        if camera:
            camera.waiting.append(job)
        client.begin(task, job)
        return job

    def is_done(self, job: Job) -> bool:
        """Tell whether there is a result, without waiting for it."""
        if job.result is None:
            self._poll(0)
        return job.result is not None

    def result(self, job: Job) -> Result:
        """Wait for the result of a frame and return it.

        :raises BagError: a process ended.
        """
        while job.result is None:
            self._poll(None)
        return job.result

    def release(self, job: Job) -> None:
        """Let go of the data of a result: another frame may take their place."""
        if job in self._busy:
            self._idle.append(self._busy.pop(job))

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

    def _start(self, options: FrameOptions, jobs: int) -> None:
        # Forked copies of a process whose libraries have threads can wait for them forever.
        context = multiprocessing.get_context('spawn')
        begun = []
        for _ in range(jobs):
            ends = []
            for _ in range(_REQUESTS_PER_PROCESS):
                ours, theirs = context.Pipe()
                ends.append((ours, WorkerEndpoint(theirs, SharedBuffer(), SharedBuffer())))
            process = context.Process(target=serve, daemon=True,
                                      args=(options, [end for _, end in ends]))
            process.start()
            self._processes.append(process)
            begun.append([_Client(process, ours, end.frames, end.results)
                          for ours, end in ends])
            for _, end in ends:
                end.connection.close()
        for clients in begun:
            self.provenance = clients[0].wait_ready()
            for client in clients:
                self._selector.register(client.connection, selectors.EVENT_READ,
                                        client)
        # One of each process first: two frames that follow each other are for two processes.
        self._idle.extend(each for row in zip(*begun, strict=True) for each in row)

    def _poll(self, seconds: float | None) -> None:
        """Hear what the processes say; wait for it up to some time, None for without end."""
        for key, _ in self._selector.select(seconds):
            job = key.data.receive()
            if job.camera:
                job.camera.answer_waiting()


class _Client:
    """The parent's end of a connection to a worker process."""

    def __init__(self, process: BaseProcess, connection: Connection, frames: SharedBuffer,
                 results: SharedBuffer) -> None:
        self.connection = connection
        self._process, self._frames, self._results = process, frames, results
        self._job: Job | None = None

    def wait_ready(self) -> dict[str, Any]:
        """Return the provenance of the work, once the process is ready."""
        with self._process_alive():
            kind, content = json.loads(self.connection.recv_bytes())
        if kind == 'error':
            raise ConfigurationError(content)
        return dict(content)

    def begin(self, task: Task, job: Job) -> None:
        """Have a frame worked on."""
        self._job, job.reply = job, self.send
        faces = None if task.faces is None else [face_state(face) for face in task.faces]
        self.send([self._frames.put(task.serialized), task.kind, task.time, task.detect_only, faces,
                   task.wants_thumbnail, job.camera is not None])

    def send(self, content: Any) -> None:
        """Tell the process something, as JSON."""
        with self._process_alive():
            self.connection.send_bytes(json.dumps(content).encode())

    def receive(self) -> Job:
        """Take in what the process has said; return the job that it is about."""
        with self._process_alive():
            head, _, pixels = self.connection.recv_bytes().partition(b'\n')
        job = self._job
        assert job
        kind, content = json.loads(head)
        if kind == 'result':
            size, result = content
            job.result = result_from_json(result, self._results.get(size))
        elif kind == 'detected':
            job.detections = detections_from(content, pixels)
        else:
            job.request = TrackerRequest(kind, detections_from(content, pixels))
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
