# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate`: how well people are hidden, and what is left of the images.

Prints Markdown. Exit code 0: all was measured, and every requirement holds. 1: the input or a
setting is wrong, and nothing was measured. 2: wrong usage. 3: a requirement does not hold.
"""

import argparse
import sys
import tarfile
from collections.abc import Sequence

from deid_ros.core.errors import DeidError
from deid_ros.offboard.evaluation import detection, heads, modes, pair, results, sanity, tracks
from deid_ros.offboard.evaluation.gates import failures
from deid_ros.offboard.evaluation.options import set_processes
from deid_ros.offboard.evaluation.report import Measured, write_csv, write_json

#: Each adds its subcommands with `add_command(subparsers)`.
COMMANDS = (modes, pair, tracks, detection, heads, sanity, results)
_ERROR, _NOT_HELD = 1, 3


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(
        prog='evaluate', description=str(__doc__).replace('`', ''),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='docs/evaluation.md says what each measure means.')
    subparsers = result.add_subparsers(required=True, metavar='COMMAND')
    for command in COMMANDS:
        command.add_command(subparsers)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = parser().parse_args(arguments)
    set_processes(options)
    try:
        measured: Measured = options.run(options)
        print(options.table(measured))
        if options.csv:
            write_csv(options.csv, measured)
        if options.json:
            write_json(options.json, measured)
    except (DeidError, OSError, ValueError, tarfile.TarError) as error:
        print(f'evaluate: {error}', file=sys.stderr)
        return _ERROR
    failed = failures([*options.require, *options.always], measured)
    for sentence in failed:
        print(f'evaluate: {sentence}', file=sys.stderr)
    return _NOT_HELD if failed else 0


if __name__ == '__main__':
    sys.exit(main())
