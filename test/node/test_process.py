# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node as a process of its own: started, killed, started again, stopped."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from ros_rig import RELIABLE, Peer, image_message, noise, wait_until

# A lifecycle node in this process leaves its services behind in the graph (rclpy does not destroy
# them), and a request could go to those instead.
NAMESPACE = '/robot'


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    processes = []

    def start_node(*parameters: str) -> subprocess.Popen:
        arguments = [argument for parameter in parameters for argument in ('-p', parameter)]
        process = subprocess.Popen(
            [sys.executable, '-m', 'deid_ros.node.deid_node', '--ros-args',
             '-r', f'__ns:={NAMESPACE}', *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        processes.append(process)
        return process

    yield start_node
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def peer(ros: None) -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def transition(peer: Peer, *transitions: int) -> None:
    client = peer.node.create_client(ChangeState, NAMESPACE + '/deid/change_state')
    assert client.wait_for_service(30), 'the node did not come up'
    for number in transitions:
        future = client.call_async(ChangeState.Request(transition=Transition(id=number)))
        wait_until(future.done, 'no answer to a transition')
        assert future.result().success
    peer.node.destroy_client(client)


def activate(peer: Peer) -> None:
    transition(peer, Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)


def test_killed_and_started_again(start, peer):
    safe = peer.listen_to_images()
    camera = peer.camera(qos=RELIABLE)

    def run(stamp: int) -> subprocess.Popen:
        process = start()
        activate(peer)
        wait_until(lambda: camera.publish(image_message(noise(), stamp=stamp))
                   or time.sleep(0.1) or stamp in safe.stamps(), 'no image')
        return process

    run(stamp=1).kill()
    # It must be gone from the graph, or the next request would go to a service that nobody serves.
    wait_until(lambda: peer.node.count_publishers('/deid/camera/image_raw') == 0,
               'the killed node stays in the graph', timeout=60)
    run(stamp=2)
    assert safe.stamps() == sorted(safe.stamps())


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(start, peer, number):
    safe = peer.listen_to_images()
    camera = peer.camera()
    process = start()
    activate(peer)
    wait_until(lambda: camera.publish(image_message(noise())) or time.sleep(0.1) or safe,
               'no image')
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert 'Traceback' not in output


def test_a_bad_parameter_ends_it_with_a_sentence(start, ros):
    process = start('deid.method:=nothing')
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert 'Traceback' not in output
    assert 'deid.method' in output
    assert "'nothing'" in output
    assert 'blur' in output
