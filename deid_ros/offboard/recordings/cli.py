# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`anonymize_bag`: an anonymized copy of a recording.

IN is a rosbag2 folder or a single mcap or db3 file, or a ROS 1 bag or a folder of them. OUT is a
new rosbag2 folder, or a ROS 1 bag if it ends in .bag. If IN is a folder of images or a video, so is
OUT. docs/bags.md tells more.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from deid_ros.core.errors import DeidError
from deid_ros.core.parameter_file import read_parameters
from deid_ros.core.parameters import thorough
from deid_ros.offboard.recordings.policy.selection import Rules
from deid_ros.offboard.recordings.report import Summary
from deid_ros.offboard.recordings.run.plan import Options, plan
from deid_ros.offboard.recordings.run.runner import run

#: Exit codes.
DONE, FAILED, WRONG_USE, RECOGNIZABLE = 0, 1, 2, 3


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(
        prog='anonymize_bag', description=str(__doc__).replace('`', ''),
        epilog='Exit codes: 0 done; 1 failed, and there is no OUT; 2 wrong use; 3 done, but with '
               '--verify there were faces that stayed recognizable.')
    result.add_argument('source', type=Path, metavar='IN', help='recording to read')
    result.add_argument('target', type=Path, metavar='OUT', help='new recording; never overwritten')
    result.add_argument('--dry-run', action='store_true',
                        help='only print what would become of each topic')
    result.add_argument('--resume', action='store_true',
                        help='go on with a run of the same options that was killed')
    topics = result.add_argument_group('topics')
    topics.add_argument('--topics', default='', metavar='REGEX',
                        help='leave out all topics whose whole name does not match')
    topics.add_argument('--exclude', default='', metavar='REGEX',
                        help='leave out all topics whose whole name matches')
    topics.add_argument('--keep', action='append', default=[], metavar='NAME',
                        help='copy this topic or attachment as it is, though it may show people; '
                             'may be given several times')
    faces = result.add_argument_group('faces')
    faces.add_argument('--params', type=Path, metavar='FILE',
                       help='parameter file of the node, such as config/uav.yaml')
    faces.add_argument('-p', '--parameter', action='append', default=[], metavar='NAME:=VALUE',
                       help='one parameter of the node; may be given several times')
    faces.add_argument('--thorough', action='store_true',
                       help='look at each frame at several scales, mirrored and turned by '
                            'quarters, with two detectors; implies --bridge-gaps; slow')
    faces.add_argument('--bridge-gaps', action='store_true',
                       help='go through the recording twice, and link faces over time forwards '
                            'and backwards, so that missed ones are treated')
    faces.add_argument('--verify', action='store_true',
                       help='compare each treated face with its original, and treat again what is '
                            'recognizable; slow')
    output = result.add_argument_group('output')
    output.add_argument('--storage', choices=('mcap', 'sqlite3', 'ros1'), default='',
                        help='file format (default: ros1 if OUT ends in .bag, else mcap)')
    output.add_argument('--compression', choices=('none', 'zstd', 'lz4', 'bz2'), default='',
                        help='of chunks (mcap: zstd, lz4; ros1: lz4, bz2) or of messages (sqlite3: '
                             'zstd); default: compressed if IN is')
    output.add_argument('--split-size', type=_mebibytes, default=0, metavar='MIB',
                        help='begin another file when one has as many MiB')
    result.add_argument('--jobs', type=_positive, default=os.cpu_count() or 1, metavar='N',
                        help='processor cores to use (default: all)')
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    given = parser().parse_args(arguments)
    # So that what is under way is ended in order, and the worker processes with it.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return _main(given)
    finally:
        signal.signal(signal.SIGTERM, before)


def _main(given: argparse.Namespace) -> int:
    progress = _Bar()
    try:
        options = _options(given)
        if given.dry_run:
            _print_plan(options)
            return DONE
        with progress:
            summary = run(options, progress)
    except (DeidError, OSError, MemoryError) as error:
        print(f'anonymize_bag: {_sentence_of(error)}', file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print('anonymize_bag: interrupted; --resume goes on with it.', file=sys.stderr)
        return FAILED
    _print_summary(options, summary)
    return RECOGNIZABLE if summary.recognizable else DONE


def _options(given: argparse.Namespace) -> Options:
    values = read_parameters(given.params, given.parameter)
    if given.thorough:
        values = thorough(values)
    return Options(
        given.source, given.target, values,
        Rules(given.topics, given.exclude, frozenset(given.keep)), given.storage,
        given.compression, given.split_size, given.jobs,
        given.bridge_gaps or given.thorough, given.verify,
        given.resume)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not a whole number above 0')
    return value


def _mebibytes(text: str) -> int:
    return _positive(text) << 20


def _sentence_of(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f'{error.filename}: ' if error.filename else ''
        return (f'{place}{error.strerror}. Nothing is finished; --resume goes on once that is put '
                'right.')
    return str(error) or type(error).__name__


def _print_plan(options: Options) -> None:
    with ExitStack() as stack:
        planned = plan(options, stack)
        rows = [(channel.topic, channel.type, str(count), decision.action, decision.reason)
                for channel, count, decision in zip(
                    planned.recording.channels, planned.recording.counts, planned.decisions,
                    strict=True)]
    rows = [('topic', 'type', 'messages', 'becomes', 'because'), *sorted(rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        print('  '.join([*cells, row[4]]).rstrip())
    target, compression = planned.target, planned.target.compression
    form = [target.storage]
    if compression.mode:
        form.append(f'{compression.mode}s compressed by {compression.format}')
    if target.split_size:
        form.append(f'split at {target.split_size >> 20} MiB')
    print(f'\nto {options.target}: {", ".join(form)}')


def _print_summary(options: Options, summary: Summary) -> None:
    print(f'{options.target}: {summary.total("frames")} frames, {summary.total("faces")} faces '
          f'treated, {summary.total("withheld")} frames withheld')
    for name, reason in summary.left_out:
        print(f'left out: {name} ({reason})')
    for name in summary.kept:
        print(f'kept as it is, whatever it shows: {name}')
    for name, topic in summary.topics.items():
        if topic.withheld:
            reasons = sorted({failure['reason'] for failure in topic.failures})
            print(f'withheld: {topic.withheld} frames of {name} ({", ".join(reasons)}); each is in '
                  'the report')
    if summary.total('compared'):
        print(f'verified: {summary.total("compared")} faces compared, '
              f'{summary.total("treated_again")} treated again, {summary.total("missed")} found '
              f'only then, {summary.recognizable} still recognizable')


class _Bar:
    """A progress bar with time to go, rate and faces."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._faces = 0
        self._counts_frames = True

    def __enter__(self) -> '_Bar':
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def begin(self, what: str, frames: int, messages: int) -> None:
        """Begin with a pass; a recording without frames counts its messages."""
        if self._bar is not None:
            self._bar.close()
        self._faces, self._counts_frames = 0, frames > 0
        self._bar = tqdm(total=frames or messages, desc=what, dynamic_ncols=True,
                         unit='frame' if frames else 'message')

    def advance(self, is_frame: bool, faces: int) -> None:
        """Count a message."""
        if is_frame or not self._counts_frames:
            if is_frame:
                self._faces += faces
                self._bar.set_postfix(faces=self._faces, refresh=False)
            self._bar.update()


if __name__ == '__main__':
    sys.exit(main())
