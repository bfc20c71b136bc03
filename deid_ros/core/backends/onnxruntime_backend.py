# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain in ONNX Runtime, the quickest on CPUs."""

import os
from typing import Optional, Union

import numpy as np
import onnxruntime

from deid_ros.core.backends.backend import Backend
from deid_ros.core.backends.cache import cache_directory, write_atomically
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import network_threads

#: Part of the names of cached models: raised when the way they are made changes.
_FORMAT = 3
_PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}


def _model(chain: Chain) -> Union[str, bytes]:
    """Return the path of the chain's ONNX model in the cache, or the model where none can be kept.

    It is made when it is not there yet.
    """
    path = os.path.join(cache_directory(), f'chain-{_FORMAT}-{chain.key}.onnx')
    if os.path.exists(path):
        return path
    from deid_ros.core.backends.onnx_graph import build_model

    content = bytes(build_model(chain).SerializeToString())
    try:
        write_atomically(path, content)
    except OSError:  # a home that cannot be written to, as in many containers
        return content
    return path


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
        # Idle threads would spin, and take the processor from the detector.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
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
