# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether the node's memory grows: a camera at a steady rate for minutes on end.

Prints the node's resident memory once a minute and fails if it grew by more than 2 % after the
first one.
"""

import argparse
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from tqdm import tqdm

from deid_ros.offboard.benchmarks.node import CAMERA, SIZES, Camera, video_frames
from deid_ros.offboard.common.node_process import (
    NodeProcess,
    NodeProcessError,
    configure_dds_for_images,
    node_command,
    running,
)
from deid_ros.offboard.common.ros_session import bring_up, spinning_node

ALLOWED_GROWTH = 0.02


class Memory(NamedTuple):
    """Resident memory of a process in MiB, as Linux's /proc tells it.

    `shared` is the part that is DDS's shared memory with other processes: its size is fixed, but
    its pages count only once they were used.
    """

    total: float
    shared: float


def memory_of(pid: int) -> Memory:
    """Return the resident memory of a process."""
    kibibytes = {}
    for line in pathlib.Path(f'/proc/{pid}/status').read_text(encoding='ascii').splitlines():
        key, _, value = line.partition(':')
        if key in ('VmRSS', 'RssShmem'):
            kibibytes[key] = int(value.split()[0])
    return Memory(kibibytes['VmRSS'] / 1024, kibibytes['RssShmem'] / 1024)


def soak(node: NodeProcess, send: Callable[[int], object], rate: float, minutes: int
         ) -> list[Memory]:
    """Send frames; return the node's resident memory at the end of each minute."""
    memory = []
    start = time.monotonic()
    for number in tqdm(range(1, round(60 * minutes * rate) + 1), unit='frame', mininterval=5):
        send(number)
        node.check()
        if number % round(60 * rate) == 0:
            memory.append(memory_of(node.pid))
        time.sleep(max(0.0, start + number / rate - time.monotonic()))
    return memory


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; return the exit code."""
    parser = argparse.ArgumentParser(prog='benchmark_soak', description=__doc__.split('\n')[0])
    parser.add_argument('--video', type=pathlib.Path, required=True,
                        help='file to take 20 frames from')
    parser.add_argument('--minutes', type=int, default=10)
    parser.add_argument('--rate', type=float, default=30.0, help='frames per second')
    parser.add_argument('--size', choices=SIZES, default='720p')
    parser.add_argument('-p', '--parameter', action='append', default=[], metavar='NAME:=VALUE',
                        help='parameter of the node; repeat for several')
    options = parser.parse_args(arguments)
    if options.minutes < 2:
        parser.error('--minutes: the first minute is what the others are compared with; give 2 '
                     'or more')

    frames = [cv2.resize(frame, SIZES[options.size], interpolation=cv2.INTER_AREA)
              for frame in video_frames(options.video)]
    figures: dict[str, str] = {}

    def on_diagnostics(message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith(CAMERA):
                figures.update((value.key, value.value) for value in status.values)

    configure_dds_for_images()
    try:
        with tempfile.TemporaryDirectory() as folder, \
                running(node_command(options.parameter),
                        pathlib.Path(folder) / 'node.log') as node, \
                spinning_node('soak') as ros:
            ros.create_subscription(DiagnosticArray, '/diagnostics', on_diagnostics, 1)
            camera = Camera(ros, frames)
            bring_up(ros, node)
            node.wait(lambda: camera.is_connected, 'The node does not subscribe to the camera.')
            memory = soak(node, camera.send, options.rate, options.minutes)
    except NodeProcessError as error:
        print(f'benchmark_soak: {error}', file=sys.stderr)
        return 1
    growth = memory[-1].total / memory[0].total - 1
    print('resident memory after each minute, MiB (of it shared): '
          + ', '.join(f'{each.total:.1f} ({each.shared:.1f})' for each in memory))
    print(f'growth after the first minute: {100 * growth:+.2f} % '
          f'(allowed {100 * ALLOWED_GROWTH:g} %)')
    print(', '.join(f'{key} {figures.get(key)}' for key in (
        'received', 'published', 'superseded', 'withheld', 'faces', 'latency p95 (ms)')))
    return 0 if growth <= ALLOWED_GROWTH and figures.get('withheld') == '0' else 1


if __name__ == '__main__':
    sys.exit(main())
