# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain in ONNX Runtime, the quickest on CPUs."""

import os
import tempfile
from typing import Union

import numpy as np
import onnxruntime

from deid_ros.core.backends.backend import Backend
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.resources import network_threads

#: Part of the names of cached models: raised when the way they are made changes.
_FORMAT = 1


def cache_directory() -> str:
    """Return the user's folder for files derived from the models."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    return os.path.join(base, 'deid_ros')


def _model(chain: Chain) -> Union[str, bytes]:
    """Return the path of the chain's ONNX model in the cache, or the model where none can be kept.

    It is made when it is not there yet.
    """
    directory = cache_directory()
    path = os.path.join(directory, f'chain-{_FORMAT}-{chain.key}.onnx')
    if os.path.exists(path):
        return path
    from deid_ros.core.backends.onnx_graph import build_model

    content = bytes(build_model(chain).SerializeToString())
    try:
        os.makedirs(directory, exist_ok=True)
        # Written aside and then renamed: another process may want the same model right now.
        handle, partial = tempfile.mkstemp(dir=directory, suffix='.partial')
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
        os.replace(partial, path)
    except OSError:  # a home that cannot be written to, as in many containers
        return content
    return path


class OnnxRuntimeBackend(Backend):
    """Runs a chain as one ONNX Runtime session."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self._shifts = chain.shift is not None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = network_threads()
        self._session = onnxruntime.InferenceSession(
            _model(chain), options, providers=['CPUExecutionProvider'])

    def _infer(self, faces: np.ndarray) -> np.ndarray:
        inputs = {'faces': np.ascontiguousarray(faces)}
        if self._shifts:
            inputs['alpha'] = np.array(self.alpha, np.float32)
        return self._session.run(['result'], inputs)[0]
