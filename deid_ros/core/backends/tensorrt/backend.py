# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain in TensorRT: one engine, built once for each device, kept, and tested at each start."""

import logging
import threading
from typing import Any, Dict, List, Optional

import numpy as np
import tensorrt as trt
import torch

from deid_ros.core.backends import cuda
from deid_ros.core.backends.backend import Backend
from deid_ros.core.backends.options import DEFAULT_OPTIONS, BackendOptions
from deid_ros.core.backends.progress import announced
from deid_ros.core.backends.self_test import self_test
from deid_ros.core.backends.tensorrt.engine import (
    CONTROL,
    FACES,
    RESULT,
    TensorRtLog,
    build_engine,
    control_shape,
    face_shape,
    typical_batch,
)
from deid_ros.core.backends.tensorrt.engine_cache import (
    EngineKey,
    UnusableEngineError,
    read_engine,
    write_engine,
)
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.errors import AnonymizationError, ConfigurationError, raised_as

_log = logging.getLogger(__name__)


class TensorRtBackend(Backend):
    """Runs a chain as one TensorRT engine on the current CUDA device.

    The engine comes from the cache if it was built for this very device, TensorRT, chain, precision
    and profile, and passes the self-test; otherwise it is built, which is announced in the log, and
    kept if it passes.

    :raises ConfigurationError: there is no device, no engine can be built, or it fails the test.
    """

    name = 'tensorrt'

    def __init__(self, chain: Chain, options: BackendOptions = DEFAULT_OPTIONS) -> None:
        super().__init__(chain)
        cuda.require_device()
        self.device = cuda.DEVICE
        self._chain = chain
        self._precision = options.precision
        self._max_batch = options.max_batch
        with raised_as(ConfigurationError, 'TensorRT'):
            self._key = EngineKey(
                chain.key, chain.name, options.precision,
                '1-{}-{}'.format(typical_batch(options.max_batch), options.max_batch),
                trt.__version__, cuda.compute_capability(), cuda.device_name())
            if not self._use_cached():
                self._use_built()

    def _use_cached(self) -> bool:
        try:
            self._use(read_engine(self._key))
        except FileNotFoundError:
            return False
        except (UnusableEngineError, ConfigurationError) as error:
            _log.warning('the engine %s is built anew: %s', self._key.path, error)
            return False
        return True

    def _use_built(self) -> None:
        with announced('the TensorRT engine for {}, {}, is built for {}; this happens once, and '
                       'may take minutes'.format(self._chain.name, self._precision,
                                                 self._key.device)):
            engine = build_engine(self._chain, self._precision, self._max_batch)
        self._use(engine)
        try:
            write_engine(self._key, engine)
        except OSError as error:
            _log.warning('the engine cannot be kept as %s, and will be built at each start: %s',
                         self._key.path, error.strerror)

    def _use(self, serialized: bytes) -> None:
        """Load an engine and put it to the test.

        :raises ConfigurationError: whatever goes wrong.
        """
        with raised_as(ConfigurationError, 'loading the engine'):
            log = TensorRtLog()
            # The engine needs it as long as it lives.
            self._runtime = trt.Runtime(log)
            self._engine = self._runtime.deserialize_cuda_engine(serialized)
            if self._engine is None:
                raise ConfigurationError('TensorRT cannot load the engine: {}'.format(log.error))
            # One for each thread: an execution context and its buffers serve one at a time.
            self._executions = threading.local()
            self.note = '{} on {}; {}'.format(self._precision, self._key.device,
                                              self_test(self, self._chain, self._precision))
            # Frames come on another thread than the test's, whose memory is let go.
            self._executions = threading.local()

    def _infer(self, faces: np.ndarray, control: Optional[np.ndarray]) -> np.ndarray:
        if not hasattr(self._executions, 'own'):
            self._executions.own = _Execution(self._engine, self._chain, self._max_batch)
        execution = self._executions.own
        parts = []
        for first in range(0, len(faces), self._max_batch):
            part = slice(first, first + self._max_batch)
            # Each face has a row of its own, or all have the one of α.
            parts.append(execution.run(faces[part], control[part] if control is not None
                                       and self.identity_count else control))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


class _Execution:
    """One thread's way to run an engine: context, stream and memory, made once."""

    def __init__(self, engine: Any, chain: Chain, max_batch: int) -> None:
        self._engine = engine
        self._context = engine.create_execution_context()
        if self._context is None:
            raise AnonymizationError('TensorRT has no memory for an execution context')
        self._stream = cuda.new_stream()
        self._face = face_shape(chain.color)
        shape = [max_batch] + self._face
        self._host_faces, self._host_result = cuda.host_buffer(shape), cuda.host_buffer(shape)
        self._device = {FACES: cuda.device_buffer(shape), RESULT: cuda.device_buffer(shape)}
        if chain.shift is not None:
            self._device[CONTROL] = cuda.device_buffer(control_shape(chain, max_batch))

    def run(self, faces: np.ndarray, control: Optional[np.ndarray]) -> np.ndarray:
        """Return the new faces of one batch, in memory of their own."""
        count = len(faces)
        self._host_faces.numpy()[:count] = faces
        with torch.no_grad(), cuda.on_stream(self._stream):
            self._device[FACES][:count].copy_(self._host_faces[:count], non_blocking=True)
            # What the engine does not write is no face, and above all not one of another frame.
            self._device[RESULT][:count].fill_(float('nan'))
            shapes = {FACES: [count] + self._face}
            if control is not None:
                shapes[CONTROL] = list(control.shape)
                self._device[CONTROL][:len(control)].copy_(torch.from_numpy(control))
            self._enqueue(shapes)
            self._host_result[:count].copy_(self._device[RESULT][:count], non_blocking=True)
            self._stream.synchronize()
        return self._host_result.numpy()[:count].copy()

    def _enqueue(self, shapes: Dict[str, List[int]]) -> None:
        """Run the engine on what lies on the device.

        :param shapes: of each input.

        :raises AnonymizationError: the engine takes no such batch or gives another one, or does not
            start.
        """
        context = self._context
        if hasattr(context, 'execute_async_v3'):  # TensorRT 8.5 and later
            accepted = all(context.set_input_shape(name, shapes[name])
                           for name in self._device if name != RESULT)
            given = tuple(context.get_tensor_shape(RESULT))
            for name, memory in self._device.items():
                context.set_tensor_address(name, memory.data_ptr())
        else:
            indices = {name: self._engine.get_binding_index(name) for name in self._device}
            accepted = all(context.set_binding_shape(indices[name], shapes[name])
                           for name in self._device if name != RESULT)
            given = tuple(context.get_binding_shape(indices[RESULT]))
        if not accepted or given != tuple(shapes[FACES]):
            raise AnonymizationError('the engine gives {} for faces of {}'.format(
                given, tuple(shapes[FACES])))
        if hasattr(context, 'execute_async_v3'):
            started = context.execute_async_v3(self._stream.cuda_stream)
        else:
            bindings = [0] * len(indices)
            for name, index in indices.items():
                bindings[index] = self._device[name].data_ptr()
            started = context.execute_async_v2(bindings, self._stream.cuda_stream)
        if not started:
            raise AnonymizationError('the engine does not start')
