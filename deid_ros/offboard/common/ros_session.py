# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A ROS node for command lines that talk to the node `deid`."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from deid_ros.offboard.common.node_process import NodeProcess

# Until both sides have discovered each other, a request or its answer can be lost. A node that
# loads models does not answer either. So a request without an answer is repeated.
_ANSWER_TIMEOUT = 2.0  # seconds
_ATTEMPTS = 30
#: Verb, transition, and the states before and after it.
_TRANSITIONS = (
    ('configure', Transition.TRANSITION_CONFIGURE,
     State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_INACTIVE),
    ('activate', Transition.TRANSITION_ACTIVATE,
     State.PRIMARY_STATE_INACTIVE, State.PRIMARY_STATE_ACTIVE),
)


@contextmanager
def spinning_node(name: str) -> Iterator[Node]:
    """Yield a node whose callbacks run on a thread of their own."""
    # Without signal handlers of rclpy, Ctrl-C stays an ordinary exception, which cleans up.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name)
    spinning = SpinningThread(node)
    try:
        yield node
    finally:
        spinning.stop()
        node.destroy_node()
        rclpy.try_shutdown()


class SpinningThread:
    """Runs the callbacks of a node on a thread of its own."""

    def __init__(self, node: Node) -> None:
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._spin, name='executor', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the callback at work and end the thread."""
        # As a task, which wakes up the executor. It is shut down after its thread has ended, as
        # that destroys what `spin_once` waits for.
        self._executor.create_task(self._stopping.set)
        self._thread.join()
        self._executor.shutdown()

    def _spin(self) -> None:
        while not self._stopping.is_set():
            self._executor.spin_once()


def bring_up(ros: Node, process: NodeProcess, name: str = '/deid') -> None:
    """Configure and activate the node `name`, as a launch file would.

    :param ros: a spinning node.
    :raises NodeProcessError: it ends, refuses, or does not answer in time.
    """
    states = ros.create_client(GetState, name + '/get_state')
    changes = ros.create_client(ChangeState, name + '/change_state')
    for verb, transition, before, after in _TRANSITIONS:
        asked: Any = None
        while True:
            state = _state(process, states, f'The node does not {verb}.')
            if state == after:
                break
            if state != before or (asked and asked.done() and not asked.result().success):
                raise process.error(f'The node refuses to {verb}.')
            asked = changes.call_async(ChangeState.Request(transition=Transition(id=transition)))
            _is_answered(process, asked)
    ros.destroy_client(states)
    ros.destroy_client(changes)


def _state(process: NodeProcess, states: Any, problem: str) -> int:
    """Return the node's lifecycle state; ask until it answers."""
    process.wait(states.service_is_ready, 'The node does not come up.')
    for _ in range(_ATTEMPTS):
        future = states.call_async(GetState.Request())
        if _is_answered(process, future):
            return int(future.result().current_state.id)
    raise process.error(problem)


def _is_answered(process: NodeProcess, future: Any) -> bool:
    end = time.monotonic() + _ANSWER_TIMEOUT
    process.wait(lambda: future.done() or time.monotonic() > end, 'The node does not answer.')
    return bool(future.done())
