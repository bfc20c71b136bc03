# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain in ONNX Runtime, the quickest on CPUs."""

from typing import Optional

import numpy as np
import onnxruntime

from deid_ros.core.backends.backend import Backend
from deid_ros.core.backends.onnx_graph import build_model, control_input
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import network_threads

_PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}


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
        self._control_name = control_input(chain)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = network_threads()
        # Idle threads would spin, and take the processor from the detector.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        provider = _PROVIDERS[device]
        if provider not in onnxruntime.get_available_providers():
            raise ConfigurationError('ONNX Runtime cannot use {}: it was built without {}'.format(
                device, provider))
        self._session = onnxruntime.InferenceSession(build_model(chain), options,
                                                     providers=[provider])
        if provider not in self._session.get_providers():
            raise ConfigurationError('ONNX Runtime cannot use {}: {} does not start'.format(
                device, provider))

    def _infer(self, faces: np.ndarray, control: Optional[np.ndarray]) -> np.ndarray:
        inputs = {'faces': np.ascontiguousarray(faces)}
        if control is not None:
            inputs[self._control_name] = control
        return self._session.run(['result'], inputs)[0]
