# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The command line of the demo."""

import argparse
import functools
import os
import pathlib
import signal
import sys
from collections.abc import Sequence

from tqdm import tqdm

from deid_ros.core.errors import ConfigurationError
from deid_ros.offboard.common.node_process import (
    NodeProcessError,
    configure_dds_for_images,
    node_command,
    running,
)
from deid_ros.offboard.demo.errors import DemoError
from deid_ros.offboard.demo.scene import (
    MOST_PICTURES,
    load_portraits,
    make_scene,
    packaged_portraits,
    pictures_in,
)
from deid_ros.offboard.demo.simulated_camera import SimulatedCamera
from deid_ros.offboard.demo.source import FrameSource
from deid_ros.offboard.demo.video import VideoFile

DESCRIPTION = (
    'Fly a camera past portraits, send its images over DDS through the node deid, and check that '
    'nobody can be recognized in what comes out. Writes before_after.png (it shows the originals, '
    'too) and anonymized_bag/ (rosbag2, mcap).')
DEFAULT_RATE = 15.0
MOST_PROBLEMS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 only if nothing untreated and nobody recognizable came out."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    _isolate()
    try:
        problems = _run(options)
    except (DemoError, NodeProcessError, ConfigurationError, OSError) as error:
        problems = [str(error)]
    except KeyboardInterrupt:
        problems = ['interrupted']
    for problem in problems[:MOST_PROBLEMS]:
        print(f'demo: {problem}', file=sys.stderr)
    if len(problems) > MOST_PROBLEMS:
        print(f'demo: … and {len(problems) - MOST_PROBLEMS} more', file=sys.stderr)
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m deid_ros.offboard.demo',
                                     description=DESCRIPTION)
    scene = parser.add_mutually_exclusive_group()
    scene.add_argument('--image-dir', type=pathlib.Path, metavar='DIR',
                       help=f'hang portraits of this folder on the wall, {MOST_PICTURES} at most')
    scene.add_argument('--video', type=pathlib.Path, metavar='FILE',
                       help='play a video instead of the simulated camera')
    parser.add_argument('--seconds', type=_positive, default=10.0, help='length (10)')
    parser.add_argument('--rate', type=_positive,
                        help=f"frames per second ({DEFAULT_RATE:g}; for a video, the video's own)")
    parser.add_argument('--method', help="how faces are treated (the node's default)")
    parser.add_argument('--detector', help="how faces are found (the node's default)")
    parser.add_argument('-p', '--parameter', action='append', default=[], metavar='NAME:=VALUE',
                        help='any other parameter of the node; may be given several times')
    parser.add_argument('--output', type=pathlib.Path, default='demo', metavar='DIR',
                        help='where the results go (demo)')
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is not a number above 0')
    return value


def _isolate() -> None:
    """Keep to this machine and to a graph of its own: nobody else's nodes are disturbed."""
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
    configure_dds_for_images()


def _run(options: argparse.Namespace) -> list[str]:
    source = _source(options)
    # Imports rclpy, which reads the environment and which a wrong argument need not wait for.
    from deid_ros.offboard.demo.contact_sheet import ContactSheet
    from deid_ros.offboard.demo.flight import OUTPUTS, fly
    from deid_ros.offboard.demo.recorder import BagRecorder
    from deid_ros.offboard.demo.table import table
    from deid_ros.offboard.demo.verification import verify

    progress = functools.partial(tqdm, unit='frame', leave=False, dynamic_ncols=True)
    options.output.mkdir(parents=True, exist_ok=True)
    bag, picture = options.output / 'anonymized_bag', options.output / 'before_after.png'
    with BagRecorder(bag, OUTPUTS) as recorder, \
            running(node_command(_parameters(options)), options.output / 'node.log') as node:
        log = fly(source, node, recorder, functools.partial(progress, desc='flying'))

    sheet = ContactSheet(source.frame_count, source.rate)
    findings = verify(source, log, bag, functools.partial(progress, desc='checking'), sheet.add)
    sheet.save(picture, log.figures.get('method', ''))
    print(table(log, findings))
    print(f'\nSee {picture} and {bag}')
    return findings.problems


def _source(options: argparse.Namespace) -> FrameSource:
    if options.video:
        return VideoFile(options.video, options.rate, options.seconds)
    portraits = (load_portraits(pictures_in(options.image_dir)) if options.image_dir
                 else packaged_portraits())
    return SimulatedCamera(make_scene(portraits), options.rate or DEFAULT_RATE, options.seconds)


def _parameters(options: argparse.Namespace) -> list[str]:
    parameters = list(options.parameter)
    if options.method:
        parameters.append(f'deid.method:={options.method}')
    if options.detector:
        parameters.append(f'detector.type:={options.detector}')
    return parameters


if __name__ == '__main__':
    sys.exit(main())
