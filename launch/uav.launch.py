# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Starts the node `deid`, configures and activates it, and ends loudly if that fails.

Arguments: `ros2 launch deid_ros uav.launch.py --show-args`.
"""

import asyncio
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import launch.logging
import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.events import matches_action
from launch.events.process import ShutdownProcess
from launch_ros.actions import LifecycleNode
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState

SHARE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Seconds. A node that loads models does not answer meanwhile, so none of these is a verdict.
RESPAWN_DELAY = 2.0
ANSWER_TIMEOUT = 2.0
POLL_PERIOD = 0.05
NEWS_PERIOD = 10.0

# What deid_node returns for parameters that are not allowed; starting it again is no help.
EXIT_WRONG_PARAMETERS = 2


def boolean(text: str) -> bool:
    """Read true or false."""
    value = yaml.safe_load(text)
    if not isinstance(value, bool):
        raise ValueError('must be true or false')
    return value


def string_list(text: str) -> List[str]:
    """Read a YAML list of strings, or one string without brackets."""
    value = yaml.safe_load(text)
    if isinstance(value, str):
        value = [value]
    if not value or not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list such as ['/front/image_raw', '/rear/image_raw']")
    return value


class Argument(NamedTuple):
    """A launch argument; one that sets a parameter names it and has the default ''."""

    name: str
    default: str
    description: str
    read: Callable[[str], Any] = str
    parameter: str = ''
    choices: Optional[List[str]] = None


def overriding(name: str, parameter: str, read: Callable[[str], Any], description: str
               ) -> Argument:
    """Return an argument that overrides a parameter of the params file, unless it is empty."""
    return Argument(name, '', '{} Overrides {} of params_file, unless empty.'.format(
        description, parameter), read, parameter)


ARGUMENTS = (
    Argument('namespace', '', "Namespace of the node, such as uav1. Relative image topics are in "
                              'it: camera/image_raw is /uav1/camera/image_raw.'),
    Argument('node_name', 'deid', 'Name of the node.'),
    Argument('params_file', os.path.join(SHARE, 'config', 'uav.yaml'),
             'YAML file with the parameters.'),
    overriding('image_topics', 'image_topics', string_list,
               "Camera topics as a YAML list: \"['/front/image_raw', '/rear/image_raw']\"."),
    overriding('output_prefix', 'output_prefix', str,
               'Namespace of the anonymized topics: /deid/front/image_raw.'),
    overriding('detector', 'detector.type', str, 'Face detector.'),
    overriding('model_path', 'detector.model_path', str, 'Network file of the detector.'),
    overriding('detector_width', 'detector.width', int,
               'Images wider than this, in pixels, are shrunk for the detector.'),
    overriding('confidence_threshold', 'detector.confidence_threshold', float,
               'Least score of a face, 0 to 1.'),
    overriding('method', 'deid.method', str, 'How faces are made unrecognizable.'),
    overriding('shift_mode', 'deid.shift_mode', str, 'How the autoencoder changes identities.'),
    overriding('shift_apply', 'deid.shift_apply', str,
               'auto, finetuned, or runtime, with which deid.alpha can be changed in flight.'),
    overriding('alpha', 'deid.alpha', float, 'Strength of the change with shift_apply:=runtime.'),
    overriding('box_margin', 'deid.box_margin', float,
               'How far beyond the box of a face it is treated, as a share of the box.'),
    overriding('max_rate', 'max_rate', float, 'Frames per second of each camera at most.'),
    overriding('use_sim_time', 'use_sim_time', boolean, 'Take the time from /clock.'),
    Argument('log_level', 'info', 'Least severity of log messages.',
             choices=['debug', 'info', 'warn', 'error', 'fatal']),
    Argument('autostart', 'true', 'Configure and activate the node when it has started.', boolean),
    Argument('respawn', 'false', 'Start the node again when it dies.', boolean),
    Argument('required', 'true',
             'End the whole launch, with exit code 1, when the node cannot be brought up, or dies '
             'and is not respawned. Set it to false where flight software is in the same launch.',
             boolean),
)


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` runs."""
    return LaunchDescription(
        [DeclareLaunchArgument(argument.name, default_value=argument.default,
                               description=argument.description, choices=argument.choices)
         for argument in ARGUMENTS]
        + [OpaqueFunction(function=start_node)])


def start_node(context: LaunchContext) -> List[Any]:
    """Return the node and what watches over it, as the arguments say."""
    values = read_arguments(context.launch_configurations)
    if not os.path.isfile(values['params_file']):
        # launch_ros would only warn, and the node would run with defaults.
        raise RuntimeError('params_file: there is no file {}'.format(values['params_file']))
    node = LifecycleNode(
        package='deid_ros', executable='deid_node', name=values['node_name'],
        namespace=values['namespace'], output='screen',
        parameters=[values['params_file']] + ([overrides(values)] if overrides(values) else []),
        ros_arguments=['--log-level', values['log_level']],
        respawn=values['respawn'], respawn_delay=RESPAWN_DELAY)
    supervisor = Supervisor(node, values['autostart'], values['respawn'], values['required'])
    return [
        RegisterEventHandler(OnProcessStart(target_action=node, on_start=supervisor.on_start)),
        RegisterEventHandler(OnProcessExit(target_action=node, on_exit=supervisor.on_exit)),
        node,
    ]


def read_arguments(texts: Dict[str, str]) -> Dict[str, Any]:
    """Return the arguments with their proper types; an overriding one that is empty is None.

    :raises RuntimeError: a text cannot be read; the message names the argument and the text.
    """
    values = {}
    for argument in ARGUMENTS:
        text = texts[argument.name]
        try:
            values[argument.name] = None if argument.parameter and not text else argument.read(text)
        except (ValueError, yaml.YAMLError) as error:
            raise RuntimeError('launch argument {}:={}: {}'.format(
                argument.name, text, error)) from error
    return values


def overrides(values: Dict[str, Any]) -> Dict[str, Any]:
    """Return the parameters, by name, that the arguments set."""
    return {argument.parameter: values[argument.name] for argument in ARGUMENTS
            if argument.parameter and values[argument.name] is not None}


class Supervisor:
    """Brings the node up each time its process starts, and makes its failures heard.

    It asks for the state and judges by the answer only, and asks again where none comes. Waiting
    for transition events would not do: after a crash the graph shows the dead process for a while,
    so that a request, or the subscription to events, can go to the dead one.
    """

    def __init__(self, node: LifecycleNode, autostart: bool, respawn: bool, required: bool) -> None:
        self._node = node
        self._autostart = autostart
        self._respawn = respawn
        self._required = required
        self._run = 0  # counts starts and ends of the process
        self._failure = ''
        self._clients = None  # type: Any
        self._logger = launch.logging.get_logger('deid')

    def on_start(self, event: Any, context: LaunchContext) -> None:
        """Begin to configure and activate the node."""
        self._run += 1
        if self._autostart:
            context.add_completion_future(context.asyncio_loop.create_task(
                self._bring_up(context, self._run)))

    def on_exit(self, event: Any, context: LaunchContext) -> None:
        """Say that the node is gone.

        :raises RuntimeError: the launch must end. This is what gives it the exit code 1.
        """
        self._run += 1
        if context.is_shutdown:
            return
        reason = self._failure or '{} ended with exit code {}; nothing is anonymized now'.format(
            self._node.node_name, event.returncode)
        hopeless = self._failure or event.returncode == EXIT_WRONG_PARAMETERS
        if self._required and (hopeless or not self._respawn):
            raise RuntimeError(reason)
        self._logger.error(reason + ('; starting it again' if self._respawn else ''))

    async def _bring_up(self, context: LaunchContext, run: int) -> None:
        get_state, change_state = self._get_clients(context)
        asked, goal = None, State.PRIMARY_STATE_UNKNOWN  # type: Any, int
        silent_since = context.asyncio_loop.time()

        def is_over() -> bool:
            return context.is_shutdown or run != self._run

        async def answer(future: Any) -> Any:
            deadline = context.asyncio_loop.time() + ANSWER_TIMEOUT
            while not future.done() and not is_over() and context.asyncio_loop.time() < deadline:
                await asyncio.sleep(POLL_PERIOD)
            return future.result() if future.done() else None

        while not is_over():
            response = await answer(get_state.call_async(GetState.Request()))
            now = context.asyncio_loop.time()
            if response is None:
                if now - silent_since > NEWS_PERIOD and not is_over():
                    silent_since = now
                    self._logger.warning('still waiting for {}'.format(self._node.node_name))
                continue
            silent_since = now
            state = response.current_state.id
            if state == State.PRIMARY_STATE_ACTIVE:
                self._logger.info('{} is active'.format(self._node.node_name))
                return
            if state == State.PRIMARY_STATE_FINALIZED or (
                    asked is not None and asked.done() and state < goal):
                self._give_up(context, 'configured' if goal == State.PRIMARY_STATE_INACTIVE
                              else 'activated')
                return
            if state in (State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_INACTIVE):
                request = ChangeState.Request()
                if state == State.PRIMARY_STATE_UNCONFIGURED:
                    request.transition.id = Transition.TRANSITION_CONFIGURE
                    goal = State.PRIMARY_STATE_INACTIVE
                else:
                    request.transition.id = Transition.TRANSITION_ACTIVATE
                    goal = State.PRIMARY_STATE_ACTIVE
                asked = change_state.call_async(request)
                await answer(asked)

    def _get_clients(self, context: LaunchContext) -> Any:
        if self._clients is None:
            ros, name = get_ros_node(context), self._node.node_name
            self._clients = (ros.create_client(GetState, name + '/get_state'),
                             ros.create_client(ChangeState, name + '/change_state'))
        return self._clients

    def _give_up(self, context: LaunchContext, what: str) -> None:
        failure = '{} cannot be {}; its log says why; nothing is anonymized now'.format(
            self._node.node_name, what)
        if self._required:
            # The end of the process then ends the launch.
            self._failure = failure
            EmitEvent(event=ShutdownProcess(process_matcher=matches_action(self._node))
                      ).execute(context)
        else:
            self._logger.error(failure)
