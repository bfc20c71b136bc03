# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`anonymize_bag` for the tests, with a detector that always sees the one face, and with blur."""

import sys
from multiprocessing.synchronize import Event
from pathlib import Path
from unittest import mock

from fakes import FakeDetector
from recordings import FACE

from deid_ros.offboard.recordings import cli


def anonymize(source: Path, target: Path, *options: str) -> int:
    """Run the command in this process; return its exit code."""
    with mock.patch('deid_ros.core.parameters.make_detector', return_value=FakeDetector(FACE)):
        return cli.main([str(source), str(target), '--jobs', '1', '-p', 'deid.method:=blur',
                         '-p', 'detector.width:=640',  # the fake sees its face in any picture
                         *options])


def anonymize_in_small_steps(ready: Event, source: Path, target: Path, *options: str) -> None:
    """Run the command as the main function of a process, with checkpoints as often as can be.

    :param ready: set when all is imported and the command begins.
    """
    with mock.patch('deid_ros.offboard.recordings.run.passes._CHECKPOINT_PERIOD', 0.02), \
            mock.patch('deid_ros.offboard.recordings.formats.mcap_writer.CHUNK_SIZE', 50_000), \
            mock.patch('deid_ros.offboard.recordings.cli._mebibytes', int):
        ready.set()
        sys.exit(anonymize(source, target, *options))
