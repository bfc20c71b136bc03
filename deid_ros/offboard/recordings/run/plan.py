# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a run is asked for, and the plan that is made of it before anything is written."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.formats.image_folder import ImageFolder
from deid_ros.offboard.recordings.formats.reading import open_recording
from deid_ros.offboard.recordings.formats.recording import Recording
from deid_ros.offboard.recordings.formats.ros1 import AsRos2
from deid_ros.offboard.recordings.formats.video import VideoFile
from deid_ros.offboard.recordings.formats.writing import COMPRESSIONS, Target, version_like
from deid_ros.offboard.recordings.policy.selection import Decision, Rules, check_kept, decide


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
