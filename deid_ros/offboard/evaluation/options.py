# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Options that the subcommands of `evaluate` share."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from deid_ros.core.detection import DETECTORS, Detector, make_detector
from deid_ros.core.errors import ConfigurationError
from deid_ros.offboard.common.datasets import PROCESSES_VARIABLE
from deid_ros.offboard.evaluation.gates import Gate, parse_gate
from deid_ros.offboard.evaluation.measures import anonymity
from deid_ros.offboard.evaluation.measures.other_recognizer import RANGES, OtherRecognizer
from deid_ros.offboard.evaluation.report import Measured, markdown

#: What a subcommand does with its options.
Run = Callable[[argparse.Namespace], Measured]
#: An anonymizer that returns a face unchanged is broken, so this is always required.
CHANGES_FACES = ('unchanged<=0',)


class Subparsers(Protocol):
    """What `argparse.ArgumentParser.add_subparsers` returns."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:
        """Add the parser of a subcommand."""


def new_command(subparsers: Subparsers, name: str, run: Run, summary: str, *,
                table: Callable[[Measured], str] = markdown, always: Sequence[str] = ()
                ) -> argparse.ArgumentParser:
    """Return the parser of a subcommand that prints figures, with the options that all have.

    :param summary: a sentence for `--help`.
    :param table: turns what was measured into Markdown.
    :param always: gates that hold besides those the user requires.
    """
    parser = subparsers.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run, table=table, always=[parse_gate(text) for text in always])
    output = parser.add_argument_group('output and limits')
    output.add_argument('--require', nargs='+', type=_gate, default=[], action='extend',
                        metavar='GATE',
                        help="end with exit code 3 unless these hold: 'deid>=0.95' 'yaw<10'")
    output.add_argument('--csv', type=Path, metavar='FILE', help='also write the figures as CSV')
    output.add_argument('--json', type=Path, metavar='FILE', help='also write them as JSON')
    output.add_argument('--cache', type=Path, default=Path.home() / '.cache' / 'deid_ros',
                        help='folder for cropped faces and for results of networks on them '
                             '(default: ~/.cache/deid_ros)')
    output.add_argument('--processes', type=int, metavar='N',
                        help=f'processes at once (default: {PROCESSES_VARIABLE}, else one a core)')
    return parser


def add_measure_options(parser: argparse.ArgumentParser) -> None:
    """Add the options with the inputs of some measures, which are left out without them."""
    group = parser.add_argument_group('for more measures')
    group.add_argument('--classifier', type=Path, metavar='NPZ',
                       help='attribute classifier on descriptors, for ATTR and gender')
    group.add_argument('--training-data', type=Path, metavar='TAR',
                       help='tar or folder that the networks were trained on, for LEAK')
    group.add_argument('--recognizer', type=Path, metavar='ONNX',
                       help='another recognition network, which measures DEID, DIV and '
                            're-identification, too; takes aligned RGB faces')
    group.add_argument('--recognizer-values', choices=RANGES, default='-1..1',
                       help='range of its pixels (default: -1..1)')
    group.add_argument('--downstream', choices=DETECTORS,
                       help='detector that is to find the new faces, for detection')


def classifier_of(options: argparse.Namespace) -> anonymity.AttributeClassifier | None:
    """Return the attribute classifier that was asked for."""
    return anonymity.AttributeClassifier(options.classifier) if options.classifier else None


def recognizer_of(options: argparse.Namespace) -> OtherRecognizer | None:
    """Return the other recognizer that was asked for."""
    return (OtherRecognizer(options.recognizer, options.recognizer_values)
            if options.recognizer else None)


def downstream_of(options: argparse.Namespace, in_use: str = '') -> Detector | None:
    """Return the downstream detector that was asked for.

    :param in_use: the detector that found the faces in the first place.
    :raises ConfigurationError: it is the same.
    """
    if options.downstream is None:
        return None
    if options.downstream == in_use:
        raise ConfigurationError(f'--downstream {in_use} is the detector that finds the faces; '
                                 'name another one')
    return make_detector(options.downstream)


def set_processes(options: argparse.Namespace) -> None:
    """Let this process and its children keep to `--processes`."""
    if getattr(options, 'processes', None) is not None:
        os.environ[PROCESSES_VARIABLE] = str(options.processes)


def _gate(text: str) -> Gate:
    try:
        return parse_gate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
