# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`benchmark_chain`: latency of the whole chain per face, by backend, mode and batch size."""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from deid_ros.core.backends import BACKENDS, Backend, make_backend
from deid_ros.core.deidentification.chain import SHIFT_APPLY, load_chain
from deid_ros.core.deidentification.networks import FACE_SIZE
from deid_ros.core.deidentification.weights import ModelStore


def milliseconds_per_face(backend: Backend, batch: int, seconds: float) -> np.ndarray:
    """Return the latency per face of each of as many runs as fit into the given time."""
    shape = (batch, FACE_SIZE, FACE_SIZE) + ((3,) if backend.color else ())
    faces = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for _ in range(5):  # the first runs allocate
        backend.run(faces)
    result = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        backend.run(faces)
        result.append((time.perf_counter() - start) * 1000 / batch)
    return np.array(result)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    command = argparse.ArgumentParser(prog='benchmark_chain',
                                      description=str(__doc__).replace('`', ''))
    command.add_argument('--models', type=Path, default=Path('models'))
    command.add_argument('--modes', nargs='+', metavar='MODE', help='default: all')
    command.add_argument('--apply', choices=SHIFT_APPLY, default='finetuned')
    command.add_argument('--backends', nargs='+', choices=BACKENDS, default=list(BACKENDS))
    command.add_argument('--batches', nargs='+', type=int, default=[1, 16])
    command.add_argument('--seconds', type=float, default=3.0, help='for each figure (default: 3)')
    options = command.parse_args(arguments)
    store = ModelStore(str(options.models))
    print(f'{os.cpu_count()} CPU cores; milliseconds per face, median (95th percentile)')
    for mode in options.modes or store.modes:
        if options.apply not in store.modes[mode]['apply']:
            continue
        chain = load_chain(store, mode, options.apply)
        for name in options.backends:
            backend = make_backend(name, chain)
            for batch in options.batches:
                latency = milliseconds_per_face(backend, batch, options.seconds)
                print(f'{mode:12} {name:12} {backend.device:5} batch {batch:3}: '
                      f'{np.median(latency):6.2f} ({np.percentile(latency, 95):.2f})', flush=True)


if __name__ == '__main__':
    main()
