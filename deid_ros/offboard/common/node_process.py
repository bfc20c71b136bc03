# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node `deid` in a process of its own, for the demo and the benchmarks."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from deid_ros.core.resources import shared_directory

# Where Fast DDS looks for its settings: before version 3, and from it on (Kilted).
_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_SECONDS_TO_STOP = 10.0
_LINES_SHOWN = 12


def configure_dds_for_images() -> None:
    """Set up Fast DDS so that this process and its children send large images without loss.

    With the settings that Fast DDS comes with, a 720p image of a best-effort camera does not fit
    in its half megabyte of shared memory and is lost. See config/fastdds.xml.
    """
    for variable in _PROFILE_VARIABLES:
        os.environ.setdefault(variable, str(shared_directory('config') / 'fastdds.xml'))


class NodeProcessError(Exception):
    """The node ended, refused, or did not answer; the message holds its last output."""


class NodeProcess:
    """A running node; see `running`."""

    def __init__(self, process: subprocess.Popen, log: pathlib.Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def check(self) -> None:
        """Do nothing while the node runs.

        :raises NodeProcessError: it has ended.
        """
        status = self._process.poll()
        if status is not None:
            raise self.error(f'The node ended by itself with exit status {status}.')

    def wait(self, condition: Callable[[], bool], problem: str, seconds: float = 60.0) -> None:
        """Wait until a condition holds.

        :raises NodeProcessError: the node ended, or it took too long; says `problem`.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise self.error(f'{problem} ({seconds:g} seconds have passed.)')
            time.sleep(0.02)

    def error(self, what: str) -> NodeProcessError:
        """Return an error that says what went wrong, with the node's last output."""
        lines = self._log.read_text(encoding='utf-8', errors='replace').splitlines()
        last = '\n'.join(f'    {line}' for line in lines[-_LINES_SHOWN:])
        return NodeProcessError(
            f'{what} Its last output ({self._log}):\n{last or "    (nothing)"}')


def node_command(parameters: Sequence[str]) -> list[str]:
    """Return the command line of the node.

    :param parameters: as after `-p` on a ROS command line, NAME:=VALUE.
    """
    command = [sys.executable, '-m', 'deid_ros.node.deid_node', '--ros-args']
    for parameter in parameters:
        command += ['-p', parameter]
    return command


@contextlib.contextmanager
def running(command: Sequence[str], log: pathlib.Path) -> Iterator[NodeProcess]:
    """Run a node while the block runs.

    :param log: file that takes everything the node prints.
    """
    # A session of its own: Ctrl-C reaches this process alone, which then ends the node in order.
    with log.open('wb') as output, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True) as process:
        try:
            yield NodeProcess(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
