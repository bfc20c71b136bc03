# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node and a peer that talks to it over real DDS, each with an executor thread of its own."""

import json
import time
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

from deid_ros.core.detection.detector import Detector
from deid_ros.core.faces import Box, Face
from deid_ros.node import deid_node
from deid_ros.offboard.common.ros_session import SpinningThread

TIMEOUT = 20.0
BEST_EFFORT = qos_profile_sensor_data
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE,
                     durability=DurabilityPolicy.TRANSIENT_LOCAL)


class FixedDetector(Detector):
    """Always finds the same faces, after `delay` seconds; `fault` is called first, if set."""

    name = 'fixed'

    def __init__(self, boxes: tuple[Box, ...] = (Box(40, 20, 30, 40),), delay: float = 0.0) -> None:
        self.faces = [Face(box, 0.9) for box in boxes]
        self.delay = delay
        self.fault: Callable[[], Any] | None = None

    def detect(self, bgr: np.ndarray, threshold: float | None = None) -> list[Face]:
        time.sleep(self.delay)
        if self.fault:
            return self.fault()
        return self.faces


def wait_until(condition: Callable[[], Any], what: str, timeout: float = TIMEOUT) -> Any:
    """Return the first true value of `condition`, or fail."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f'timed out after {timeout} s: {what}')


def noise(height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    """Return (height, width, 3) uint8 with which no treatment is invisible."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def image_message(pixels: np.ndarray, encoding: str = 'bgr8', stamp: int = 0) -> Image:
    """Return an Image with the rows of `pixels`, a uint8 array whose first axis is the rows."""
    height = pixels.shape[0] * 2 // 3 if encoding in ('nv12', 'nv21') else pixels.shape[0]
    message = Image(height=height, width=pixels.shape[1], encoding=encoding,
                    step=pixels[0].size)
    message.header.stamp.sec = stamp
    message.header.stamp.nanosec = 500
    message.header.frame_id = 'camera'
    message.data = array('B', pixels.tobytes())
    return message


class Inbox(list):
    """The messages that arrived on a topic."""

    def stamps(self) -> list[int]:
        return [message.header.stamp.sec for message in self]


class Peer:
    """Everything around the node: camera, consumers, tools."""

    def __init__(self) -> None:
        self.node = rclpy.create_node('peer')
        self._spinning = SpinningThread(self.node)

    def listen(self, message_type: Any, topic: str, qos: Any = BEST_EFFORT) -> Inbox:
        inbox = Inbox()
        self.node.create_subscription(message_type, topic, inbox.append, qos)
        return inbox

    def listen_to_images(self, topic: str = '/deid/camera/image_raw', qos: Any = RELIABLE) -> Inbox:
        return self.listen(CompressedImage if topic.endswith('/compressed') else Image, topic, qos)

    def listen_to_reports(self, topic: str = '/deid/camera/image_raw/report') -> Inbox:
        return self.listen(String, topic, RELIABLE)

    def camera(self, topic: str = '/camera/image_raw', qos: Any = BEST_EFFORT) -> Any:
        return self.node.create_publisher(
            CompressedImage if topic.endswith('/compressed') else Image, topic, qos)

    def camera_info(self, topic: str, qos: Any = BEST_EFFORT) -> Any:
        return self.node.create_publisher(CameraInfo, topic, qos)

    def wait_for_subscriber(self, publisher: Any) -> None:
        wait_until(publisher.get_subscription_count, f'nobody subscribed to {publisher.topic_name}')

    def call_enable(self, enabled: bool) -> SetBool.Response:
        client = self.node.create_client(SetBool, '/deid/enable')
        assert client.wait_for_service(TIMEOUT)
        future = client.call_async(SetBool.Request(data=enabled))
        wait_until(future.done, 'no answer from ~/enable')
        return future.result()

    def close(self) -> None:
        self._spinning.stop()
        self.node.destroy_node()


class Rig:
    """A running `DeidNode` beside a peer."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.node = deid_node.DeidNode(parameter_overrides=[
            Parameter(name, value=value) for name, value in parameters.items()])
        self.peer = Peer()
        self._diagnostics = self.peer.listen(DiagnosticArray, '/diagnostics', RELIABLE)
        self._spinning = SpinningThread(self.node)

    def activate(self) -> None:
        assert self.node.trigger_configure().name == 'SUCCESS'
        assert self.node.trigger_activate().name == 'SUCCESS'

    def statuses(self, part: str = '') -> list[Any]:
        """Return all diagnostic statuses whose name ends in `part`, oldest first."""
        return [status for message in list(self._diagnostics) for status in message.status
                if status.name.endswith(part or self.node.get_name())]

    def status(self, part: str = '') -> Any:
        """Return the newest diagnostic status whose name ends in `part`, or None."""
        statuses = self.statuses(part)
        return statuses[-1] if statuses else None

    def figures(self, part: str) -> dict[str, str]:
        status = self.status(part)
        return {value.key: value.value for value in status.values} if status else {}

    def wait_until_settled(self, part: str) -> None:
        """Wait until what was sent so far has arrived or is lost, and none of it still waits."""
        known = len(self.statuses(part))

        def is_settled() -> bool:
            recent = [{value.key: value.value for value in status.values}
                      for status in self.statuses(part)[known:][-3:]]
            return len(recent) == 3 and all(
                figures['received'] == recent[0]['received'] and int(figures['received']) == sum(
                    int(figures[fate]) for fate in (
                        'published', 'masked', 'withheld', 'superseded', 'skipped'))
                for figures in recent)

        wait_until(is_settled, f'frames of {part} still wait: {self.figures(part)}')

    def wait_for_figure(self, part: str, key: str, least: int = 1) -> None:
        wait_until(lambda: float(self.figures(part).get(key, 0)) >= least,
                   f'{key} of {part} stayed below {least}: {self.figures(part)}')

    def close(self) -> None:
        self._spinning.stop()
        self.node.destroy_node()
        self.peer.close()


def faces_in(report: String) -> list[dict[str, Any]]:
    return json.loads(report.data)['faces']


def changed_outside(before: np.ndarray, after: np.ndarray, regions: list[list[int]]) -> int:
    """Return how many values outside of the regions (left, top, right, bottom) differ."""
    differs = before != after
    for left, top, right, bottom in regions:
        differs[top:bottom, left:right] = False
    return int(np.count_nonzero(differs))
