# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A ROS node for command lines that talk to the node `deid`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from deid_ros.offboard.node_process import NodeProcess


@contextmanager
def spinning_node(name: str) -> Iterator[Node]:
    """Yield a node whose callbacks run on a thread of their own."""
    # Without signal handlers of rclpy, Ctrl-C stays an ordinary exception, which cleans up.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    stop = threading.Event()

    def spin() -> None:
        # Not executor.spin(): shutting that down while a callback runs can raise in its thread.
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=spin, name='executor')
    thread.start()
    try:
        yield node
    finally:
        stop.set()
        thread.join()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


def bring_up(ros: Node, process: NodeProcess, name: str = '/deid') -> None:
    """Configure and activate the node `name`, as a launch file would.

    :param ros: a spinning node.
    :raises NodeProcessError: it ends, refuses, or does not answer in time.
    """
    client = ros.create_client(ChangeState, name + '/change_state')
    process.wait(client.service_is_ready, 'The node does not come up.')
    for verb, transition in (('configure', Transition.TRANSITION_CONFIGURE),
                             ('activate', Transition.TRANSITION_ACTIVATE)):
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        process.wait(future.done, f'The node does not answer to {verb}.')
        if not future.result().success:
            raise process.error(f'The node refuses to {verb}.')
    ros.destroy_client(client)
