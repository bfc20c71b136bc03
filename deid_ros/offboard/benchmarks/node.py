# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How long a frame takes through the node, and how much of that is not detection.

`benchmark_node` runs the real node in a process of its own and is camera and consumer itself. For
each image size and detector it sends frames one at a time (the next one when the last came back),
which gives latencies without any queue, then as fast as it can, which gives the throughput.
"""

import argparse
import itertools
import json
import pathlib
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String
from tqdm import tqdm

from deid_ros.core.detection import DETECTORS
from deid_ros.offboard.common.node_process import (
    NodeProcess,
    NodeProcessError,
    configure_dds_for_images,
    node_command,
    running,
)
from deid_ros.offboard.common.ros_session import bring_up, spinning_node

SIZES = {'480p': (640, 480), '720p': (1280, 720), '1080p': (1920, 1080)}
CAMERA = '/camera/image_raw'

_WARM_UP = 3  # frames
_FRAME_TIMEOUT = 60.0  # seconds; dlib's network takes several on a small CPU


class Timing(NamedTuple):
    """One frame, in milliseconds.

    `end_to_end` is from publishing the frame to receiving the anonymized one, both hops over DDS
    included; `node` from its arrival in the node to its publishing; the rest are stages of that.
    """

    end_to_end: float
    node: float
    stages: dict[str, float]


class Result(NamedTuple):
    """One row of the table."""

    size: str
    detector: str
    timings: list[Timing]
    frames_per_second: float
    faces_per_frame: float

    def row(self) -> dict[str, Any]:
        """Return the figures by column; times in milliseconds."""
        node = np.array([timing.node for timing in self.timings])
        detect = np.array([timing.stages['detect'] for timing in self.timings])
        end_to_end = np.array([timing.end_to_end for timing in self.timings])
        p50, p95, p99 = np.percentile(end_to_end, [50, 95, 99])
        return {
            'size': self.size, 'detector': self.detector, 'frames': len(self.timings),
            'faces per frame': round(self.faces_per_frame, 1),
            'p50': round(p50, 1), 'p95': round(p95, 1), 'p99': round(p99, 1),
            'detect p50': round(float(np.median(detect)), 1),
            'node without detect p50': round(float(np.median(node - detect)), 1),
            'all without detect p50': round(float(np.median(end_to_end - detect)), 1),
            'share not detect': f'{100 * (1 - detect.sum() / end_to_end.sum()):.0f} %',
            'frames per second': round(self.frames_per_second, 1),
        }


class Camera:
    """Sends frames and waits for them to come back."""

    def __init__(self, ros: Node, frames: Sequence[np.ndarray]) -> None:
        self._messages = [_message(frame) for frame in frames]
        self._arrived = threading.Condition()
        self._received = 0.0  # when the newest image came back
        self.reports: dict[int, dict[str, Any]] = {}
        self._publisher = ros.create_publisher(Image, CAMERA, qos_profile_sensor_data)
        ros.create_subscription(Image, '/deid' + CAMERA, self._on_image, qos_profile_sensor_data,
                                raw=True)
        ros.create_subscription(String, '/deid' + CAMERA + '/report', self._on_report,
                                QoSProfile(depth=100))

    @property
    def is_connected(self) -> bool:
        """Tell whether the node listens."""
        return self._publisher.get_subscription_count() > 0

    def round_trip(self, number: int) -> Timing:
        """Send a frame and wait for it and its report."""
        sent = self.send(number)
        with self._arrived:
            if not self._arrived.wait_for(
                    lambda: self._received > sent and number in self.reports, _FRAME_TIMEOUT):
                raise TimeoutError(f'frame {number} did not come back in {_FRAME_TIMEOUT:g} s')
            stages = dict(self.reports[number]['milliseconds'])
            return Timing(1e3 * (self._received - sent), stages.pop('total'), stages)

    def send(self, number: int) -> float:
        """Send a frame whose stamp is `number` seconds; return when, in `time.perf_counter`."""
        message = self._messages[number % len(self._messages)]
        message.header.stamp.sec = number
        sent = time.perf_counter()
        self._publisher.publish(message)
        return sent

    def _on_image(self, serialized: bytes) -> None:
        with self._arrived:
            self._received = time.perf_counter()
            self._arrived.notify()

    def _on_report(self, message: String) -> None:
        report = json.loads(message.data)
        with self._arrived:
            self.reports[report['stamp']['sec']] = report
            self._arrived.notify()


def measure(size: str, detector: str, frames: Sequence[np.ndarray], seconds: float,
            parameters: Sequence[str]) -> Result:
    """Measure one row.

    :param frames: pictures to send in turn, (H, W, 3) uint8 BGR.
    :param seconds: how long to measure latency, and then again throughput.
    :param parameters: of the node, NAME:=VALUE.
    :raises NodeProcessError: the node does not start or ends.
    :raises TimeoutError: a frame was lost.
    """
    width, height = SIZES[size]
    resized = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
               for frame in frames]
    configure_dds_for_images()
    with tempfile.TemporaryDirectory() as folder, \
            running(node_command([f'detector.type:={detector}', *parameters]),
                    pathlib.Path(folder) / 'node.log') as node, \
            spinning_node('benchmark') as ros:
        camera = Camera(ros, resized)
        bring_up(ros, node)
        node.wait(lambda: camera.is_connected, 'The node does not subscribe to the camera.')
        time.sleep(1.0)  # Its publishers know this reader a little before the writers do.
        return _measure(camera, node, size, detector, seconds)


def _measure(camera: Camera, node: NodeProcess, size: str, detector: str, seconds: float
             ) -> Result:
    numbers = itertools.count(1)
    for _ in range(_WARM_UP):
        camera.round_trip(next(numbers))
    timings: list[Timing] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(timings) < _WARM_UP:
        timings.append(camera.round_trip(next(numbers)))
        node.check()

    # Now a third faster than the node can be, so that there is always a newer frame.
    period = 0.75e-3 * float(np.median([timing.node for timing in timings]))
    before = len(camera.reports)
    start = time.monotonic()
    while time.monotonic() < start + seconds:
        camera.send(next(numbers))
        time.sleep(period)
    rate = (len(camera.reports) - before) / (time.monotonic() - start)
    faces = [len(report['faces']) for report in camera.reports.values()]
    return Result(size, detector, timings, rate, float(np.mean(faces)))


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = ['| ' + ' | '.join(rows[0]) + ' |', '|' + '---|' * len(rows[0])]
    lines += ['| ' + ' | '.join(str(value) for value in row.values()) + ' |' for row in rows]
    return '\n'.join(lines)


def _message(bgr: np.ndarray) -> Image:
    height, width = bgr.shape[:2]
    return Image(height=height, width=width, encoding='bgr8', step=3 * width,
                 data=array('B', bgr.tobytes()))


def video_frames(video: pathlib.Path, count: int = 20) -> list[np.ndarray]:
    """Return the first frames of a video, (H, W, 3) uint8 BGR."""
    capture = cv2.VideoCapture(str(video))
    frames = list(itertools.takewhile(
        lambda frame: frame is not None, (capture.read()[1] for _ in range(count))))
    if not frames:
        raise SystemExit(f'benchmark_node: {video} cannot be read as a video')
    return frames


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog='benchmark_node', description=__doc__.split('\n')[0])
    parser.add_argument('--video', type=pathlib.Path, required=True,
                        help='file to take 20 frames from; how many faces it shows matters')
    parser.add_argument('--sizes', nargs='+', choices=SIZES, default=list(SIZES))
    parser.add_argument('--detectors', nargs='+', choices=DETECTORS, default=list(DETECTORS))
    parser.add_argument('--seconds', type=float, default=10.0,
                        help='of latency, and again of throughput, for each row (default 10)')
    parser.add_argument('--json', type=pathlib.Path, help='also write the rows to this file')
    parser.add_argument('-p', '--parameter', action='append', default=[], metavar='NAME:=VALUE',
                        help='parameter of the node; repeat for several')
    options = parser.parse_args(arguments)

    frames = video_frames(options.video)
    rows = []
    cells = list(itertools.product(options.sizes, options.detectors))
    for size, detector in tqdm(cells, unit='row'):
        try:
            rows.append(measure(size, detector, frames, options.seconds,
                                options.parameter).row())
        except (NodeProcessError, TimeoutError) as error:
            print(f'{size} {detector} was not measured: {error}', file=sys.stderr)
    if not rows:
        return 1
    print(markdown(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
