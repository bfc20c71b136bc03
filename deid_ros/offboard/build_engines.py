# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`build_engines`: build TensorRT engines ahead of a flight, so that the node starts at once.

Run it on the device that will fly, with the parameters of the node. Engines go to the cache in
which the node looks for them; what is there and passes the self-test is kept.
"""

import argparse
import logging
import sys
import time
from pathlib import Path

from deid_ros.core.backends import make_backend
from deid_ros.core.backends.cache import cache_directory
from deid_ros.core.backends.options import PRECISIONS, BackendOptions
from deid_ros.core.deidentification.chain import load_chain
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import models_directory
from deid_ros.offboard.bag.parameters import read_parameters


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 if an engine could not be built."""
    command = argparse.ArgumentParser(
        prog='build_engines', description=str(__doc__).replace('`', ''),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument('--params', type=Path, metavar='FILE',
                         help="the node's parameters, such as config/uav.yaml")
    command.add_argument('-p', '--parameter', action='append', default=[], metavar='NAME:=VALUE',
                         help='one parameter of the node; may be given several times')
    command.add_argument('--modes', nargs='+', metavar='MODE',
                         help='shift modes in the place of deid.shift_mode; all: every one')
    command.add_argument('--precisions', nargs='+', choices=PRECISIONS,
                         help='in the place of backend.precision')
    options = command.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format='  %(message)s', stream=sys.stdout)
    try:
        values = read_parameters(options.params, options.parameter)
        store = ModelStore(str(models_directory()))
        modes = options.modes or [values['deid.shift_mode']]
        if modes == ['all']:
            modes = sorted(store.modes)
        # A mode that has no such way is left to its own where several are asked for.
        apply = values['deid.shift_apply'] if len(modes) == 1 else 'auto'
        chains = [load_chain(store, mode, apply) for mode in modes]
    except ConfigurationError as error:
        command.exit(2, f'build_engines: {error}\n')
    wanted = [(chain, precision) for chain in chains
              for precision in options.precisions or [values['backend.precision']]]
    failures = 0
    for number, (chain, precision) in enumerate(wanted, 1):
        print(f'[{number}/{len(wanted)}] {chain.name}, {precision}, batches to '
              f'{values["backend.max_batch"]}', flush=True)
        started = time.monotonic()
        try:
            backend = make_backend('tensorrt', chain, BackendOptions(
                values['backend.max_batch'], precision))
        except ConfigurationError as error:
            failures += 1
            print(f'  failed: {error}', flush=True)
        else:
            print(f'  ready after {time.monotonic() - started:.0f} s: {backend.note}', flush=True)
    print(f'{len(wanted) - failures} of {len(wanted)} engines are ready in {cache_directory()}')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
