# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One flight: frames go out over DDS, anonymized frames come back.

This process is the camera and the consumer; the node is another process, brought up through its
lifecycle services as a launch file does it.
"""

import json
import struct
import threading
import time
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from deid_ros.offboard.common.node_process import NodeProcess
from deid_ros.offboard.common.ros_session import bring_up, spinning_node
from deid_ros.offboard.demo.recorder import BagRecorder
from deid_ros.offboard.demo.source import FrameSource

IMAGE_TOPIC = '/camera/image_raw'
INFO_TOPIC = '/camera/camera_info'
IMAGE_OUTPUT = '/deid' + IMAGE_TOPIC
INFO_OUTPUT = '/deid' + INFO_TOPIC
REPORT_OUTPUT = IMAGE_OUTPUT + '/report'
#: What is recorded: message type by topic.
OUTPUTS = {IMAGE_OUTPUT: 'sensor_msgs/msg/Image', INFO_OUTPUT: 'sensor_msgs/msg/CameraInfo',
           REPORT_OUTPUT: 'std_msgs/msg/String'}

_NODE = '/deid'
_GRAPH_TIMEOUT = 30.0
_SETTLE = 1.0  # a writer discovers a reader a little before the reader discovers the writer
_QUIET = 2.0  # without a report for so long, the node has finished


@dataclass
class FlightLog:
    """What was sent and what came back. Stamps are header stamps in nanoseconds."""

    #: Frame index by stamp.
    sent: dict[int, int] = field(default_factory=dict)
    #: In the order of arrival.
    received: list[int] = field(default_factory=list)
    #: The node's report of a frame by stamp.
    reports: dict[int, dict[str, Any]] = field(default_factory=dict)
    #: Milliseconds from publishing a frame to receiving its anonymized image.
    latencies: list[float] = field(default_factory=list)
    #: The node's own figures, from its diagnostics.
    figures: dict[str, str] = field(default_factory=dict)


def fly(source: FrameSource, node: NodeProcess, recorder: BagRecorder,
        progress: Callable[[Iterable[int]], Iterable[int]]) -> FlightLog:
    """Send all frames of a source through the node at the source's rate.

    :param recorder: takes every message that the node publishes for the camera.
    :param progress: wraps the frame numbers while they are flown.
    :raises NodeProcessError: the node ends, refuses to start, or does not answer in time.
    """
    with spinning_node('simulated_camera') as ros:
        flight = _Flight(ros, source, node, recorder)
        flight.bring_up()
        flight.publish(progress)
        flight.finish()
        return flight.log


class _Flight:
    """The camera's publishers and the consumer's subscriptions; callbacks run in the executor."""

    def __init__(self, ros: Node, source: FrameSource, node: NodeProcess,
                 recorder: BagRecorder) -> None:
        self.log = FlightLog()
        self._ros = ros
        self._source = source
        self._node = node
        self._recorder = recorder
        self._published: dict[int, float] = {}
        self._last_report = 0.0
        self._diagnosed = threading.Event()
        self._images = ros.create_publisher(Image, IMAGE_TOPIC, qos_profile_sensor_data)
        self._infos = ros.create_publisher(CameraInfo, INFO_TOPIC, qos_profile_sensor_data)
        # As they came over the wire: what is recorded is what was received.
        for topic, message_type, callback in (
                (IMAGE_OUTPUT, Image, self._on_image), (INFO_OUTPUT, CameraInfo, self._on_info),
                (REPORT_OUTPUT, String, self._on_report)):
            ros.create_subscription(message_type, topic, callback, QoSProfile(depth=30), raw=True)
        ros.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def bring_up(self) -> None:
        """Configure and activate the node, and wait until all publishers are discovered."""
        bring_up(self._ros, self._node, _NODE)
        self._node.wait(self._is_connected,
                        'The node and the camera do not find each other over DDS.', _GRAPH_TIMEOUT)
        time.sleep(_SETTLE)

    def publish(self, progress: Callable[[Iterable[int]], Iterable[int]]) -> None:
        """Publish all frames, each at its time."""
        rate = self._source.rate
        first_stamp, start = self._ros.get_clock().now().nanoseconds, time.perf_counter()
        for index in progress(range(self._source.frame_count)):
            stamp = first_stamp + round(index * 1e9 / rate)
            message = self._image(index, stamp)
            time.sleep(max(0.0, start + index / rate - time.perf_counter()))
            self.log.sent[stamp] = index
            self._published[stamp] = time.perf_counter()
            self._images.publish(message)
            self._infos.publish(self._info(message))
            self._node.check()

    def finish(self) -> None:
        """Wait for the last images and for the node's final figures."""
        self._last_report = max(self._last_report, time.perf_counter())
        self._node.wait(lambda: time.perf_counter() - self._last_report > _QUIET,
                        'The node goes on without end.', _GRAPH_TIMEOUT)
        self._diagnosed.clear()
        self._node.wait(self._diagnosed.is_set, 'The node gives no diagnostics.', _GRAPH_TIMEOUT)

    def _is_connected(self) -> bool:
        return (self._images.get_subscription_count() > 0
                and self._infos.get_subscription_count() > 0
                and all(self._ros.count_publishers(topic) for topic in OUTPUTS))

    def _image(self, index: int, stamp: int) -> Image:
        bgr = self._source.frame(index)
        height, width = bgr.shape[:2]
        message = Image(height=height, width=width, encoding='bgr8', step=3 * width)
        message.header.frame_id = 'camera_optical_frame'
        message.header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
        message.data = array('B', bgr.tobytes())
        return message

    def _info(self, image: Image) -> CameraInfo:
        focal, x, y = float(image.width), image.width / 2, image.height / 2
        return CameraInfo(
            header=image.header, height=image.height, width=image.width,
            distortion_model='plumb_bob', d=[0.0] * 5,
            k=[focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0],
            r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            p=[focal, 0.0, x, 0.0, 0.0, focal, y, 0.0, 0.0, 0.0, 1.0, 0.0])

    def _on_image(self, serialized: bytes) -> None:
        now = time.perf_counter()
        # The header's stamp comes first, after the four bytes that begin every message. Reading
        # the whole image takes time that the node could use.
        seconds, nanoseconds = struct.unpack_from('<iI', serialized, 4)
        stamp = seconds * 10**9 + nanoseconds
        self.log.received.append(stamp)
        if stamp in self._published:
            self.log.latencies.append(1e3 * (now - self._published[stamp]))
        self._recorder.write(IMAGE_OUTPUT, serialized)

    def _on_info(self, serialized: bytes) -> None:
        self._recorder.write(INFO_OUTPUT, serialized)

    def _on_report(self, serialized: bytes) -> None:
        report = json.loads(deserialize_message(serialized, String).data)
        stamp = report['stamp']['sec'] * 10**9 + report['stamp']['nanosec']
        self.log.reports[stamp] = report
        self._last_report = time.perf_counter()
        self._recorder.write(REPORT_OUTPUT, serialized)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(_NODE):
                self.log.figures.update((item.key, item.value) for item in status.values)
                self._diagnosed.set()
