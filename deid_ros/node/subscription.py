# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A subscription that fits itself to whoever publishes."""

from typing import Any, Callable, Optional, Sequence, Type

from rclpy.node import Node
from rclpy.qos import QoSProfile

from deid_ros.node.qos import incompatible, node_name, same_qos, subscription_qos


class MatchingSubscription:
    """Subscribes to a topic with the QoS of its publishers, and only while it is wanted.

    `update` must be called from time to time: publishers come, go, and come back different.
    The callback gets the serialized message, so that a frame that is superseded costs no decoding.
    """

    def __init__(self, node: Node, message_type: Type, topic: str, reliability: str,
                 callback: Callable[[bytes], None]) -> None:
        self._node = node
        self._message_type = message_type
        self._type_name = '{}/msg/{}'.format(message_type.__module__.split('.')[0],
                                             message_type.__name__)
        self._topic = topic
        self._reliability = reliability
        self._callback = callback
        self._subscription: Any = None
        self._qos: Optional[QoSProfile] = None
        #: Why publishers are not heard, for the diagnostics; empty if all is well.
        self.problem = ''

    @property
    def qos(self) -> Optional[QoSProfile]:
        """The profile in use, None before a publisher was seen."""
        return self._qos

    @property
    def is_subscribed(self) -> bool:
        """Tell whether messages can arrive now."""
        return self._subscription is not None

    def update(self, wanted: bool) -> None:
        """Look at the graph, then subscribe, subscribe anew or unsubscribe."""
        everybody = self._node.get_publishers_info_by_topic(self._topic)
        publishers = [one for one in everybody if one.topic_type == self._type_name]
        if publishers:
            qos = subscription_qos(publishers, self._reliability)
            if self._qos is None or not same_qos(qos, self._qos):
                self.close()
                self._qos = qos
        problem = self._problem(everybody, publishers)
        if not wanted:
            self.close()
        elif self._qos is not None and self._subscription is None:
            try:
                self._subscription = self._node.create_subscription(
                    self._message_type, self._topic, self._callback, self._qos, raw=True)
            except Exception as error:  # rclpy's error is private; the node must live on.
                problem = 'cannot subscribe to {}: {}'.format(self._topic, error)
        self._tell(problem)

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _problem(self, everybody: Sequence[Any], publishers: Sequence[Any]) -> str:
        """Return why somebody who publishes the topic is not heard, empty if all are."""
        if len(publishers) < len(everybody):
            return '{} must be {}, but {} publish it as {}'.format(
                self._topic, self._type_name,
                ', '.join(sorted(node_name(one) for one in everybody if one not in publishers)),
                ', '.join(sorted({one.topic_type for one in everybody} - {self._type_name})))
        unheard = incompatible(publishers, self._qos) if self._qos else ()
        if unheard:
            return ('{} is published best_effort by {}, but qos.reliability is reliable, so no '
                    'image can arrive; set it to auto or best_effort'.format(
                        self._topic, ', '.join(unheard)))
        return ''

    def _tell(self, problem: str) -> None:
        if problem and problem != self.problem:
            self._node.get_logger().warning(problem)
        self.problem = problem
