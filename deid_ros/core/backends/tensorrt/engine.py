# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A chain as one TensorRT engine, by the converters of torch2trt (v0.5.0, and main of 2024 on).

Only the converters of torch2trt are used. Its function `torch2trt` ignores the workspace limit from
TensorRT 10 on, cannot keep single layers in fp32, and calibrates with batches of 1 whatever the
profile says; its `TRTModule` cuts batches without a word and loses its flatteners when it is part
of another module. So network, profile and limits are made here, and `backend` runs the
engine.
"""

import logging
from typing import Any, Dict, List

import numpy as np
import tensorrt as trt
import torch
import torch2trt

# Registers the converter of the shift.
import deid_ros.core.backends.tensorrt.shift  # noqa: F401
from deid_ros.core.backends import cuda
from deid_ros.core.backends.torch_backend import ChainModule
from deid_ros.core.deidentification.calibration_faces import calibration_faces
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.deidentification.networks import FACE_SIZE
from deid_ros.core.errors import ConfigurationError

FACES, CONTROL, RESULT = 'faces', 'control', 'result'

# What a chain's layers may use while they are tried out and run. They need a few MiB.
_WORKSPACE = 64 << 20
# The batch that the engine's kernels are chosen for: what a frame holds, more or less.
_TYPICAL_BATCH = 8

_log = logging.getLogger(__name__)


class TensorRtLog(trt.ILogger):
    """What TensorRT says, in Python's log; keeps its last error, as its functions say just None."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.error = 'no reason given'

    def log(self, severity: Any, message: str) -> None:
        """See `tensorrt.ILogger`."""
        if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
            self.error = message
            _log.error('TensorRT: %s', message)
        else:
            _log.debug('TensorRT: %s', message)


def typical_batch(max_batch: int) -> int:
    """Return the batch that an engine for at most `max_batch` faces is tuned for."""
    return min(_TYPICAL_BATCH, max_batch)


def face_shape(color: bool) -> List[int]:
    """Return the shape of one face."""
    return [FACE_SIZE, FACE_SIZE] + ([3] if color else [])


def control_shape(chain: Chain, batch: int) -> List[int]:
    """Return the shape of what steers the shift of so many faces, see `Backend._infer`."""
    size = chain.shift.control_size if chain.shift is not None else 0
    return [batch, size] if size else [1, 1]


def _typical_control(chain: Chain, batch: int) -> torch.Tensor:
    assert chain.shift is not None
    identities = chain.shift.identities
    if identities is None:
        return torch.full((1, 1), chain.alpha, device=cuda.DEVICE)
    return torch.from_numpy(np.float32(chain.alpha) * np.resize(
        identities, (batch, identities.shape[1]))).to(cuda.DEVICE)


def build_engine(chain: Chain, precision: str, max_batch: int) -> bytes:
    """Return a new engine, serialized. Takes seconds on a desktop, minutes on a Jetson.

    Inputs: `faces`, (N, 64, 64) or (N, 64, 64, 3) float32 in 0…1, and, where the chain shifts at
    run time, `control`, float32, see `Backend._infer`. Output: `result`, as `faces`. N is 1 to
    `max_batch`. What goes in and comes out is fp32 in any precision.

    :raises ConfigurationError: the device or this TensorRT cannot do the precision, or no engine
        came of it; the message has TensorRT's reason.
    """
    log = TensorRtLog()
    builder = trt.Builder(log)
    config = builder.create_builder_config()
    _limit_workspace(config)
    _set_precision(builder, config, precision)
    network = builder.create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    module = ChainModule(chain).eval().to(cuda.DEVICE)
    # Two faces, so that no layer takes the batch for a dimension of 1 that it may drop.
    inputs = _inputs(chain, torch.zeros([2] + face_shape(chain.color), device=cuda.DEVICE))
    per_face = chain.shift is not None and chain.shift.identities is not None
    with torch.no_grad(), torch2trt.ConversionContext(
            network, torch2trt_kwargs=_settings(module, precision), builder_config=config,
            logger=log) as context:
        context.add_inputs(list(inputs.values()), list(inputs),
                           [[0], [0] if per_face else []][:len(inputs)])
        result = module(inputs[FACES], inputs.get(CONTROL))
        context.mark_outputs([result], [RESULT])

    profile = builder.create_optimization_profile()
    face = face_shape(chain.color)
    profile.set_shape(FACES, [1] + face, [typical_batch(max_batch)] + face, [max_batch] + face)
    if CONTROL in inputs:
        profile.set_shape(CONTROL, *(control_shape(chain, batch) for batch
                                     in (1, typical_batch(max_batch), max_batch)))
    config.add_optimization_profile(profile)
    if precision == 'int8':
        config.int8_calibrator = _calibrator(chain, typical_batch(max_batch))
        config.set_calibration_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ConfigurationError('TensorRT {} cannot build the engine: {}'.format(
            trt.__version__, log.error))
    return bytes(engine)


def _inputs(chain: Chain, faces: torch.Tensor) -> Dict[str, torch.Tensor]:
    inputs = {FACES: faces}
    if chain.shift is not None:  # TensorRT takes an input that nothing reads for a mistake.
        inputs[CONTROL] = _typical_control(chain, len(faces))
    return inputs


def _settings(module: torch.nn.Module, precision: str) -> Dict[str, Any]:
    """Return what the converters look up of the arguments of the function `torch2trt`."""
    return {'module': module, 'default_device_type': trt.DeviceType.GPU, 'device_types': {},
            'gpu_fallback': True, 'fp16_mode': precision == 'fp16',
            'int8_mode': precision == 'int8'}


def _limit_workspace(config: Any) -> None:
    if hasattr(config, 'set_memory_pool_limit'):  # from 8.4 on
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    else:
        config.max_workspace_size = _WORKSPACE


def _set_precision(builder: Any, config: Any, precision: str) -> None:
    if precision == 'fp32':
        return
    flags = ['FP16', 'INT8'] if precision == 'int8' else ['FP16']
    # Without this, what a layer asks for is no more than a hint.
    flags.append('OBEY_PRECISION_CONSTRAINTS')
    for name in flags:
        if not hasattr(trt.BuilderFlag, name):
            raise ConfigurationError(
                'backend.precision is {!r}, but TensorRT {} has no flag {}. Use fp32, or one of '
                'TensorRT 8.2 to 10.'.format(precision, trt.__version__, name))
    # Some releases do not tell; then TensorRT says so when it builds.
    if not getattr(builder, 'platform_has_fast_' + precision, True):
        raise ConfigurationError(
            'backend.precision is {!r}, which {} cannot do well. Use {}.'.format(
                precision, cuda.device_name(), 'fp16' if precision == 'int8' else 'fp32'))
    for name in flags:
        config.set_flag(getattr(trt.BuilderFlag, name))


def _calibrator(chain: Chain, batch: int) -> Any:
    """Return faces to find the ranges of int8 by.

    In batches as the profile's best: TensorRT reads that much of each, whatever is in it.
    """
    faces = torch.from_numpy(calibration_faces(chain.color)).to(cuda.DEVICE).float() / 255
    # Light and dark, and in a mirror.
    faces = torch.cat([faces, faces.flip(2), faces * 0.6, faces * 0.6 + 0.4])
    batches = [list(_inputs(chain, faces[first:first + batch].contiguous()).values())
               for first in range(0, len(faces) - batch + 1, batch)]
    # torch2trt's own default compares versions as words, and so takes 10 for older than 5.
    return torch2trt.DatasetCalibrator(
        torch2trt.ListDataset(batches), trt.CalibrationAlgoType.ENTROPY_CALIBRATION_2)
