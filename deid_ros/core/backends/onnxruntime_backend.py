# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain in ONNX Runtime, the quickest on CPUs."""

import logging
import os
from typing import Optional

import numpy as np
import onnxruntime

from deid_ros.core.backends.backend import Backend
from deid_ros.core.backends.cache import (
    UnusableFileError,
    cache_directory,
    read_file,
    write_file,
)
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import network_threads

# Raised when the model is made in another way.
_BUILD = '4'
_PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}

_log = logging.getLogger(__name__)


def _model(chain: Chain) -> bytes:
    """Return the chain's ONNX model: from the cache, or made, and kept where it can be."""
    path = os.path.join(cache_directory(), f'chain-{chain.key}.onnx')
    facts = {'chain': chain.key, 'build': _BUILD}
    try:
        return read_file(path, facts)
    except FileNotFoundError:
        pass
    except UnusableFileError as error:
        _log.warning('the cached model %s is made anew: %s', path, error)
    from deid_ros.core.backends.onnx_graph import build_model

    content = bytes(build_model(chain).SerializeToString())
    try:
        write_file(path, facts, content)
    except OSError as error:
        _log.warning('the model cannot be kept as %s, and is made at each start: %s',
                     path, error.strerror)
    return content


class OnnxRuntimeBackend(Backend):
    """Runs a chain as one ONNX Runtime session.

    :param device: `cpu` or `cuda`.
    :raises ConfigurationError: ONNX Runtime cannot use the device. By itself it would take the CPU
        without a word.
    """

    name = 'onnxruntime'

    def __init__(self, chain: Chain, device: str = 'cpu') -> None:
        super().__init__(chain)
        self.device = device
        self._control_name = 'offsets' if self.identity_count else 'alpha'
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = network_threads()
        provider = _PROVIDERS[device]
        if provider not in onnxruntime.get_available_providers():
            raise ConfigurationError('ONNX Runtime cannot use {}: it was built without {}'.format(
                device, provider))
        self._session = onnxruntime.InferenceSession(_model(chain), options, providers=[provider])
        if provider not in self._session.get_providers():
            raise ConfigurationError('ONNX Runtime cannot use {}: {} does not start'.format(
                device, provider))

    def _infer(self, faces: np.ndarray, control: Optional[np.ndarray]) -> np.ndarray:
        inputs = {'faces': np.ascontiguousarray(faces)}
        if control is not None:
            inputs[self._control_name] = control
        return self._session.run(['result'], inputs)[0]
