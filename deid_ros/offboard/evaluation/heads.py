# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate heads`: in how many frames visible faces are treated, of people seen from above.

The data is a folder with `images/` and `labels/` (Pascal VOC: boxes of heads, backs of heads
included), and a table that says which heads show a face (`config/evaluation/elevated_heads.csv`).
Only the images that the table names are read.

Each image becomes a second of video: the picture drifts by a few pixels, as under a camera that
hovers, resampled anew for each frame. The frames go through the frame path's own detector,
schedule and tracker, as one sequence. A face is treated in a frame if the centre of its head lies
in a treated box, margin included, or if the box of a face and that of the head have an
intersection over union of at least 0.1.
"""

import argparse
import csv
import math
import pathlib
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import cv2
import numpy as np

from deid_ros.core.detection import Detector, make_detector
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.faces import Box, Face, region_of
from deid_ros.core.parameter_file import read_parameters
from deid_ros.core.parameters import detector_names, pipeline_settings
from deid_ros.core.pipeline import FramePipeline, PipelineSettings
from deid_ros.core.resources import shared_directory
from deid_ros.core.tracking import Tracker
from deid_ros.offboard.evaluation.measures.catalogue import TREATED
from deid_ros.offboard.evaluation.measures.figures import Figure, mean
from deid_ros.offboard.evaluation.options import Subparsers, new_command
from deid_ros.offboard.evaluation.report import Measured, markdown_by_method

HEAD = 'person_head'
#: All images that a table names, or every second one, from the first or the second on.
PARTS = ('all', 'even', 'odd')
#: What the table's column `shows` may hold; `unsure` counts neither way.
SHOWS = ('face', 'no face', 'unsure')
MIN_IOU = 0.1
#: How far the picture drifts to either side, in pixels.
DRIFT = (6.0, 4.0)


class Scene(NamedTuple):
    """An image (H, W, 3) uint8 BGR, all heads in it, and which of them show a face."""

    bgr: np.ndarray
    heads: list[Box]
    faces: list[int]


class Outcome(NamedTuple):
    """What became of one scene over its frames."""

    #: For each face: its head's height in pixels, and the share of frames in which it was treated.
    faces: list[tuple[float, float]]
    #: Mean share of the picture that was treated, and lies in no head.
    beyond: float
    #: Milliseconds of each frame.
    milliseconds: list[float]


def read_scenes(data: pathlib.Path, table: pathlib.Path, part: str = 'all') -> Iterator[Scene]:
    """Yield the scenes that a table names.

    :param part: `all`, or every second one: `even` or `odd`.
    :raises ConfigurationError: a file is missing, or the table does not fit the labels.
    """
    shows = _table(table)
    names = sorted(shows)
    chosen = {'all': names, 'even': names[::2], 'odd': names[1::2]}[part]
    for name in chosen:
        heads = _heads(data / 'labels' / name)
        if max(shows[name]) >= len(heads):
            raise ConfigurationError(f'{table}: {name} has {len(heads)} heads, and the table names '
                                     f'number {max(shows[name])}.')
        path = data / 'images' / pathlib.Path(name).with_suffix('.jpg')
        bgr = cv2.imread(str(path))
        if bgr is None:
            raise ConfigurationError(f'--data: {path} is missing or no image.')
        yield Scene(bgr, heads, [head for head, what in sorted(shows[name].items())
                                 if what == 'face'])


def _table(table: pathlib.Path) -> dict[str, dict[int, str]]:
    shows: dict[str, dict[int, str]] = {}
    with open(table, newline='', encoding='utf-8') as file:
        for line in csv.DictReader(file):
            try:
                name, head, what = line['labels'], int(line['head']), line['shows']
            except (KeyError, ValueError) as error:
                raise ConfigurationError(f'{table}: a line is {line}, must have labels, head (a '
                                         'number) and shows.') from error
            if what not in SHOWS:
                raise ConfigurationError(f'{table}: shows is {what!r}, must be one of '
                                         f'{", ".join(SHOWS)}.')
            shows.setdefault(name, {})[head] = what
    if not shows:
        raise ConfigurationError(f'{table} names no head.')
    return shows


def _heads(path: pathlib.Path) -> list[Box]:
    try:
        boxes = [[float(entry.findtext(f'bndbox/{side}', 'none'))
                  for side in ('xmin', 'ymin', 'xmax', 'ymax')]
                 for entry in ElementTree.parse(path).iter('object')
                 if entry.findtext('name') == HEAD]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise ConfigurationError(f'--data: {path} holds no boxes of heads ({error}).') from error
    return [Box(left, top, right - left, bottom - top) for left, top, right, bottom in boxes]


def drifting(scene: Scene, frames: int, rate: float) -> Iterator[tuple[float, Scene]]:
    """Yield the stamp and the scene of each frame of a video in which the picture drifts."""
    height, width = scene.bgr.shape[:2]
    for index in range(frames):
        seconds = index / rate
        x = DRIFT[0] * math.sin(2 * math.pi * 0.7 * seconds)
        y = DRIFT[1] * math.sin(2 * math.pi * 1.1 * seconds)
        bgr = cv2.warpAffine(scene.bgr, np.array([[1, 0, x], [0, 1, y]]), (width, height),
                             flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        yield seconds, Scene(bgr, [head._replace(x=head.x + x, y=head.y + y)
                                   for head in scene.heads], scene.faces)


def follow(scene: Scene, pipeline: FramePipeline, settings: PipelineSettings, frames: int,
           rate: float) -> Outcome:
    """Return what the frame path treats of a scene, over so many frames a second."""
    tracker = Tracker()
    treated = np.zeros((frames, len(scene.faces)), bool)
    beyond, milliseconds = [], []
    for index, (seconds, frame) in enumerate(drifting(scene, frames, rate)):
        start = time.perf_counter()
        found = pipeline.faces(frame.bgr, seconds, settings, tracker)
        milliseconds.append(1000 * (time.perf_counter() - start))
        treated[index] = [is_treated(frame.heads[head], found, settings.box_margin)
                          for head in frame.faces]
        beyond.append(_beyond(frame, found, settings.box_margin))
    return Outcome([(scene.heads[head].height, float(share))
                      for head, share in zip(scene.faces, treated.mean(axis=0))],
                     float(np.mean(beyond)), milliseconds)


def is_treated(head: Box, faces: Sequence[Face], margin: float) -> bool:
    """Tell whether the face of a head is treated, as the module says."""
    x, y = head.x + head.width / 2, head.y + head.height / 2
    for face in faces:
        box = face.extent.grown(margin)
        if box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height:
            return True
        if face.box.iou(head) >= MIN_IOU:
            return True
    return False


def _beyond(scene: Scene, faces: Sequence[Face], margin: float) -> float:
    """Return the share of the picture that is treated, and lies in no head."""
    height, width = scene.bgr.shape[:2]
    treated = np.zeros((height, width), bool)
    for face in faces:
        treated[region_of(face.extent.grown(margin), width, height).slices] = True
    for head in scene.heads:
        treated[region_of(head, width, height).slices] = False
    return float(treated.mean())


def measure(scenes: Iterator[Scene], detector: Detector, settings: PipelineSettings, frames: int,
            rate: float) -> list[Outcome]:
    """Return what the frame path treats in each scene."""
    pipeline = FramePipeline(detector, None, None)  # type: ignore[arg-type]
    return [follow(scene, pipeline, settings, frames, rate) for scene in scenes]


def figures(sequences: Sequence[Outcome]) -> dict[str, Figure]:
    """Return what was treated, in all and by the height of the head, and what it cost."""
    heights, shares = np.array([face for each in sequences for face in each.faces]).T
    by_name = {'treated': shares, **{
        name: shares[(heights >= low) & (heights < high)] for name, (low, high) in TREATED.items()}}
    times = np.array([np.mean(each.milliseconds) for each in sequences])
    return {**{name: mean(100 * values, '%') for name, values in by_name.items() if values.size},
            'beyond heads': mean(100 * np.array([each.beyond for each in sequences]), '%'),
            'time': mean(times, 'ms')}


def add_command(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = new_command(subparsers, 'heads', run, 'Measure in how many frames visible faces are '
                         'treated, of people seen from above.', table=markdown_by_method)
    parser.add_argument('--data', type=pathlib.Path, required=True,
                        help='folder with images/ and labels/')
    parser.add_argument('--shows', type=pathlib.Path, metavar='CSV',
                        help='which heads show a face (default: the one that is shipped)')
    parser.add_argument('--part', choices=PARTS, default='all',
                        help='every second image of the table (default: all)')
    parser.add_argument('--every', type=int, default=1, metavar='N',
                        help='only every n-th image of that part (default: 1)')
    parser.add_argument('--settings', nargs='+', default=['default'], metavar='SETTINGS',
                        help='what to measure: default, or a parameter file, or NAME:=VALUE; '
                             'several joined by commas (default: default)')
    parser.add_argument('--frames', type=int, default=10, help='of each image (default: 10)')
    parser.add_argument('--rate', type=float, default=10.0, help='in Hz (default: 10)')


def run(options: argparse.Namespace) -> Measured:
    """Measure each of the settings."""
    table = options.shows or shared_directory('config') / 'evaluation' / 'elevated_heads.csv'
    measured = {}
    for named in options.settings:
        values = _values(named)
        detector = make_detector(detector_names(values), values['detector.model_path'])
        scenes = islice(read_scenes(options.data, table, options.part), 0, None, options.every)
        measured[named] = figures(measure(scenes, detector, pipeline_settings(values),
                                          options.frames, options.rate))
    return measured


def _values(named: str) -> dict[str, Any]:
    """Return the values of all parameters that settings ask for."""
    parts = [part for part in named.split(',') if part != 'default']
    files = [part for part in parts if ':=' not in part]
    if len(files) > 1:
        raise ConfigurationError(f'--settings: {named} names {len(files)} files; allowed is one.')
    return read_parameters(files[0] if files else None, [part for part in parts if ':=' in part])
