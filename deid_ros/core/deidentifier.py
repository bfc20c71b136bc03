# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The frame path as one object, for programs that call it without a node.

The node and the tools for recordings are made of it, too.
"""

import copy
import os
from array import array
from types import SimpleNamespace
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from deid_ros.core.errors import CodecError
from deid_ros.core.failsafe import Outcome, process_or_withhold
from deid_ros.core.parameter_file import read_parameters
from deid_ros.core.parameters import make_pipeline, parameter_values, pipeline_settings
from deid_ros.core.pipeline import FramePipeline, stamp_of
from deid_ros.core.report import FaceReport
from deid_ros.core.tracking import Tracker


class FrameReport(NamedTuple):
    """What was done to one image."""

    #: One entry a face, with the region in which pixels may have changed.
    faces: List[FaceReport]
    #: Milliseconds by stage: decode, detect, track, deidentify, encode.
    milliseconds: Dict[str, float]


class Deidentifier:
    """Makes every face in images unrecognizable. Loads its networks once, when it is made.

    >>> deidentifier = Deidentifier(deid_method='blur')
    >>> safe, report = deidentifier(bgr)
    >>> [face.method for face in report.faces]
    ['blur']

    :param parameter_file: a parameter file of the node, such as `config/uav.yaml`; None for the
        defaults.
    :param parameters: parameters of docs/parameters.md, which override the file. Dots in their
        names may be written as underscores: `detector_width=960` sets `detector.width`.
    :raises ConfigurationError: a parameter is not allowed, or a package or file is missing; the
        message says what to do.
    """

    def __init__(self, parameter_file: Union[None, str, 'os.PathLike[str]'] = None,
                 **parameters: Any) -> None:
        #: Of all parameters, by name.
        self.values = values_of(parameter_file, parameters)
        self.pipeline = make_pipeline(self.values)
        self.settings = pipeline_settings(self.values)
        self._trackers = {}  # type: Dict[str, Tracker]

    @property
    def provenance(self) -> Dict[str, Any]:
        """Return what does the work: names, devices and hashes, as JSON can hold them."""
        return provenance(self.pipeline)

    def __call__(self, image: Any, stamp: Optional[float] = None, camera: str = ''
                 ) -> Tuple[Any, FrameReport]:
        """Return the image with every face treated, and what was done.

        With a stamp, faces are followed from one image to the next: each person keeps one new
        face, and a face that the detector misses for a moment is treated all the same. Without
        one, the image stands alone. Call it from one thread at a time.

        :param image: (H, W, 3) uint8 BGR array, or a `sensor_msgs/Image` or
            `sensor_msgs/CompressedImage`, of rclpy or of rosbags. It is not changed.
        :param stamp: seconds, in the order of the images. A message has its own, in its header,
            where it is not zero.
        :param camera: whose images follow each other; of several cameras, each needs a name.
        :returns: an array or a message like `image`, and the report.
        :raises CodecError: the image cannot be opened.
        :raises DetectionError: the detector failed or gave nonsense.
        :raises AnonymizationError: a face was not treated as it must be.
        """
        message = image
        if isinstance(image, np.ndarray):
            message = _message_of(image, stamp)
        elif stamp is None:
            stamp = stamp_of(message) or None
        tracker = None
        if stamp is not None:
            tracker = self._trackers.setdefault(camera, Tracker())
        frame = self.pipeline.process(message, self.settings, tracker)
        report = FrameReport(frame.faces, frame.milliseconds)
        if isinstance(image, np.ndarray):
            # A copy, as a picture without a face is still the caller's own array.
            return np.array(frame.bgr), report
        safe = copy.copy(message)
        safe.data = _like(message.data, frame.data)
        return safe, report

    def process_or_withhold(self, message: Any, tracker: Optional[Tracker] = None) -> Outcome:
        """Return what becomes of a message, whatever goes wrong; see `failsafe`. Never raises."""
        return process_or_withhold(self.pipeline, message, self.settings,
                                   self.values['on_failure'], tracker)

    def forget(self, camera: str = '') -> None:
        """Forget the faces of a camera, as before images of another place or time."""
        self._trackers.pop(camera, None)


def values_of(parameter_file: Union[None, str, 'os.PathLike[str]'], parameters: Mapping[str, Any]
              ) -> Dict[str, Any]:
    """Return the values of all parameters by name.

    :param parameter_file: as for `Deidentifier`.
    :param parameters: override the file; dots in names may be written as underscores.
    :raises ConfigurationError: one is not allowed.
    """
    given = read_parameters(parameter_file)
    names = {name.replace('.', '_'): name for name in given}
    return parameter_values(list(given.items()) + [
        (names.get(name, name), value) for name, value in parameters.items()])


def provenance(pipeline: FramePipeline) -> Dict[str, Any]:
    """Return what does the work: names, devices and hashes, as JSON can hold them."""
    return {'detector': pipeline.detector.name, 'detector_device': pipeline.detector.device,
            'method': pipeline.anonymizer.name, 'method_device': pipeline.anonymizer.device,
            'backend': pipeline.anonymizer.backend, 'fallback': pipeline.fallback.name,
            'model_sha256': pipeline.model_hashes}


def _message_of(bgr: np.ndarray, stamp: Optional[float]) -> Any:
    """Return an array as the frame path takes images.

    :raises CodecError: it is no (H, W, 3) uint8 array.
    """
    if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8:
        raise CodecError('data', 'The image is an array of shape {} and type {}; allowed is '
                                  '(height, width, 3) of uint8, in BGR.'.format(
                                      bgr.shape, bgr.dtype))
    height, width = bgr.shape[:2]
    sec, fraction = divmod(stamp or 0.0, 1.0)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=int(sec), nanosec=int(1e9 * fraction)),
                               frame_id=''),
        height=height, width=width, encoding='bgr8', is_bigendian=0, step=3 * width,
        data=np.ascontiguousarray(bgr).reshape(-1))


def _like(original: Any, data: array) -> Any:
    """Return the data of a message in the form that its original has."""
    if isinstance(original, np.ndarray):
        return np.frombuffer(data, np.uint8)
    return bytes(data) if isinstance(original, bytes) else data
