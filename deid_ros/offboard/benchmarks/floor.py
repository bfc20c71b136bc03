# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The least time that a chain can take, by the roofline model: memory or arithmetic."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.deidentification.networks import FACE_SIZE, GRID, Layers

Clock = Callable[[], float]
#: Wall-clock time, or processor time of this process.
CLOCKS: dict[str, Clock] = {'wall': time.perf_counter, 'processor': time.process_time}

#: Bytes of one value.
BYTES = {'fp32': 4, 'fp16': 2, 'int8': 1}


class Work(NamedTuple):
    """The work of a chain, independent of the backend.

    `values`: weights, and entries of the table of a shift; each is read once for a batch.
    `operations`: multiplications and additions for one face.
    `pixels`: values of a face, which come in and go out as fp32.
    """

    values: int
    operations: int
    pixels: int


class Device(NamedTuple):
    """Peak rates of a device.

    `bytes_per_second`: of its memory. `operations_per_second`: by precision.
    `origin`: where the figures are from.
    """

    name: str
    bytes_per_second: float
    operations_per_second: dict[str, float]
    origin: str


class Floor(NamedTuple):
    """Least milliseconds for one face."""

    memory: float
    compute: float

    @property
    def milliseconds(self) -> float:
        """Return the larger of the two, as they overlap at best."""
        return max(self.memory, self.compute)

    @property
    def limit(self) -> str:
        """Return which one that is."""
        return 'memory' if self.memory >= self.compute else 'compute'


# Published figures. fp16 and int8 are those of dense matrix units where the device has them.
_KNOWN = {
    'Tegra X2': Device('Jetson TX2', 59.7e9, {'fp32': 0.665e12, 'fp16': 1.33e12}, 'published'),
    'H100 80GB HBM3': Device('H100 SXM', 3.35e12, {'fp32': 67e12, 'fp16': 989e12, 'int8': 1979e12},
                   'published'),
    'H200': Device('H200', 4.8e12, {'fp32': 67e12, 'fp16': 989e12, 'int8': 1979e12}, 'published'),
}


def known_device(name: str) -> Device | None:
    """Return the published figures of the CUDA device of that name; None where it is not known."""
    return next((device for part, device in _KNOWN.items() if part in name), None)


def work_of(chain: Chain) -> Work:
    """Return the work of a chain."""
    values = operations = 0
    for index, network in enumerate(chain.networks):
        values += sum(array.size for array in network.arrays.values())
        # A decoder begins with a latent of cells, or a flat one, whose layers need no side.
        operations += _operations(network.layers, GRID if index == 1 else FACE_SIZE)
    if chain.shift is not None and 'centres' in chain.shift.arrays:
        centres = chain.shift.arrays['centres'].size
        values += centres
        operations += 2 * centres
    return Work(values, operations, FACE_SIZE * FACE_SIZE * (3 if chain.color else 1))


def _operations(layers: Layers, side: int) -> int:
    total = 0
    for layer in layers:
        kind, sizes = layer[0], [int(size) for size in layer[1:]]
        if kind == 'dense':
            total += 2 * sizes[0] * sizes[1]
        elif kind == 'conv':
            total += 2 * 9 * sizes[0] * sizes[1] * side * side
        elif kind == 'unflatten':
            side = sizes[1]
        elif kind == 'pool':
            side //= 2
        elif kind == 'upsample':
            side *= 2
    return total


def floor_of(work: Work, device: Device, precision: str, batch: int) -> Floor | None:
    """Return the least time for one face of a batch; None where a figure is not known.

    Each weight is read once for the batch, each face is read and written once, and what is between
    the layers stays in caches.
    """
    if precision not in device.operations_per_second:
        return None
    read = work.values * BYTES[precision] / batch + 2 * BYTES['fp32'] * work.pixels
    return Floor(1000 * read / device.bytes_per_second,
                 1000 * work.operations / device.operations_per_second[precision])


def measure_cpu(name: str, values: int, clock: Clock = time.perf_counter) -> Device:
    """Return what this computer's processor can do, measured in about a second.

    Memory: the better of copying 256 MiB and of multiplying a matrix of `values` fp32 values, as
    many as the model has, by a vector. The second matters where they fit into the caches.
    Arithmetic: a product of two matrices of 2048 × 2048.
    """
    source = np.ones(64 << 20, np.float32)
    target = np.empty_like(source)
    copied = 2 * source.nbytes / _best(lambda: np.copyto(target, source), clock)
    weights = np.ones((max(1, values // 4096), 4096), np.float32)
    vector, product = np.ones(4096, np.float32), np.empty(len(weights), np.float32)
    streamed = weights.nbytes / _best(lambda: np.dot(weights, vector, out=product), clock)
    matrix = np.ones((2048, 2048), np.float32)
    square = np.empty_like(matrix)
    operations = 2 * 2048 ** 3 / _best(lambda: np.dot(matrix, matrix, out=square), clock)
    return Device(name, max(copied, streamed), {'fp32': operations},
                  f'measured: copy {copied / 1e9:.1f} GB/s, weights {streamed / 1e9:.1f} GB/s')


def _best(work: Callable[[], object], clock: Clock, seconds: float = 0.4) -> float:
    """Return the shortest time of as many runs as fit into `seconds`, at least three."""
    work()
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)
