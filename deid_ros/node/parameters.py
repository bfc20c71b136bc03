# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node: names, defaults, ranges and what they mean, in one table.

`docs/parameters.md` is made from it.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from deid_ros.core.backends import BACKENDS
from deid_ros.core.deidentification import METHODS, SIMPLE_ANONYMIZERS, ChainOptions
from deid_ros.core.deidentification.chain import AUTO, SHIFT_APPLY
from deid_ros.core.detection import DETECTORS
from deid_ros.core.failsafe import ON_FAILURE
from deid_ros.core.pipeline import PipelineSettings

# A list without entries. rclpy cannot tell an empty array's type, and with a parameter that is
# declared but not set it answers `ros2 param dump` with nothing at all.
NO_NAMES = ['']


class ParameterSpec(NamedTuple):
    """One parameter. `live` ones may change while the node runs, between two frames."""

    name: str
    default: Any
    description: str
    live: bool = False
    minimum: Any = None
    maximum: Any = None
    choices: Tuple[str, ...] = ()
    #: For numbers of which 0 has a meaning of its own.
    least_above_zero: int = 0

    @property
    def allowed(self) -> str:
        """Return the allowed values as words, empty where anything goes."""
        if self.choices:
            return 'one of ' + ', '.join(self.choices)
        if self.least_above_zero:
            return '0, or {} to {}'.format(self.least_above_zero, self.maximum)
        if self.minimum is not None:
            return '{} to {}'.format(self.minimum, self.maximum)
        return ''


PARAMETERS = (
    ParameterSpec(
        'image_topics', ['/camera/image_raw'],
        'Camera topics to anonymize, relative or absolute. One that ends in /compressed is a '
        'sensor_msgs/CompressedImage, every other a sensor_msgs/Image.'),
    ParameterSpec(
        'output_prefix', '/deid',
        'Namespace put before the name of each input topic to name its output: '
        '/camera/image_raw becomes /deid/camera/image_raw.'),
    ParameterSpec(
        'publish_compressed', False,
        'Also publish a jpeg of each raw image, on its output topic followed by /compressed.'),
    ParameterSpec(
        'jpeg_quality', 90, 'Quality of the jpeg images made.', True, 1, 100),
    ParameterSpec(
        'always_process', False,
        'Process frames even while nobody subscribes to an output.', True),
    ParameterSpec(
        'max_rate', 0.0,
        'Frames per second processed of each camera at most; the others are skipped. 0: all.',
        True, 0.0, 1000.0),
    ParameterSpec(
        'on_failure', 'drop',
        'What to do with a frame whose faces could not be treated: drop it, or publish it with '
        'every pixel black (mask_frame). A frame that cannot even be opened is always dropped.',
        True, choices=ON_FAILURE),
    ParameterSpec(
        'allowed_raw_subscribers', NO_NAMES,
        'Names of nodes (/namespace/name) that may subscribe to the raw images without a warning '
        'in the diagnostics.', True),
    ParameterSpec(
        'qos.reliability', 'auto',
        'Reliability of the image subscriptions; auto takes what the publisher offers.',
        choices=('auto', 'reliable', 'best_effort')),
    ParameterSpec(
        'detector.type', 'centerface', 'Face detector.', choices=tuple(sorted(DETECTORS))),
    ParameterSpec(
        'detector.ensemble', NO_NAMES,
        'Several detectors whose faces are united; takes the place of detector.type. Slow: for '
        'recordings.', choices=tuple(sorted(DETECTORS))),
    ParameterSpec(
        'detector.confidence_threshold', 0.0,
        "Least score of a face. Lower finds more faces and more that are none. 0: the detector's "
        'own default.', True, 0.0, 0.9),
    ParameterSpec(
        'detector.width', 640,
        'Images wider than this, in pixels, are shrunk for the detector. Larger finds smaller '
        'faces and takes longer. 0: never shrink.', True, 0, 8192, least_above_zero=64),
    ParameterSpec(
        'detector.model_path', '',
        'Model file of the detector, for those that need one of yours (yunet).'),
    ParameterSpec(
        'deid.method', 'autoencoder',
        'How faces are made unrecognizable: by a new identity (autoencoder), or by hiding them.',
        True, choices=METHODS),
    ParameterSpec(
        'deid.shift_mode', 'cluster',
        'How the autoencoder changes an identity; one of the modes in models/models.json.', True),
    ParameterSpec(
        'deid.shift_apply', AUTO,
        'Whether the identity is changed by an encoder trained for it, or by shifting the plain '
        "encoder's latent at run time. auto: the shift mode's own way.", True,
        choices=(AUTO,) + SHIFT_APPLY),
    ParameterSpec(
        'deid.alpha', 0.0,
        'Strength of the change with deid.shift_apply runtime; low values do not hide who it is. '
        "0: the shift mode's own.", True, 0.0, 1.0),
    ParameterSpec(
        'deid.box_margin', 0.25,
        "How far beyond the detector's box a face is treated, on each side, as a share of the "
        "box's size.", True, 0.0, 1.0),
    ParameterSpec(
        'deid.min_face_size', 20,
        'Faces lower than this, in pixels, are treated by fallback.method.', True, 0, 1024),
    ParameterSpec(
        'fallback.method', 'blur',
        'How faces are made unrecognizable that deid.method cannot do well.', True,
        choices=tuple(sorted(SIMPLE_ANONYMIZERS))),
    ParameterSpec(
        'backend.type', 'onnxruntime', 'What runs the networks of the autoencoder.',
        choices=BACKENDS),
)

_BY_NAME = {spec.name: spec for spec in PARAMETERS}


def declare(node: Node) -> None:
    """Declare all parameters on a node, with the overrides it was started with.

    :raises rclpy.exceptions.InvalidParameterException: an override is not allowed; the message
        names the parameter, the value and what is allowed.
    """
    for spec in PARAMETERS:
        node.declare_parameter(spec.name, spec.default, _descriptor(spec))


def read(node: Node) -> Dict[str, Any]:
    """Return the values of all parameters by name."""
    return {name: _value(node.get_parameter(name)) for name in _BY_NAME}


def changed(values: Dict[str, Any], changes: Sequence[Parameter]) -> Dict[str, Any]:
    """Return the values that `read` gave with `changes` made; other nodes' parameters are left."""
    result = dict(values)
    result.update((change.name, _value(change)) for change in changes if change.name in _BY_NAME)
    return result


def check(parameters: Sequence[Parameter], locked: bool) -> SetParametersResult:
    """Decide on new values, before anything is changed.

    :param locked: whether models are loaded, so that only the live parameters may change.
    """
    for parameter in parameters:
        spec = _BY_NAME.get(parameter.name)
        objection = spec and _objection(spec, parameter, locked)
        if objection:
            return SetParametersResult(successful=False, reason=objection)
    return SetParametersResult(successful=True)


def pipeline_settings(values: Dict[str, Any]) -> PipelineSettings:
    """Return the frame path's part of the values that `read` gave."""
    return PipelineSettings(
        confidence_threshold=values['detector.confidence_threshold'] or None,
        detection_width=values['detector.width'],
        box_margin=values['deid.box_margin'],
        min_face_size=values['deid.min_face_size'],
        jpeg_quality=values['jpeg_quality'],
    )


def chain_options(values: Dict[str, Any]) -> ChainOptions:
    """Return the autoencoder's part of the values that `read` gave."""
    return ChainOptions(shift_mode=values['deid.shift_mode'],
                        shift_apply=values['deid.shift_apply'],
                        backend=values['backend.type'], detector=detector_names(values)[0])


def detector_names(values: Dict[str, Any]) -> List[str]:
    """Return the detectors that the values that `read` gave ask for."""
    return list(values['detector.ensemble']) or [values['detector.type']]


def _value(parameter: Parameter) -> Any:
    value = parameter.value
    return [entry for entry in value if entry] if isinstance(value, (list, tuple)) else value


def _descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=spec.description,
                                     additional_constraints=spec.allowed)
    if spec.minimum is None:
        return descriptor
    if isinstance(spec.default, int):
        descriptor.integer_range = [IntegerRange(
            from_value=spec.minimum, to_value=spec.maximum, step=1)]
    else:
        descriptor.floating_point_range = [FloatingPointRange(
            from_value=spec.minimum, to_value=spec.maximum, step=0.0)]
    return descriptor


def _objection(spec: ParameterSpec, parameter: Parameter, locked: bool) -> Optional[str]:
    if locked and not spec.live:
        return ('{} cannot change while the node is configured; run "ros2 lifecycle set NODE '
                'deactivate", the same with "cleanup", set it, then "configure" and "activate"'
                .format(spec.name))
    values = parameter.value if isinstance(parameter.value, (list, tuple)) else [parameter.value]
    for value in values:
        if spec.choices and value not in spec.choices and parameter.value != NO_NAMES:
            return '{} is {!r}, must be {}'.format(spec.name, value, spec.allowed)
        if value and spec.least_above_zero and value < spec.least_above_zero:
            return '{} is {!r}, must be {}'.format(spec.name, value, spec.allowed)
    return None
