# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`benchmark_chain`: latency and throughput of the whole chain, beside the least time possible.

For every backend, device and precision that is there; what is not is listed with the reason. The
floor is the time that the device needs to read the weights or to do the arithmetic, whichever is
longer. Of the CPU, both rates are measured; of a known GPU, they are published ones.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from deid_ros.core.backends import make_backend
from deid_ros.core.backends.backend import Backend
from deid_ros.core.backends.options import PRECISIONS, BackendOptions
from deid_ros.core.deidentification.chain import AUTO, SHIFT_APPLY, Chain, load_chain
from deid_ros.core.deidentification.networks import FACE_SIZE
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import models_directory
from deid_ros.offboard.benchmarks.floor import (
    BYTES,
    CLOCKS,
    Clock,
    Device,
    floor_of,
    known_device,
    measure_cpu,
    work_of,
)

BATCHES = tuple(2 ** power for power in range(9))
#: Milliseconds per face that the paper reports, for the device of the estimate.
PAPER, PAPER_DEVICE = 0.65, 'Tegra X2'

_WARM_UP = 5
_LEAST_RUNS = 20


class Variant(NamedTuple):
    """One way to run a chain: backend, device and precision."""

    backend: str
    device: str
    precision: str
    make: Callable[[Chain], Backend]


def variants(max_batch: int) -> list[Variant]:
    """Return all variants, whether they can run here or not."""
    def onnxruntime(device: str) -> Callable[[Chain], Backend]:
        def make(chain: Chain) -> Backend:
            from deid_ros.core.backends.onnxruntime_backend import OnnxRuntimeBackend
            return OnnxRuntimeBackend(chain, device)
        return make

    def torch(device: str, graphs: bool = False) -> Callable[[Chain], Backend]:
        def make(chain: Chain) -> Backend:
            from deid_ros.core.backends.cuda import require_device
            from deid_ros.core.backends.torch_backend import TorchBackend
            if device == 'cuda':
                require_device()
            return TorchBackend(chain, device, graphs)
        return make

    def tensorrt(precision: str) -> Callable[[Chain], Backend]:
        return lambda chain: make_backend('tensorrt', chain, BackendOptions(max_batch, precision))

    return [
        Variant('onnxruntime', 'cpu', 'fp32', onnxruntime('cpu')),
        Variant('torch', 'cpu', 'fp32', torch('cpu')),
        Variant('onnxruntime', 'cuda', 'fp32', onnxruntime('cuda')),
        Variant('torch', 'cuda', 'fp32', torch('cuda')),
        Variant('torch, graphs', 'cuda', 'fp32', torch('cuda', True)),
        *(Variant('tensorrt', 'cuda', precision, tensorrt(precision)) for precision in PRECISIONS),
    ]


def seconds_of_runs(backend: Backend, batch: int, seconds: float, clock: Clock) -> np.ndarray:
    """Return the time of each of as many runs of one batch as fit, and of 20 at least."""
    shape = (batch, FACE_SIZE, FACE_SIZE) + ((3,) if backend.color else ())
    faces = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    identities = np.zeros(batch, np.int64) if backend.identity_count else None
    for _ in range(_WARM_UP):  # the first runs allocate
        backend.run(faces, identities)
    times: list[float] = []
    while len(times) < _LEAST_RUNS or sum(times) < seconds:
        start = clock()
        backend.run(faces, identities)
        times.append(clock() - start)
    return np.array(times)


def measure(backend: Backend, variant: Variant, chain: Chain, device: Device | None, batch: int,
            seconds: float, clock: Clock) -> dict[str, Any]:
    """Return one row of the table."""
    times = seconds_of_runs(backend, batch, seconds, clock)
    p50, p95, p99 = (float(value) for value in np.percentile(1000 * times / batch, (50, 95, 99)))
    floor = device and floor_of(work_of(chain), device, variant.precision, batch)
    row = {'mode': chain.name, 'backend': variant.backend, 'device': variant.device,
           'precision': variant.precision, 'batch': batch, 'runs': len(times),
           'p50_ms': p50, 'p95_ms': p95, 'p99_ms': p99,
           'faces_per_second': float(batch / times.mean()),
           'floor_ms': None, 'limit': None, 'ratio': None}
    if floor:
        row.update(floor_ms=floor.milliseconds, limit=floor.limit, ratio=p50 / floor.milliseconds)
    return row


def estimate(chains: list[Chain], device: Device, precision: str = 'fp16') -> Iterator[list[str]]:
    """Yield rows about a device that is not here, beside the paper's figure."""
    for chain in chains:
        work = work_of(chain)
        one, many = (floor_of(work, device, precision, batch) for batch in (1, 16))
        if one is None or many is None:
            raise ConfigurationError(f'{device.name} has no figure for {precision}')
        yield [f'`{chain.name}`', f'{work.values / 1e6:.2f}',
               f'{work.values * BYTES[precision] / 1e6:.1f}', f'{work.operations / 1e6:.1f}',
               f'{one.memory:.3f}', f'{one.compute:.3f}', f'{one.milliseconds:.3f}',
               f'{many.milliseconds:.3f}', f'{PAPER / one.milliseconds:.1f}']


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ['---'] * len(header), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def _text(row: dict[str, Any]) -> list[str]:
    known = row['floor_ms'] is not None
    return [f'`{row["mode"]}`', row['backend'], row['device'], row['precision'], str(row['batch']),
            f'{row["p50_ms"]:.3f}', f'{row["p95_ms"]:.3f}', f'{row["p99_ms"]:.3f}',
            f'{row["faces_per_second"]:.0f}',
            f'{row["floor_ms"]:.3f}, {row["limit"]}' if known else '–',
            f'{row["ratio"]:.1f}' if known else '–']


_HEADER = ['mode', 'backend', 'device', 'precision', 'batch', 'p50 ms / face', 'p95', 'p99',
           'faces / s', 'floor ms, by', 'p50 / floor']
_ESTIMATE_HEADER = ['mode', 'values (million)', 'MB', 'MFLOP / face', 'ms to read', 'ms to compute',
                    'floor, batch 1', 'floor, batch 16', 'paper / floor']


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    command = argparse.ArgumentParser(
        prog='benchmark_chain', description=str(__doc__).replace('`', ''),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument('--models', type=Path, help='folder with models.json')
    command.add_argument('--modes', nargs='+', metavar='MODE', help='default: all')
    command.add_argument('--apply', choices=(AUTO, *SHIFT_APPLY), default=AUTO)
    names = list(dict.fromkeys(variant.backend for variant in variants(1)))
    command.add_argument('--backends', nargs='+', choices=names, default=names)
    command.add_argument('--batches', nargs='+', type=int, default=list(BATCHES))
    command.add_argument('--seconds', type=float, default=2.0, help='for each figure (default: 2)')
    command.add_argument('--clock', choices=sorted(CLOCKS), default='wall',
                         help='processor: time of the processor, all threads added up, which other '
                              'programs disturb less; for the CPU with one thread, as set by '
                              'DEID_ROS_THREADS, OMP_NUM_THREADS and OPENBLAS_NUM_THREADS')
    command.add_argument('--json', type=Path, metavar='FILE', help='write all figures there, too')
    command.add_argument('--markdown', type=Path, metavar='FILE', help='write the table there, too')
    command.add_argument('--estimate', action='store_true',
                         help='measure nothing; print what a Jetson TX2 could reach')
    options = command.parse_args(arguments)
    try:
        store = ModelStore(str(options.models or models_directory()))
        chains = [load_chain(store, mode, options.apply)
                  for mode in options.modes or store.modes
                  if options.modes or options.apply in (AUTO, *store.modes[mode]['apply'])]
    except ConfigurationError as error:
        command.exit(2, f'benchmark_chain: {error}\n')
    if options.estimate:
        device = known_device(PAPER_DEVICE)
        assert device is not None
        print(f'{device.name}, fp16: {device.bytes_per_second / 1e9:.1f} GB/s, '
              f'{device.operations_per_second["fp16"] / 1e12:.2f} TFLOP/s. Paper: {PAPER} ms.\n')
        print(table(_ESTIMATE_HEADER, list(estimate(chains, device))))
        return 0
    rows, devices, missing = _measure_all(chains, options)
    lines = [table(_HEADER, [_text(row) for row in rows]), '',
             f'{options.clock} clock, {os.cpu_count()} CPU cores']
    lines += [f'{device.name}: {device.bytes_per_second / 1e9:.1f} GB/s, '
              + ', '.join(f'{rate / 1e12:.3f} TFLOP/s {precision}' for precision, rate
                          in device.operations_per_second.items()) + f' ({device.origin})'
              for device in devices]
    lines += [f'not run: {reason}' for reason in missing]
    text = '\n'.join(lines) + '\n'
    print(text, end='')
    if options.markdown:
        options.markdown.write_text(text, encoding='utf-8')
    if options.json:
        options.json.write_text(json.dumps({
            'clock': options.clock, 'rows': rows,
            'devices': [device._asdict() for device in devices],
            'not_run': missing}, indent=1) + '\n', encoding='utf-8')
    return 0


def _measure_all(chains: list[Chain], options: argparse.Namespace
                 ) -> tuple[list[dict[str, Any]], list[Device], list[str]]:
    rows: list[dict[str, Any]] = []
    devices: dict[str, Device] = {}
    clock = CLOCKS[options.clock]
    missing: list[str] = []
    chosen = [variant for variant in variants(max(options.batches))
              if variant.backend in options.backends]
    with tqdm(total=len(chains) * len(chosen) * len(options.batches), file=sys.stderr) as progress:
        for chain in chains:
            # For each chain, as small ones fit into caches; and right before its figures, as the
            # load of shared computers changes.
            cpu = measure_cpu(f'CPU, {chain.name}', work_of(chain).values, clock)
            for variant in chosen:
                what = f'{variant.backend} on {variant.device}, {variant.precision}'
                progress.set_description(f'{chain.name}: {what}')
                try:
                    backend = variant.make(chain)
                except (ConfigurationError, ImportError) as error:
                    reason = f'{what}: {error}'
                    if reason not in missing:
                        missing.append(reason)
                    progress.update(len(options.batches))
                    continue
                device = cpu if variant.device == 'cpu' else _cuda_device()
                if device is not None:
                    devices[device.name] = device
                for batch in options.batches:
                    rows.append(measure(backend, variant, chain, device, batch, options.seconds,
                                        clock))
                    progress.update()
    return rows, list(devices.values()), missing


def _cuda_device() -> Device | None:
    from deid_ros.core.backends import cuda
    return known_device(cuda.device_name())


if __name__ == '__main__':
    sys.exit(main())
