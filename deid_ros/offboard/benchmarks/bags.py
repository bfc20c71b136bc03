# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
r"""Measure `anonymize_bag`: throughput, memory, copying, and deface beside it.

    benchmark_bags --video street.mp4 --deface /path/to/deface

Recordings are made from the frames of the video, again and again: `raw` as bgr8 images, `jpeg` as
compressed ones. Each figure is of whole processes, started afresh. Frames per second are those of
the frames between a short and a long run, so that loading the models does not count. Memory is the
sum of the peaks of all processes of a run.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from deid_ros.core.errors import ConfigurationError
from deid_ros.offboard.common.datasets import frames
from deid_ros.offboard.evaluation.report import row

TOOL = (sys.executable, '-m', 'deid_ros.offboard.recordings.cli')
MEASURES = ('throughput', 'memory', 'copy', 'deface')
_TYPES = get_typestore(Stores.ROS2_HUMBLE)
_PERIOD = 40_000_000
_SAMPLE_PERIOD = 0.05


class Run(NamedTuple):
    """What a command took: seconds of the clock and of processors, MiB at the peak if watched."""

    seconds: float
    processor_seconds: float
    peak: float


def measured(command: Sequence[str], watches_memory: bool = False) -> Run:
    """Run a command to its end.

    :param watches_memory: which takes some time of the processors.
    :raises ConfigurationError: it failed.
    """
    os.sync()  # What was written before, the inputs among it, is not for this command to wait for.
    before, start = os.times(), time.monotonic()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        peaks: dict[int, float] = {}
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_SAMPLE_PERIOD):
                for pid in _tree(process.pid):
                    peaks[pid] = max(peaks.get(pid, 0.0), _peak(pid))

        watcher = threading.Thread(target=watch)
        if watches_memory:
            watcher.start()
        code = process.wait()
        done.set()
        if watches_memory:
            watcher.join()
        seconds, after = time.monotonic() - start, os.times()
        if code:
            errors.seek(0)
            raise ConfigurationError(f'{" ".join(command)} ended with {code}: '
                                     f'{errors.read().decode(errors="replace")[-800:]}')
    used = (after.children_user + after.children_system
            - before.children_user - before.children_system)
    return Run(seconds, used, sum(peaks.values()))


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and all below it, as Linux's /proc tells."""
    yield pid
    try:
        for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
            for child in (task / 'children').read_text().split():
                yield from _tree(int(child))
    except OSError:
        return


def _peak(pid: int) -> float:
    try:
        lines = pathlib.Path(f'/proc/{pid}/status').read_text(encoding='ascii').splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith('VmHWM')), 0.0)


def write_recording(path: pathlib.Path, count: int, frames: Sequence[np.ndarray], raw: bool
                    ) -> pathlib.Path:
    """Write a recording of so many images, and a point cloud beside each; return its path."""
    types = _TYPES.types
    name = 'sensor_msgs/msg/Image' if raw else 'sensor_msgs/msg/CompressedImage'
    cloud = 'sensor_msgs/msg/PointCloud2'
    files = [] if raw else [cv2.imencode('.jpg', bgr)[1].reshape(-1) for bgr in frames]
    points = np.zeros(100_000, np.uint8)
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        images = writer.add_connection('/camera/image_raw', name, typestore=_TYPES)
        clouds = writer.add_connection('/lidar', cloud, typestore=_TYPES)
        for number in range(count):
            stamp = number * _PERIOD
            header = types['std_msgs/msg/Header'](
                stamp=types['builtin_interfaces/msg/Time'](
                    sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id='camera')
            bgr = frames[number % len(frames)]
            message: Any
            if raw:
                height, width = bgr.shape[:2]
                message = types[name](header=header, height=height, width=width, encoding='bgr8',
                                      is_bigendian=0, step=3 * width, data=bgr.reshape(-1))
            else:
                message = types[name](header=header, format='jpeg',
                                      data=files[number % len(frames)])
            writer.write(images, stamp, _TYPES.serialize_cdr(message, name))
            scan = types[cloud](header=header, height=1, width=len(points), fields=[],
                                is_bigendian=False, point_step=1, row_step=len(points),
                                data=points, is_dense=True)
            writer.write(clouds, stamp + 1, _TYPES.serialize_cdr(scan, cloud))
    return path


class Benchmark:
    """Makes the inputs in a folder of its own, and runs commands on them."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path) -> None:
        self._options, self._folder = options, folder
        self._frames = [frame for _, frame in zip(range(options.distinct),
                                                  frames(options.video))]
        if not self._frames:
            raise ConfigurationError(f'--video: {options.video} cannot be read as a video.')
        self._numbers = iter(range(1 << 30))
        self._parameters = [word for each in options.parameter for word in ('-p', each)]

    def throughput(self) -> None:
        """Print frames per second by number of jobs."""
        print('\n' + row(('images', 'jobs', 'frames per second', 'against one job',
                          'ms of processor per frame')), row(['---'] * 5), sep='\n')
        short, long = self._options.short, self._options.long
        for kind in ('raw', 'jpeg'):
            bags = [write_recording(self._new(), count, self._frames, kind == 'raw')
                    for count in (short, long)]
            rates: dict[int, float] = {}
            for jobs in self._options.jobs:
                first, second = (measured([*self._command(bag), '--jobs', str(jobs)])
                                 for bag in bags)
                rates[jobs] = (long - short) / (second.seconds - first.seconds)
                used = (second.processor_seconds - first.processor_seconds) / (long - short)
                print(row((kind, jobs, f'{rates[jobs]:.1f}',
                           f'{rates[jobs] / rates[self._options.jobs[0]]:.2f}',
                           f'{1e3 * used:.0f}')), flush=True)

    def memory(self) -> None:
        """Print the peak memory by length of the recording."""
        print('\n' + row(('images', 'frames', 'jobs', 'peak MiB', 'against the first')),
              row(['---'] * 5), sep='\n')
        jobs = self._options.jobs[-1]
        first = 0.0
        for count in self._options.lengths:
            bag = write_recording(self._new(), count, self._frames, raw=False)
            peak = measured([*self._command(bag), '--jobs', str(jobs)], watches_memory=True).peak
            first = first or peak
            print(row(('jpeg', count, jobs, f'{peak:.0f}', f'{100 * (peak / first - 1):+.1f} %')),
                  flush=True)

    def copy(self) -> None:
        """Print how long it takes to copy what is no image, beside rosbags-convert."""
        print('\n' + row(('copied by', 'MB per second', 'processor seconds')), row(['---'] * 3),
              sep='\n')
        bag = write_recording(self._new(), self._options.copied, self._frames, raw=True)
        size = sum(path.stat().st_size for path in bag.iterdir()) / 1e6
        convert = str(pathlib.Path(sys.executable).with_name('rosbags-convert'))
        commands: list[tuple[str, Callable[[pathlib.Path], list[str]]]] = [
            ('anonymize_bag, all topics kept', lambda out: [
                *TOOL, str(bag), str(out), '--keep', '/camera/image_raw', '--jobs', '1',
                '-p', 'detector.type:=dlib_hog', '-p', 'deid.method:=blur']),
            ('rosbags-convert', lambda out: [
                convert, '--src', str(bag), '--dst', str(out), '--dst-storage', 'mcap'])]
        for name, command in commands:
            run = measured(command(self._new()))
            print(row((name, f'{size / run.seconds:.0f}', f'{run.processor_seconds:.1f}')),
                  flush=True)

    def deface(self) -> None:
        """Print how long the video takes, beside deface with the same detector."""
        if not self._options.deface:
            return
        print('\n' + row(('video by', 'detector sees', 'seconds', 'against deface')),
              row(['---'] * 4), sep='\n')
        video, jobs = self._options.video, str(max(self._options.jobs))
        height, width = self._frames[0].shape[:2]
        for seen in (0, 640):
            scale = ['--scale', f'{seen}x{round(seen * height / width)}'] if seen else []
            theirs = measured([self._options.deface, str(video), '-o', f'{self._new()}.mp4',
                               '--replacewith', 'blur', *scale]).seconds
            ours = measured([*TOOL, str(video), f'{self._new()}{video.suffix}', '--jobs', jobs,
                             '-p', f'detector.width:={seen}', '-p', 'deid.method:=blur']).seconds
            label = f'{seen} px' if seen else 'all pixels'
            print(row(('deface', label, f'{theirs:.1f}', '1.00')),
                  row(('anonymize_bag', label, f'{ours:.1f}', f'{ours / theirs:.2f}')),
                  sep='\n', flush=True)

    def _command(self, bag: pathlib.Path) -> list[str]:
        return [*TOOL, str(bag), str(self._new()), *self._parameters]

    def _new(self) -> pathlib.Path:
        return self._folder / f'{next(self._numbers)}'


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(',')]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog='benchmark_bags', description=__doc__.split('\n')[0])
    parser.add_argument('--video', type=pathlib.Path, required=True)
    parser.add_argument('--only', choices=MEASURES, action='append', help='default: all')
    parser.add_argument('--jobs', type=_numbers, default=[1, 2], help='default: 1,2')
    parser.add_argument('--distinct', type=int, default=50, help='frames of the video (50)')
    parser.add_argument('--short', type=int, default=20, help='frames of a short run (20)')
    parser.add_argument('--long', type=int, default=120, help='frames of a long run (120)')
    parser.add_argument('--lengths', type=_numbers, default=[200, 2000],
                        help='frames of the runs whose memory is measured (200,2000)')
    parser.add_argument('--copied', type=int, default=150, help='images to copy (150)')
    parser.add_argument('--deface', default='', help='the executable of deface to compare with')
    parser.add_argument('--folder', type=pathlib.Path, help='where recordings are made, with '
                        'some GB of room (default: that for temporary files)')
    parser.add_argument('-p', '--parameter', action='append', default=[], metavar='NAME:=VALUE',
                        help='parameter of the tool; repeat for several')
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    print(f'{os.cpu_count()} cores; load before: {load:.1f}')
    try:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            benchmark = Benchmark(options, pathlib.Path(folder))
            for name in options.only or MEASURES:
                getattr(benchmark, name)()
    except (ConfigurationError, OSError) as error:
        print(f'benchmark_bags: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
