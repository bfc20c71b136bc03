# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for `tensorrt` and `torch2trt` that run a chain's torch module on the CPU.

They have of the real ones what the backend uses, by release: 8.2.1 of JetPack 4.6 (bindings,
`max_workspace_size`) and 10.3 (tensors by name, `set_memory_pool_limit`), and refuse the rest. The
layers that a converter adds are computed on the batch that is traced, and must give what the
module gave. `Fakes.fault` makes them misbehave as the real ones have been seen to.
"""

import contextlib
import ctypes
import importlib
import json
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from deid_ros.core.errors import ConfigurationError

TENSORRT_8, TENSORRT_10 = '8.2.1.8', '10.3.0'
DEVICE, CAPABILITY = 'Fake TX2', '6.2'

_OURS = ('backend', 'engine', 'shift')


class Fakes:
    """The state of a pair of stand-ins: what was built, and how they misbehave."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.fault = ''
        self.builds: list[dict[str, Any]] = []
        self.contexts = 0
        self.batches: list[int] = []
        self.calibrated: list[tuple[int, ...]] = []
        self.modules: dict[int, Any] = {}
        self.has_int8 = version == TENSORRT_10

    @property
    def is_old(self) -> bool:
        return self.version == TENSORRT_8


class Tensor:
    """What a layer gives for the batch that is traced."""

    def __init__(self, value: np.ndarray, name: str = '') -> None:
        self.value = value
        self.name = name

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape


class Layer:
    """Its outputs are computed when they are asked for, as its attributes are set before."""

    _SETTABLE = ('precision', 'reshape_dims', 'axis', 'num_elementwise_dims', 'name')

    def __init__(self, compute: Callable[['Layer'], list[np.ndarray]]) -> None:
        object.__setattr__(self, 'compute', compute)
        object.__setattr__(self, 'types', {})

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in self._SETTABLE, f'a layer has no {name}'
        object.__setattr__(self, name, value)

    def set_output_type(self, index: int, dtype: str) -> None:
        self.types[index] = dtype

    def get_output(self, index: int) -> Tensor:
        return Tensor(self.compute(self)[index])


def _reshaped(layer: Layer, value: np.ndarray) -> list[np.ndarray]:
    sizes = [value.shape[index] if size == 0 else size
             for index, size in enumerate(layer.reshape_dims)]
    return [value.reshape(sizes)]


def _gathered(layer: Layer, value: np.ndarray, indices: np.ndarray, axis: int
              ) -> list[np.ndarray]:
    assert indices.dtype == np.int32
    if getattr(layer, 'num_elementwise_dims', 0):
        assert axis == 1
        return [np.stack([row[index] for row, index in zip(value, indices)])]
    return [np.take(value, indices, axis)]


class Network:
    """`INetworkDefinition`, as far as it is used."""

    def __init__(self, fakes: Fakes) -> None:
        self.fakes = fakes
        self.module: Any = None
        self.inputs: dict[str, tuple[int, ...]] = {}
        self.outputs: list[str] = []

    def add_input(self, name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
        assert dtype == 'float32'
        self.inputs[name] = tuple(shape)
        return Tensor(np.empty(0), name)

    def mark_output(self, tensor: Tensor) -> None:
        self.outputs.append(tensor.name)

    def add_constant(self, shape: tuple[int, ...], weights: np.ndarray) -> Layer:
        assert weights.dtype in (np.float32, np.int32)
        assert weights.flags.c_contiguous
        return Layer(lambda layer: [weights.reshape(shape)])

    def add_shuffle(self, tensor: Tensor) -> Layer:
        return Layer(lambda layer: _reshaped(layer, tensor.value))

    def add_gather(self, tensor: Tensor, indices: Tensor, axis: int) -> Layer:
        return Layer(lambda layer: _gathered(layer, tensor.value, indices.value, axis))

    def add_concatenation(self, tensors: list[Tensor]) -> Layer:
        return Layer(lambda layer: [np.concatenate([one.value for one in tensors], layer.axis)])

    def add_elementwise(self, one: Tensor, other: Tensor, operation: str) -> Layer:
        assert len(one.shape) == len(other.shape), 'TensorRT broadcasts sizes, not dimensions'
        function = {'sum': np.add, 'sub': np.subtract, 'prod': np.multiply}[operation]
        return Layer(lambda layer: [function(one.value, other.value)])

    def add_matrix_multiply(self, one: Tensor, how: str, other: Tensor, other_how: str) -> Layer:
        assert how == other_how == 'none'
        return Layer(lambda layer: [one.value @ other.value])

    def add_topk(self, tensor: Tensor, operation: str, k: int, axes: int) -> Layer:
        assert (operation, axes) == ('min', 2)
        assert k <= 3840

        def compute(layer: Layer) -> list[np.ndarray]:
            order = np.argsort(tensor.value, axis=1, kind='stable')[:, :k]
            return [np.take_along_axis(tensor.value, order, 1), order.astype(np.int32)]

        return Layer(compute)


class BuilderConfig:
    """`IBuilderConfig` of either release."""

    def __init__(self, fakes: Fakes) -> None:
        self._fakes = fakes
        self.flags: set[str] = set()
        self.profiles: list[Profile] = []
        self.int8_calibrator: Any = None
        self.calibration_profile: Any = None
        self.workspace = 0

    def __setattr__(self, name: str, value: Any) -> None:
        if name == 'max_workspace_size':
            assert self._fakes.is_old, 'TensorRT 10 has no max_workspace_size'
            name = 'workspace'
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name == 'set_memory_pool_limit' and not self._fakes.is_old:
            return lambda pool, size: setattr(self, 'workspace', size)
        raise AttributeError(name)

    def set_flag(self, flag: str) -> None:
        self.flags.add(flag)

    def add_optimization_profile(self, profile: 'Profile') -> None:
        self.profiles.append(profile)

    def set_calibration_profile(self, profile: 'Profile') -> None:
        self.calibration_profile = profile


class Profile:
    """`IOptimizationProfile`."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[Any, Any, Any]] = {}

    def set_shape(self, name: str, least: Any, best: Any, most: Any) -> None:
        self.shapes[name] = tuple(least), tuple(best), tuple(most)


class Builder:
    """`Builder`; an engine is a line of JSON that names the module to run."""

    def __init__(self, fakes: Fakes, log: Any) -> None:
        self._fakes = fakes
        self._log = log
        self.platform_has_fast_fp16 = True
        self.platform_has_fast_int8 = fakes.has_int8

    def create_builder_config(self) -> BuilderConfig:
        return BuilderConfig(self._fakes)

    def create_network(self, flags: int) -> Network:
        assert flags == 1, 'explicit batch'
        return Network(self._fakes)

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: BuilderConfig) -> Any:
        fakes = self._fakes
        profile, = config.profiles
        assert set(profile.shapes) == set(network.inputs), 'each input needs its shapes'
        if config.int8_calibrator is not None:
            self._calibrate(config)
        fakes.builds.append({'workspace': config.workspace, 'flags': set(config.flags),
                             'profile': profile.shapes, 'inputs': network.inputs})
        if fakes.fault == 'build fails':
            self._log.log('ERROR', 'no implementation for a layer')
            return None
        if fakes.fault == 'out of memory':
            raise RuntimeError('CUDA out of memory')
        number = len(fakes.modules)
        fakes.modules[number] = network.module
        return json.dumps({'module': number, 'version': fakes.version, 'inputs': network.inputs,
                           'most': profile.shapes['faces'][2][0]}).encode()

    def _calibrate(self, config: BuilderConfig) -> None:
        _, best, _ = config.calibration_profile.shapes['faces']
        for index in range(len(config.int8_calibrator.dataset)):
            faces = config.int8_calibrator.dataset[index][0]
            # TensorRT reads that much, be it there or not.
            assert tuple(faces.shape) == best
            self._fakes.calibrated.append(tuple(faces.shape))


class Engine:
    """`ICudaEngine`."""

    def __init__(self, fakes: Fakes, facts: dict[str, Any]) -> None:
        self.fakes, self.facts = fakes, facts
        self.names = [*facts['inputs'], 'result']

    def create_execution_context(self) -> Any:
        if self.fakes.fault == 'no memory for a context':
            return None
        self.fakes.contexts += 1
        return (OldContext if self.fakes.is_old else NewContext)(self)

    def get_binding_index(self, name: str) -> int:
        assert self.fakes.is_old
        return self.names.index(name)


class _Context:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.fakes = engine, engine.fakes
        self._shapes: dict[str, tuple[int, ...]] = {}

    def _set_shape(self, name: str, shape: Any) -> bool:
        most = 1 if self.fakes.fault == 'profile of one' else self.engine.facts['most']
        if name == 'faces' and shape[0] > most:
            # The shape stays what it was, and whoever ignores the answer gets a short batch.
            self._shapes.setdefault(name, (1, *shape[1:]))
            return False
        self._shapes[name] = tuple(shape)
        return True

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = self._shapes['faces']
        return (1, *shape[1:]) if self.fakes.fault == 'short batch' else shape

    def _execute(self, addresses: dict[str, int]) -> bool:
        fault = self.fakes.fault
        if fault == 'does not start':
            return False
        faces = self._memory(addresses['faces'], self._shapes['faces'])
        control = (self._memory(addresses['control'], self._shapes['control'])
                   if 'control' in addresses else None)
        self.fakes.batches.append(len(faces))
        with torch.no_grad():
            result = self.engine.fakes.modules[self.engine.facts['module']](
                torch.from_numpy(faces.copy()),
                None if control is None else torch.from_numpy(control.copy())).numpy()
        if fault == 'NaN':
            result = np.full_like(result, np.nan)
        if fault == 'wrong faces':
            result = result[:, ::-1]
        if fault == 'one wrong face' and len(result) > 1:
            result[1] = result[0]
        if fault == 'writes the first face only':
            result = result[:1]
        self._memory(addresses['result'], result.shape)[...] = result
        return True

    @staticmethod
    def _memory(address: int, shape: tuple[int, ...]) -> np.ndarray:
        size = int(np.prod(shape))
        return np.frombuffer((ctypes.c_float * size).from_address(address),
                             np.float32).reshape(shape)


class OldContext(_Context):
    """`IExecutionContext` of TensorRT 8.2."""

    def set_binding_shape(self, index: int, shape: Any) -> bool:
        return self._set_shape(self.engine.names[index], shape)

    def get_binding_shape(self, index: int) -> tuple[int, ...]:
        return self._shape(self.engine.names[index])

    def execute_async_v2(self, bindings: list[int], stream_handle: int) -> bool:
        return self._execute(dict(zip(self.engine.names, bindings)))


class NewContext(_Context):
    """`IExecutionContext` of TensorRT 10."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: Any) -> bool:
        return self._set_shape(name, shape)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shape(name)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        return self._execute(self._addresses)


def _deserialize(fakes: Fakes, log: Any, content: bytes) -> Engine | None:
    if fakes.fault == 'loading raises':
        raise RuntimeError('CUDA error: out of memory')
    try:
        facts = json.loads(bytes(content))
    except ValueError:
        facts = {}
    if facts.get('version') != fakes.version or fakes.fault == 'does not load':
        log.log('ERROR', 'version tag does not match')
        return None
    return Engine(fakes, facts)


def _tensorrt(fakes: Fakes) -> types.ModuleType:
    module: Any = types.ModuleType('tensorrt')
    module.__version__ = fakes.version
    module.float32, module.int32 = 'float32', 'int32'

    class ILogger:
        Severity = types.SimpleNamespace(INTERNAL_ERROR='INTERNAL_ERROR', ERROR='ERROR')

        def __init__(self) -> None:
            pass

    module.ILogger = ILogger
    flags = {'FP16': 'FP16', 'INT8': 'INT8',
             'OBEY_PRECISION_CONSTRAINTS': 'OBEY_PRECISION_CONSTRAINTS'}
    module.BuilderFlag = types.SimpleNamespace(**flags)
    module.NetworkDefinitionCreationFlag = types.SimpleNamespace(EXPLICIT_BATCH=0)
    module.MemoryPoolType = types.SimpleNamespace(WORKSPACE='WORKSPACE')
    module.DeviceType = types.SimpleNamespace(GPU='GPU')
    module.TopKOperation = types.SimpleNamespace(MIN='min')
    module.MatrixOperation = types.SimpleNamespace(NONE='none')
    module.ElementWiseOperation = types.SimpleNamespace(SUM='sum', SUB='sub', PROD='prod')
    module.CalibrationAlgoType = types.SimpleNamespace(ENTROPY_CALIBRATION_2='entropy 2')
    module.Builder = lambda log: Builder(fakes, log)
    module.Runtime = lambda log: types.SimpleNamespace(
        deserialize_cuda_engine=lambda content: _deserialize(fakes, log, content))
    return module


def _torch2trt(fakes: Fakes) -> types.ModuleType:
    module: Any = types.ModuleType('torch2trt')
    converters: dict[str, Callable[[Any], None]] = {}

    def tensorrt_converter(method: str, is_real: bool = True, enabled: bool = True,
                           imports: Any = ()) -> Any:
        def register(converter: Callable[[Any], None]) -> Callable[[Any], None]:
            converters[method] = converter
            return converter
        return register

    class ConversionContext:
        def __init__(self, network: Network, converters: Any = converters,
                     torch2trt_kwargs: Any = None, builder_config: Any = None, logger: Any = None
                     ) -> None:
            self.network = network
            self.network.module = torch2trt_kwargs['module']
            # What converters of the one or the other release look up.
            assert {'device_types', 'default_device_type', 'gpu_fallback', 'fp16_mode',
                    'int8_mode'} <= set(torch2trt_kwargs)
            self._undo: list[Callable[[], None]] = []

        def __enter__(self) -> 'ConversionContext':
            for method, converter in converters.items():
                name, class_name, attribute = method.rsplit('.', 2)
                owner = getattr(importlib.import_module(name), class_name)
                original = getattr(owner, attribute)
                setattr(owner, attribute, self._converting(original, converter))
                self._undo.append(lambda owner=owner, attribute=attribute, original=original:
                                  setattr(owner, attribute, original))
            return self

        def __exit__(self, *arguments: Any) -> None:
            for undo in self._undo:
                undo()

        def _converting(self, original: Any, converter: Any) -> Any:
            def wrapper(*arguments: Any) -> Any:
                result = original(*arguments)
                for argument in arguments:
                    if isinstance(argument, torch.Tensor):
                        argument._trt = Tensor(argument.detach().numpy())
                self.method_args, self.method_kwargs, self.method_return = arguments, {}, result
                converter(self)
                assert np.allclose(result._trt.value, result.detach().numpy(), atol=1e-5), (
                    'the layers do not give what the module gives')
                return result
            return wrapper

        def add_inputs(self, torch_inputs: list[torch.Tensor], names: Any = None,
                       dynamic_axes: Any = None) -> None:
            for tensor, name, axes in zip(torch_inputs, names, dynamic_axes, strict=True):
                shape = [-1 if axis in axes else size for axis, size in enumerate(tensor.shape)]
                tensor._trt = self.network.add_input(name, 'float32', tuple(shape))

        def mark_outputs(self, torch_outputs: list[torch.Tensor], names: Any = None) -> None:
            for _, name in zip(torch_outputs, names, strict=True):
                self.network.mark_output(Tensor(np.empty(0), name))

    class ListDataset(list):
        pass

    class DatasetCalibrator:
        def __init__(self, dataset: Any, algorithm: Any = None, cache_file: Any = None,
                     flattener: Any = None) -> None:
            assert algorithm == 'entropy 2'
            self.dataset = dataset

    module.tensorrt_converter = tensorrt_converter
    module.ConversionContext = ConversionContext
    module.ListDataset, module.DatasetCalibrator = ListDataset, DatasetCalibrator
    return module


def missing() -> None:
    """Stand in for a recognizer where dlib is not installed."""
    raise ConfigurationError('dlib is not there')


def _forget() -> None:
    for name in _OURS:
        sys.modules.pop('deid_ros.core.backends.tensorrt.' + name, None)


@contextlib.contextmanager
def installed(monkeypatch: Any, version: str = TENSORRT_8) -> Iterator[Fakes]:
    """Put the stand-ins where imports find them, with a device that is the CPU and without dlib."""
    from deid_ros.core.backends import cuda, self_test

    fakes = Fakes(version)
    monkeypatch.setitem(sys.modules, 'tensorrt', _tensorrt(fakes))
    monkeypatch.setitem(sys.modules, 'torch2trt', _torch2trt(fakes))
    stream = types.SimpleNamespace(cuda_stream=0, synchronize=lambda: None)
    for name, value in {
            'DEVICE': 'cpu', 'require_device': lambda: None, 'device_name': lambda: DEVICE,
            'compute_capability': lambda: CAPABILITY, 'new_stream': lambda: stream,
            'on_stream': lambda stream: contextlib.nullcontext(),
            'device_buffer': lambda shape: torch.empty(list(shape)),
            'host_buffer': lambda shape: torch.empty(list(shape))}.items():
        monkeypatch.setattr(cuda, name, value)
    monkeypatch.setattr(self_test, 'FaceRecognizer', missing)
    _forget()
    yield fakes
    _forget()
