# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node `deid` in a process of its own."""

import contextlib
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

from deid_ros.offboard.demo.errors import DemoError

_SECONDS_TO_STOP = 10.0
_LINES_SHOWN = 12


class NodeProcess:
    """A running node; see `running`."""

    def __init__(self, process: subprocess.Popen, log: pathlib.Path) -> None:
        self._process = process
        self._log = log

    def check(self) -> None:
        """Do nothing while the node runs.

        :raises DemoError: it has ended.
        """
        status = self._process.poll()
        if status is not None:
            raise self.error(f'The node ended by itself with exit status {status}.')

    def error(self, what: str) -> DemoError:
        """Return an error that says what went wrong, with the node's last words."""
        lines = self._log.read_text(encoding='utf-8', errors='replace').splitlines()
        last = '\n'.join(f'    {line}' for line in lines[-_LINES_SHOWN:])
        return DemoError(f'{what} Its last output ({self._log}):\n{last or "    (nothing)"}')


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
