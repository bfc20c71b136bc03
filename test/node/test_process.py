# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node as a process of its own: started, killed, started again, stopped."""

import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from ros_rig import RELIABLE, Peer, image_message, noise, wait_until

from deid_ros.offboard.common.node_process import NodeProcess
from deid_ros.offboard.common.ros_session import bring_up

# A lifecycle node in this process leaves its services behind in the graph (rclpy does not destroy
# them), and a request could go to those instead.
NAMESPACE = '/robot'


class Started(NamedTuple):
    process: subprocess.Popen
    log: pathlib.Path

    def output(self) -> str:
        """Wait for its end; return all that it printed."""
        self.process.wait(30)
        return self.log.read_text()


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., Started]]:
    processes = []

    def start_node(*parameters: str) -> Started:
        arguments = [argument for parameter in parameters for argument in ('-p', parameter)]
        log = tmp_path / f'{len(processes)}.log'
        with log.open('wb') as output:
            process = subprocess.Popen(
                [sys.executable, '-m', 'deid_ros.node.deid_node', '--ros-args',
                 '-r', f'__ns:={NAMESPACE}', *arguments], stdout=output, stderr=subprocess.STDOUT)
        processes.append(process)
        return Started(process, log)

    yield start_node
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def peer(ros: None) -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def activate(peer: Peer, node: Started) -> None:
    bring_up(peer.node, NodeProcess(node.process, node.log), NAMESPACE + '/deid')


def test_killed_and_started_again(start, peer):
    safe = peer.listen_to_images()
    camera = peer.camera(qos=RELIABLE)

    def run(stamp: int) -> Started:
        node = start()
        activate(peer, node)
        wait_until(lambda: camera.publish(image_message(noise(), stamp=stamp))
                   or time.sleep(0.1) or stamp in safe.stamps(), 'no image')
        return node

    run(stamp=1).process.kill()
    # The graph shows the dead node for 20 s more.
    run(stamp=2)
    assert safe.stamps() == sorted(safe.stamps())


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(start, peer, number):
    safe = peer.listen_to_images()
    camera = peer.camera()
    node = start()
    activate(peer, node)
    wait_until(lambda: camera.publish(image_message(noise())) or time.sleep(0.1) or safe,
               'no image')
    node.process.send_signal(number)
    output = node.output()
    assert node.process.returncode == 0, output
    assert 'Traceback' not in output


def test_a_wrong_request_does_not_end_it(start, peer):
    safe = peer.listen_to_images()
    camera = peer.camera()
    node = start()
    activate(peer, node)
    client = peer.node.create_client(ChangeState, NAMESPACE + '/deid/change_state')
    assert client.wait_for_service(30)
    # It is active already.
    client.call_async(ChangeState.Request(
        transition=Transition(id=Transition.TRANSITION_CONFIGURE)))
    wait_until(lambda: 'transition' in node.log.read_text(), 'the request was not refused')
    wait_until(lambda: camera.publish(image_message(noise())) or time.sleep(0.1) or safe,
               'no image')
    assert node.process.poll() is None


def test_a_bad_parameter_ends_it_with_a_sentence(start, ros):
    node = start('deid.method:=nothing')
    output = node.output()
    assert node.process.returncode == 2
    assert 'Traceback' not in output
    assert 'deid.method' in output
    assert "'nothing'" in output
    assert 'blur' in output
