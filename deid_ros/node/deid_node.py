# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node `deid`: camera topics in, anonymized camera topics out."""

import json
import signal
import sys
import threading
import traceback
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    NameValidationException,
)
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name
from std_msgs.msg import String
from std_srvs.srv import SetBool

from deid_ros.core.deidentification import AUTOENCODER, make_anonymizer
from deid_ros.core.deidentification.anonymizer import Anonymizer
from deid_ros.core.deidentification.identities import draw_key
from deid_ros.core.errors import DeidError
from deid_ros.core.failsafe import process_or_withhold
from deid_ros.core.parameters import KEY, chain_options, make_pipeline, pipeline_settings, public
from deid_ros.core.pipeline import FramePipeline, PipelineSettings
from deid_ros.node import diagnostics, parameters
from deid_ros.node.camera import ArrivedFrame, Camera
from deid_ros.node.core_log import CoreLog
from deid_ros.node.qos import publisher_qos
from deid_ros.node.topics import CameraTopics, all_camera_topics
from deid_ros.node.worker import NewestFrameWorker
from deid_ros.version import __version__

# How often the graph is looked at for new publishers and subscribers, in seconds.
_GRAPH_PERIOD = 0.25
_DIAGNOSTICS_PERIOD = 1.0
# What tells the node to stop, and how often it looks for that, in seconds.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SIGNAL_PERIOD = 0.2
# For the frame at work when the node is told to stop; dlib's network takes seconds on a CPU.
_STOP_TIMEOUT = 10.0


class _Work(NamedTuple):
    """All that the worker needs for a frame; replaced as a whole, so a frame never sees a mix."""

    pipeline: FramePipeline
    settings: PipelineSettings
    on_failure: str


class DeidNode(LifecycleNode):
    """Glue between ROS and `FramePipeline`.

    Threads: the executor's, for everything of ROS, and one worker, which opens, anonymizes and
    publishes frames.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('deid', **kwargs)
        self._work: Optional[_Work] = None
        self._cameras: List[Camera] = []
        self._worker: Optional[NewestFrameWorker] = None
        self._graph_timer: Any = None
        self._topics: List[CameraTopics] = []
        self._enabled = True
        # Held while publishing, so that nothing comes out after `~/enable` has answered.
        self._publishing = threading.Lock()
        self._failure = ''
        self._core_log = CoreLog(self.get_logger())

        self.add_on_set_parameters_callback(self._on_set_parameters)
        parameters.declare(self)
        self._values = parameters.read(self)
        self._secret: Dict[str, str] = {}
        self._provenance = self.create_publisher(
            String, '~/provenance', publisher_qos(DurabilityPolicy.TRANSIENT_LOCAL))
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 1)
        self.create_service(SetBool, '~/enable', self._on_enable)
        # Steady time: the graph and the diagnostics go on while a simulation stands still.
        self._clock_for_timers = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_DIAGNOSTICS_PERIOD, self._publish_diagnostics,
                          clock=self._clock_for_timers)

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the detector and the anonymizers."""
        self._values = values = parameters.read(self)
        try:
            for topic in values['image_topics']:
                validate_topic_name(topic)
            self._topics = all_camera_topics(
                [self.resolve_topic_name(topic) for topic in values['image_topics']],
                values['output_prefix'], values['publish_compressed'])
            for topics in self._topics:
                validate_full_topic_name(topics.output)
            # Drawn here, so that a change of other parameters leaves everybody the new face.
            self._secret = {KEY: values[KEY] or draw_key()}
            self._use(make_pipeline({**values, **self._secret}), values)
        except (DeidError, NameValidationException) as error:
            self._work = None
            return self._refuse('configure', str(error))
        except Exception:  # A library's own: whoever reads the log needs to know where from.
            self._work = None
            return self._refuse('configure', traceback.format_exc())
        self._failure = ''
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to look for publishers and subscribers."""
        try:
            self._start()
        except Exception:  # rclpy says nothing about an exception that leaves a transition.
            self._stop()
            return self._refuse('activate', traceback.format_exc())
        self._failure = ''
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop publishing."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the models."""
        self._work = None
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop for good."""
        self._stop()
        return self.on_cleanup(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to the unconfigured state, from which the node can be configured again."""
        self._stop()
        return self.on_cleanup(state)

    def destroy_node(self) -> None:
        """Stop the worker before its publishers vanish."""
        self._stop()
        self._core_log.detach()
        super().destroy_node()

    # The way of a frame

    def _on_frame(self, camera: Camera, frame: ArrivedFrame) -> None:
        camera.statistics.count('received')
        if self._worker is None:
            return
        if not camera.rate_limit.admits(frame.arrival, self._values['max_rate']):
            camera.statistics.count('skipped')
        elif self._worker.offer(camera, frame):
            camera.statistics.count('superseded')

    def _handle(self, camera: Camera, frame: ArrivedFrame) -> None:
        """Anonymize and publish one frame, on the worker's thread. Never raises."""
        work = self._work
        if work is None:
            return
        try:
            message = camera.open(frame)
            outcome = process_or_withhold(work.pipeline, message, work.settings, work.on_failure,
                                          camera.tracker)
            with self._publishing:
                if self._enabled:
                    camera.publish(message, outcome, work.settings.jpeg_quality, frame.arrival)
        except Exception as error:  # The middleware failed: a message is broken, or ROS shuts down.
            camera.statistics.count('withheld: middleware')
            self._log_failure(camera, '{}: {}'.format(type(error).__name__, error))
        else:
            if outcome.status != 'published':
                self._log_failure(camera, outcome.detail)

    def _log_failure(self, camera: Camera, detail: str) -> None:
        self.get_logger().error('an image of {} is not published as it came: {}'.format(
            camera.topics.image, detail), throttle_duration_sec=5.0)

    # Upkeep

    def _make_anonymizer(self, values: Dict[str, Any]) -> Anonymizer:
        return make_anonymizer(values['deid.method'], chain_options({**values, **self._secret}))

    def _use(self, pipeline: FramePipeline, values: Dict[str, Any]) -> None:
        """Let the next frame be treated by `pipeline` as `values` say."""
        pipeline = pipeline.with_anonymizer(
            pipeline.anonymizer.with_alpha(values['deid.alpha'] or None))
        self._values = values
        self._work = _Work(pipeline, pipeline_settings(values), values['on_failure'])
        self._provenance.publish(String(data=json.dumps({
            'package': 'deid_ros', 'version': __version__,
            'detector': pipeline.detector.name, 'detector_device': pipeline.detector.device,
            'method': pipeline.anonymizer.name, 'method_device': pipeline.anonymizer.device,
            'backend': pipeline.anonymizer.backend,
            'fallback': pipeline.fallback.name,
            'model_sha256': pipeline.model_hashes,
            'parameters': public(values)})))

    def _refuse(self, transition: str, reason: str) -> TransitionCallbackReturn:
        self._failure = 'cannot {}: {}'.format(transition, reason)
        self.get_logger().error(self._failure)
        return TransitionCallbackReturn.FAILURE

    def _start(self) -> None:
        values = self._values
        self._worker = NewestFrameWorker(self._handle)
        forwarded = set()  # Several images of one camera share its camera_info.
        for topics in self._topics:
            self._cameras.append(Camera(
                self, topics, values['publish_compressed'], values['qos.reliability'],
                topics.camera_info not in forwarded, self._on_frame))
            forwarded.add(topics.camera_info)
        self._graph_timer = self.create_timer(_GRAPH_PERIOD, self._follow_graph,
                                              clock=self._clock_for_timers)
        self._follow_graph()

    def _stop(self) -> None:
        if self._graph_timer is not None:
            self.destroy_timer(self._graph_timer)
            self._graph_timer = None
        if self._worker is not None:
            if not self._worker.stop(_STOP_TIMEOUT):
                self.get_logger().error('the frame at work does not end: the detector or the '
                                        'anonymizer hangs; restart the process')
            self._worker = None
        for camera in self._cameras:
            camera.close()
        self._cameras = []

    def _follow_graph(self) -> None:
        for camera in self._cameras:
            camera.update(self._enabled, self._values['always_process'])

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        with self._publishing:
            self._enabled = request.data
        self._follow_graph()
        response.success = True
        response.message = ('anonymized images are published' if self._enabled
                            else 'nothing is published')
        return response

    def _on_set_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        work = self._work
        result = parameters.check(changes, locked=work is not None)
        if not result.successful or work is None:
            return result
        values = parameters.changed(self._values, changes)
        pipeline = work.pipeline
        try:
            if any(values[name] != self._values[name]
                   for name in ('deid.method', 'deid.shift_mode', 'deid.shift_apply', 'deid.k')):
                pipeline = pipeline.with_anonymizer(self._make_anonymizer(values))
            if values['fallback.method'] != pipeline.fallback.name:
                pipeline = pipeline.with_fallback(make_anonymizer(values['fallback.method']))
        except DeidError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._use(pipeline, values)
        return result

    # Diagnostics

    def _publish_diagnostics(self) -> None:
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [self._node_status()] + [self._camera_status(camera)
                                                  for camera in self._cameras]
        self._diagnostics.publish(message)

    def _node_status(self) -> DiagnosticStatus:
        name = self.get_fully_qualified_name()
        work, worker = self._work, self._worker
        problems = []
        if self._failure:
            problems.append((DiagnosticStatus.ERROR, self._failure))
        if work is None:
            problems.append((DiagnosticStatus.WARN, 'not configured: nothing is published'))
            return diagnostics.status(name, problems, '', {})
        if worker is None:
            problems.append((DiagnosticStatus.WARN, 'not active: nothing is published'))
        else:
            problems += diagnostics.worker_problems(worker.busy_seconds)
        anonymizer = work.pipeline.anonymizer
        for warning in (anonymizer.stands_in, anonymizer.weakness):
            if warning:
                problems.append((DiagnosticStatus.WARN, warning))
        if not self._enabled:
            problems.append((DiagnosticStatus.WARN, 'disabled by ~/enable: nothing is published'))
        pipeline = work.pipeline
        method = anonymizer.name
        if method == AUTOENCODER:
            method += ', ' + self._values['deid.shift_mode']
        return diagnostics.status(name, problems, 'anonymizing', {
            'detector': pipeline.detector.name, 'detector device': pipeline.detector.device,
            'method': method, 'method device': anonymizer.device, 'backend': anonymizer.backend,
            'fallback': pipeline.fallback.name, 'version': __version__})

    def _camera_status(self, camera: Camera) -> DiagnosticStatus:
        summary = camera.statistics.summarize()
        allowed = self._values['allowed_raw_subscribers']
        leaks = [name for name in camera.raw_subscribers() if name not in allowed]
        return diagnostics.camera_status(
            '{}: {}'.format(self.get_fully_qualified_name(), camera.topics.image), summary,
            camera.is_subscribed, camera.publisher_count(), camera.input_problem, leaks)


def main(args: Optional[List[str]] = None) -> int:
    """Run the node until it is told to stop; return the exit code."""
    # rclpy's own handlers end the context at once, under a frame that is being published, and a
    # second signal (a terminal and `ros2 launch` each send one) would cut the cleaning up short.
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    stop = threading.Event()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    try:
        node = DeidNode()
    except (InvalidParameterValueException, InvalidParameterTypeException) as error:
        print('deid_node: {}'.format(error), file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stop.is_set() and rclpy.ok():
            try:
                executor.spin_once(timeout_sec=_SIGNAL_PERIOD)
            except rclpy_implementation.RCLError as error:
                # Before Kilted, a request for a transition that the state does not allow raises.
                node.get_logger().error('a request failed: {}'.format(error))
    except ExternalShutdownException:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
        for number in _SIGNALS:  # Python takes its handlers back before the process ends.
            signal.signal(number, signal.SIG_IGN)
    return 0


if __name__ == '__main__':
    sys.exit(main())
