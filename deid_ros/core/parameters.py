# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The parameters: names, defaults, ranges and what they mean, in one table.

The node declares them; off-board tools read them from the same YAML files without any ROS.
`docs/parameters.md` is made from the table.
"""

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from deid_ros.core.backends import BACKENDS
from deid_ros.core.backends.options import PRECISIONS, BackendOptions
from deid_ros.core.deidentification import (
    METHODS,
    SIMPLE_ANONYMIZERS,
    ChainOptions,
    make_anonymizer,
)
from deid_ros.core.deidentification.chain import AUTO, SHIFT_APPLY
from deid_ros.core.detection import DETECTORS, Search, make_detector
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.failsafe import ON_FAILURE
from deid_ros.core.pipeline import FramePipeline, PipelineSettings

# A list without entries. rclpy cannot tell an empty array's type, and with a parameter that is
# declared but not set it answers `ros2 param dump` with nothing at all.
NO_NAMES = ['']


# The detectors whose faces are united where time does not count.
_THOROUGH = ('centerface', 'libfacedetection')

#: The parameter that is a secret.
KEY = 'deid.key'


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

    def objection(self, value: Any) -> Optional[str]:
        """Return why `value`, of the parameter's type, is not allowed; None if it is."""
        entries = value if isinstance(value, (list, tuple)) else [value]
        for entry in entries:
            if self.choices and entry not in self.choices and value != NO_NAMES:
                return '{} is {!r}, must be {}'.format(self.name, entry, self.allowed)
            # Written so that NaN is refused, too.
            if self.minimum is not None and not self.minimum <= entry <= self.maximum:
                return '{} is {!r}, must be {}'.format(self.name, entry, self.allowed)
            if entry and self.least_above_zero and entry < self.least_above_zero:
                return '{} is {!r}, must be {}'.format(self.name, entry, self.allowed)
        return None


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
        'detector.type', 'centerface_int8', 'Face detector.', choices=tuple(sorted(DETECTORS))),
    ParameterSpec(
        'detector.ensemble', NO_NAMES,
        'Several detectors whose faces are united; takes the place of detector.type. Slow: for '
        'recordings.', choices=tuple(sorted(DETECTORS))),
    ParameterSpec(
        'detector.confidence_threshold', 0.0,
        "Least score of a face. Lower finds more faces and more that are none. 0: the detector's "
        'own default.', True, 0.0, 0.9),
    ParameterSpec(
        'detector.smallest_face', 10.0,
        'Height of the smallest face to be found, in pixels. The detector looks at the whole frame '
        'coarsely, and closely at its parts in turn and at the small faces that it knows.',
        True, 5.0, 200.0),
    ParameterSpec(
        'detector.budget', 0.75,
        'How much the detector looks at for each frame, in million pixels, on average; a new scene '
        'gets up to four times as much. Larger finds small faces sooner and takes longer.',
        True, 0.1, 100.0),
    ParameterSpec(
        'detector.thorough', False,
        'Look at each frame as a whole in all ways there are: at several scales, mirrored, and '
        'turned by quarters; detector.smallest_face and detector.budget do not count then. Takes '
        'seconds for a frame: for recordings.', True),
    ParameterSpec(
        'detector.width', 0,
        'Above 0, the detector looks at each frame once, shrunk to this width in pixels where it '
        'is wider, in place of detector.smallest_face and detector.budget.', True, 0, 8192,
        least_above_zero=64),
    ParameterSpec(
        'detector.interval', 1,
        'The detector looks at every n-th frame only; in the others, known faces are treated where '
        'they are predicted to be. Saves time at a price: a new face is published untreated until '
        'the next look. The detector looks earlier when the picture has changed or a face could be '
        'too far from where it is predicted. Keep tracking.hold_frames at least as large.',
        True, 1, 30),
    ParameterSpec(
        'detector.model_path', '',
        'Model file of the detector, for those that need one of yours (yunet).'),
    ParameterSpec(
        'tracking.hold_frames', 8,
        'For how many frames a face that the detector misses is treated on, where it is predicted '
        'to be. Larger bridges longer gaps, and blurs more where a face has gone or never was. '
        '0: not at all.', True, 0, 100),
    ParameterSpec(
        'deid.method', 'autoencoder',
        'How faces are made unrecognizable: by a new identity (autoencoder), or by hiding them.',
        True, choices=METHODS),
    ParameterSpec(
        'deid.shift_mode', 'synthetic',
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
        'deid.k', 0,
        'With deid.shift_mode synthetic: of all that the new face could tell about the original '
        'one, at least this many of the people that the networks were trained on tell the same. '
        'Larger keeps less of pose and expression. 0: not asked for.', True, 0, 100),
    ParameterSpec(
        KEY, '',
        'With deid.shift_mode synthetic: the secret that chooses who gets which new identity. With '
        'the same one, the same input gives the same output, and new faces of different runs can '
        'be linked. Every node of the graph can read it. Empty: drawn at each start.'),
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
        'backend.type', 'onnxruntime',
        'What runs the networks of the autoencoder: onnxruntime on the CPU; torch on CUDA where '
        'there is a device, else on the CPU; tensorrt on CUDA only, by an engine that is built at '
        'first, which takes minutes on a Jetson (see the command build_engines).',
        choices=BACKENDS),
    ParameterSpec(
        'backend.max_batch', 32,
        'Faces that a TensorRT engine takes at once; more are split. Engines are built for it.',
        minimum=1, maximum=256),
    ParameterSpec(
        'backend.precision', 'fp16',
        'What a TensorRT engine computes in; faces go in and come out in fp32. int8 needs a device '
        'that has it, which a TX2 is not.', choices=PRECISIONS),
    ParameterSpec(
        'backend.allow_fallback', False,
        'Let another backend (tensorrt, torch, onnxruntime, in this order) take the place of one '
        'that cannot run or fails its self-test, with a warning in the diagnostics. Otherwise the '
        'node is not configured then.'),
)


_SPECS = {spec.name: spec for spec in PARAMETERS}


def parameter_values(entries: Iterable[Tuple[str, Any]] = ()) -> Dict[str, Any]:
    """Return the values of all parameters by name: the defaults, with `entries` over them.

    :param entries: names and values; of a name that comes twice, the last one counts.
    :raises ConfigurationError: a name, type or value is not allowed; the message says what is.
    """
    values = {spec.name: spec.default for spec in PARAMETERS}
    for name, value in entries:
        spec = _SPECS.get(name)
        if spec is None:
            raise ConfigurationError(
                'There is no parameter {!r}; docs/parameters.md has all.'.format(name))
        # As in ROS, nothing is converted: 10 is no double, and 10.0 no integer.
        if type(value) is not type(spec.default) or (
                isinstance(value, list) and not all(isinstance(item, str) for item in value)):
            raise ConfigurationError('{} is {!r}, must be of the type of {!r}.'.format(
                name, value, spec.default))
        objection = spec.objection(value)
        if objection:
            raise ConfigurationError(objection + '.')
        values[name] = value
    return {name: [] if value == NO_NAMES else value for name, value in values.items()}


def public(values: Dict[str, Any]) -> Dict[str, Any]:
    """Return the values as they may be published: without the secret, but that there is one."""
    return {**values, KEY: '(set)' if values[KEY] else ''}


def pipeline_settings(values: Dict[str, Any]) -> PipelineSettings:
    """Return the frame path's part of the values."""
    return PipelineSettings(
        confidence_threshold=values['detector.confidence_threshold'] or None,
        search=None if values['detector.width'] else Search(
            values['detector.smallest_face'], int(1e6 * values['detector.budget']),
            values['detector.thorough']),
        detection_width=values['detector.width'],
        box_margin=values['deid.box_margin'],
        min_face_size=values['deid.min_face_size'],
        jpeg_quality=values['jpeg_quality'],
        detection_interval=values['detector.interval'],
        hold_frames=values['tracking.hold_frames'],
    )


def chain_options(values: Dict[str, Any]) -> ChainOptions:
    """Return the autoencoder's part of the values."""
    return ChainOptions(shift_mode=values['deid.shift_mode'],
                        shift_apply=values['deid.shift_apply'],
                        backend=values['backend.type'],
                        backend_options=BackendOptions(
                            values['backend.max_batch'], values['backend.precision'],
                            values['backend.allow_fallback']),
                        detector=detector_names(values)[0],
                        k=values['deid.k'], key=values[KEY])


def detector_names(values: Dict[str, Any]) -> List[str]:
    """Return the detectors that the values ask for."""
    # An empty name marks the empty list; see `NO_NAMES`.
    return [name for name in values['detector.ensemble'] if name] or [values['detector.type']]


def thorough(values: Dict[str, Any]) -> Dict[str, Any]:
    """Return the values with which nothing is left out that can find a face in a recording."""
    changed = {**values, 'detector.width': 0, 'detector.interval': 1, 'detector.thorough': True}
    if not [name for name in values['detector.ensemble'] if name]:
        changed['detector.ensemble'] = list(_THOROUGH)
    return changed


def make_pipeline(values: Dict[str, Any]) -> FramePipeline:
    """Return the frame path that the values ask for, with all models loaded.

    :raises ConfigurationError: a package or a file is missing; the message says what to do.
    """
    anonymizer = make_anonymizer(values['deid.method'], chain_options(values))
    return FramePipeline(make_detector(detector_names(values), values['detector.model_path']),
                         anonymizer.with_alpha(values['deid.alpha'] or None),
                         make_anonymizer(values['fallback.method']))
