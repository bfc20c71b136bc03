# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The topics of one camera: what comes in, what goes out."""

import threading
import time
from typing import Any, Callable, List, NamedTuple, Optional

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from deid_ros.core.failsafe import Outcome
from deid_ros.core.image_codec import encode_jpeg
from deid_ros.core.report import report_json
from deid_ros.core.tracking import Tracker
from deid_ros.node.qos import node_name, publisher_qos
from deid_ros.node.rate_limit import RateLimit
from deid_ros.node.statistics import CameraStatistics
from deid_ros.node.subscription import MatchingSubscription
from deid_ros.node.topics import CameraTopics


class ArrivedFrame(NamedTuple):
    """A serialized image message and when it came, in seconds of `time.perf_counter`."""

    serialized: bytes
    arrival: float


class Camera:
    """Publishers and subscriptions of one input topic.

    All methods belong to the executor's thread, but for `open` and `publish`, which the worker
    calls. The worker has `tracker` to itself.
    """

    def __init__(self, node: Node, topics: CameraTopics, publish_compressed: bool,
                 reliability: str, forward_camera_info: bool,
                 on_frame: Callable[['Camera', ArrivedFrame], None]) -> None:
        self.topics = topics
        self.statistics = CameraStatistics()
        self.rate_limit = RateLimit()
        self.tracker = Tracker()
        self._node = node
        self._type = CompressedImage if topics.is_compressed else Image
        self._publish_compressed = publish_compressed and not topics.is_compressed
        # Held while the image publishers are used or replaced.
        self._advertising = threading.Lock()
        self._images = MatchingSubscription(
            node, self._type, topics.image, reliability,
            lambda serialized: on_frame(self, ArrivedFrame(serialized, time.perf_counter())))
        self._camera_infos: Optional[MatchingSubscription] = None
        # First, as overrides of the QoS may be wrong: nothing is left behind then.
        self._advertise(DurabilityPolicy.VOLATILE)
        self._reports = node.create_publisher(
            String, topics.report, publisher_qos(DurabilityPolicy.VOLATILE))
        if forward_camera_info:
            self._camera_info_output = node.create_publisher(
                CameraInfo, topics.output_camera_info, publisher_qos(DurabilityPolicy.VOLATILE))
            self._camera_infos = MatchingSubscription(
                node, CameraInfo, topics.camera_info, 'auto', self._camera_info_output.publish)

    def update(self, enabled: bool, always_process: bool) -> None:
        """Follow the graph: subscribe to the input only while an output has a subscriber."""
        if self._camera_infos:
            self._camera_infos.update(enabled)
        self._images.update(enabled and (always_process or self.has_subscribers()))
        qos = self._images.qos
        if qos is not None and qos.durability != self._durability:
            with self._advertising:
                self._unadvertise()
                self._advertise(qos.durability)

    def has_subscribers(self) -> bool:
        """Tell whether anybody listens to the images or the reports."""
        return any(publisher.get_subscription_count()
                   for publisher in self._image_publishers() + [self._reports])

    @property
    def input_problem(self) -> str:
        """Why images cannot arrive, empty if they can."""
        return self._images.problem

    def raw_subscribers(self) -> List[str]:
        """Return the full names of the other nodes that see the untreated images."""
        own = self._node.get_fully_qualified_name()
        names = {node_name(subscriber) for subscriber in
                 self._node.get_subscriptions_info_by_topic(self.topics.image)}
        return sorted(names - {own})

    @property
    def is_subscribed(self) -> bool:
        """Tell whether the input is subscribed to now."""
        return self._images.is_subscribed

    def publisher_count(self) -> int:
        """Return how many publish the input."""
        return self._node.count_publishers(self.topics.image)

    def open(self, frame: ArrivedFrame) -> Any:
        """Return the image message of a frame."""
        return deserialize_message(frame.serialized, self._type)

    def publish(self, message: Any, outcome: Outcome, jpeg_quality: int, arrival: float) -> None:
        """Publish a frame, unless it is withheld, and its report.

        :param message: the frame as it came; its data are replaced, all its other fields stay.
        :param arrival: when it came, in seconds of `time.perf_counter`.
        """
        frame, faces, milliseconds = outcome.frame, [], {}  # type: Any, Any, Any
        if frame is not None:
            with self._advertising:
                message.data = frame.data
                self._output.publish(message)
                if self._compressed_output and self._compressed_output.get_subscription_count():
                    self._compressed_output.publish(CompressedImage(
                        header=message.header, format='bgr8; jpeg compressed bgr8',
                        data=encode_jpeg(frame.bgr, jpeg_quality)))
            faces, milliseconds = frame.faces, frame.milliseconds
        total = 1e3 * (time.perf_counter() - arrival)
        self.statistics.finished(outcome.status, outcome.reason, len(faces),
                                 sum(face.held for face in faces), total)
        if self._reports.get_subscription_count():
            self._reports.publish(String(data=report_json(
                message.header, outcome.status, outcome.reason, faces,
                dict(milliseconds, total=total))))

    def close(self) -> None:
        """Destroy all publishers and subscriptions."""
        self._images.close()
        if self._camera_infos:
            self._camera_infos.close()
            self._node.destroy_publisher(self._camera_info_output)
        self._unadvertise()
        self._node.destroy_publisher(self._reports)

    def _advertise(self, durability: DurabilityPolicy) -> None:
        self._durability = durability
        self._output = self._create_image_publisher(self._type, self.topics.output)
        self._compressed_output = None
        if self._publish_compressed:
            self._compressed_output = self._create_image_publisher(
                CompressedImage, self.topics.output_compressed)

    def _create_image_publisher(self, message_type: Any, topic: str) -> Any:
        return self._node.create_publisher(
            message_type, topic, publisher_qos(self._durability),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def _unadvertise(self) -> None:
        for publisher in self._image_publishers():
            self._node.destroy_publisher(publisher)

    def _image_publishers(self) -> List[Any]:
        return [self._output] + ([self._compressed_output] if self._compressed_output else [])
