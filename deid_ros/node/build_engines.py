# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`build_engines`: build TensorRT engines ahead of a flight, so that the node starts at once.

Run it on the device that will fly, with the parameters of the node, as in
`ros2 run deid_ros build_engines --ros-args --params-file FILE -p backend.max_batch:=16`.
Engines go to the cache in which the node looks for them; what is there and passes the self-test is
kept.
"""

import argparse
import sys
import time
from typing import Any, Dict, List, Optional

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from deid_ros.core.backends import make_backend
from deid_ros.core.backends.cache import cache_directory
from deid_ros.core.backends.options import PRECISIONS, BackendOptions
from deid_ros.core.deidentification.chain import AUTO, Chain, load_chain
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import models_directory
from deid_ros.node import parameters
from deid_ros.node.core_log import CoreLog

_ALL = 'all'


def main(args: Optional[List[str]] = None) -> int:
    """Run the command; return 0, 1 if an engine could not be built, or 2 for a wrong request."""
    args = sys.argv if args is None else args
    command = argparse.ArgumentParser(
        prog='build_engines', description=str(__doc__).replace('`', ''),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument('--modes', nargs='+', metavar='MODE',
                         help='shift modes in the place of deid.shift_mode; all: every one')
    command.add_argument('--precisions', nargs='+', choices=PRECISIONS, metavar='PRECISION',
                         help='in the place of backend.precision: ' + ', '.join(PRECISIONS))
    options = command.parse_args(remove_ros_args(args)[1:])
    rclpy.init(args=args)
    # By the node's own name, so that all in a parameter file that is for it counts.
    node = Node('deid', start_parameter_services=False)
    log = CoreLog(node.get_logger())
    try:
        parameters.declare(node)
        return _build(parameters.read(node), options.modes, options.precisions)
    except (ConfigurationError, InvalidParameterTypeException,
            InvalidParameterValueException) as error:
        print('build_engines: {}'.format(error), file=sys.stderr)
        return 2
    finally:
        log.detach()
        node.destroy_node()
        rclpy.try_shutdown()


def _build(values: Dict[str, Any], modes: Optional[List[str]], precisions: Optional[List[str]]
           ) -> int:
    chains = _chains(values, modes or [values['deid.shift_mode']])
    max_batch = values['backend.max_batch']
    wanted = [(chain, precision) for chain in chains
              for precision in precisions or [values['backend.precision']]]
    failures = 0
    for number, (chain, precision) in enumerate(wanted, 1):
        _say('[{}/{}] {}, {}, batches to {}'.format(number, len(wanted), chain.name, precision,
                                                    max_batch))
        started = time.monotonic()
        try:
            backend = make_backend('tensorrt', chain, BackendOptions(max_batch, precision))
        except ConfigurationError as error:
            failures += 1
            _say('  failed: {}'.format(error))
        else:
            _say('  ready after {:.0f} s: {}'.format(time.monotonic() - started, backend.note))
    _say('{} of {} engines are ready in {}'.format(len(wanted) - failures, len(wanted),
                                                   cache_directory()))
    return 1 if failures else 0


def _chains(values: Dict[str, Any], modes: List[str]) -> List[Chain]:
    store = ModelStore(str(models_directory()))
    if modes == [_ALL]:
        modes = sorted(store.modes)
    # Not every mode can be applied in the way that the parameter asks of the node's one.
    apply = values['deid.shift_apply'] if modes == [values['deid.shift_mode']] else AUTO
    return [load_chain(store, mode, apply) for mode in modes]


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == '__main__':
    sys.exit(main())
