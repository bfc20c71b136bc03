# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recordings anonymized from a program, as `anonymize_bag` does it from a command line."""

from collections.abc import Collection
from os import PathLike
from pathlib import Path
from typing import Any

from deid_ros.core.deidentifier import values_of
from deid_ros.core.parameters import thorough as thorough_values
from deid_ros.offboard.recordings.policy.selection import Rules
from deid_ros.offboard.recordings.report import Summary
from deid_ros.offboard.recordings.run.passes import Progress
from deid_ros.offboard.recordings.run.plan import Options
from deid_ros.offboard.recordings.run.runner import run


class _Silent(Progress):
    def begin(self, what: str, frames: int, messages: int) -> None:
        pass

    def advance(self, is_frame: bool, faces: int) -> None:
        pass


def anonymize(source: str | PathLike[str], target: str | PathLike[str], *,
              parameter_file: str | PathLike[str] | None = None, topics: str = '',
              exclude: str = '', keep: Collection[str] = (), storage: str = '',
              compression: str = '', split_size: int = 0, jobs: int = 1,
              thorough: bool = False, bridge_gaps: bool = False, verify: bool = False,
              resume: bool = False, progress: Progress | None = None, **parameters: Any) -> Summary:
    """Write an anonymized copy of a recording; see docs/bags.md.

    With more than one job, call it below `if __name__ == '__main__':`, as its processes import the
    main module again.

    :param source: a rosbag2 folder, an mcap, db3 or ROS 1 file, a video, or a folder of images.
    :param target: what is to be written. It is never overwritten.
    :param parameter_file: a parameter file of the node; None for the defaults.
    :param topics: a pattern that the whole name of a topic must match, else it is left out.
    :param exclude: a pattern of topics that are left out.
    :param keep: names of topics and attachments that are copied, whatever they show.
    :param storage: `mcap`, `sqlite3` or `ros1`; empty for the one that fits the target's name.
    :param compression: `none`, `zstd`, `lz4` or `bz2`; empty for that of the source.
    :param split_size: bytes after which another file is begun; 0 for never.
    :param jobs: how many processes work.
    :param thorough: look for faces in all ways there are, and link them as `bridge_gaps` does.
    :param bridge_gaps: link faces over time first, so that those that are missed are treated.
    :param verify: compare each treated face with its original, and treat again who is recognizable.
    :param resume: go on with a run that was killed.
    :param progress: is told how far it is.
    :param parameters: parameters of the node; see `Deidentifier`.
    :returns: what the report says.
    :raises ConfigurationError: a parameter is not allowed, or a package or file is missing.
    :raises BagError: the recording cannot be read or anonymized; nothing was written that could
        be taken for finished.
    :raises OSError: the same, as the disk is full or a file may not be written.
    """
    values = values_of(parameter_file, parameters)
    return run(Options(Path(source), Path(target), thorough_values(values) if thorough else values,
                       Rules(topics, exclude, frozenset(keep)), storage, compression, split_size,
                       jobs, bridge_gaps or thorough, verify, resume), progress or _Silent())
