# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate detection`: recall and speed of detectors on photos with hand-drawn face boxes.

The data is a folder or tar file that holds `boxes.json` beside its images:
`{"0000.jpg": {"faces": [{"box": [left, top, right, bottom]}, ...]}, ...}`.

A drawn face is found if a detected box overlaps it with an intersection over union of at least 0.3.
Each box matches one drawn face at most. A false positive is a box without a match. Heights are
those of the faces in the original photos.
"""

import argparse
import itertools
import json
import pathlib
import tarfile
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from deid_ros.core.detection import DETECTORS, Detector, detect_at_width, make_detector
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.faces import Box, Face
from deid_ros.offboard.evaluation.measures.catalogue import RECALLS
from deid_ros.offboard.evaluation.measures.figures import Figure, mean, share, statistic
from deid_ros.offboard.evaluation.options import Subparsers, new_command
from deid_ros.offboard.evaluation.report import Measured, markdown_by_method

MIN_IOU = 0.3


class Photo(NamedTuple):
    """An image (H, W, 3) uint8 BGR, and the boxes drawn by hand."""

    bgr: np.ndarray
    boxes: list[Box]


class Measurement(NamedTuple):
    """Results of one detector on all photos at one width and threshold."""

    #: Height in pixels of each drawn face, and whether it was found.
    faces: list[tuple[float, bool]]
    #: False positives, and milliseconds, of each photo.
    false_positives: np.ndarray
    milliseconds: np.ndarray


def read_photos(data: pathlib.Path, limit: int = 0) -> list[Photo]:
    """Return the first `limit` photos (0: all) of a folder or tar file, in the order of names.

    :raises ConfigurationError: there is no boxes.json, it lists no face, or an image is missing or
        undecodable.
    """
    files = dict(_files(data))
    index = next((name for name in files if name.split('/')[-1] == 'boxes.json'), None)
    if index is None:
        raise ConfigurationError(f'--data: {data} holds no boxes.json beside its images.')
    folder = index[:-len('boxes.json')]
    photos = []
    for name, entry in sorted(json.loads(files[index]).items())[:limit or None]:
        content = np.frombuffer(files.get(folder + name, b''), np.uint8)
        bgr = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
        if bgr is None:
            raise ConfigurationError(f'--data: {folder + name} in {data} is missing or no image.')
        corners = [face['box'] for face in entry['faces']]
        photos.append(Photo(bgr, [Box(left, top, right - left, bottom - top)
                                  for left, top, right, bottom in corners]))
    if not any(photo.boxes for photo in photos):
        raise ConfigurationError(f'--data: {index} in {data} lists no face.')
    return photos


def _files(data: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    if data.is_dir():
        for path in data.rglob('*'):
            if path.is_file():
                yield path.relative_to(data).as_posix(), path.read_bytes()
    elif data.is_file():
        with tarfile.open(data) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    yield member.name, content.read()
    else:
        raise ConfigurationError(f'--data: there is no folder or tar file {data}.')


def match(faces: Sequence[Face], boxes: Sequence[Box]) -> set[int]:
    """Return the indices of the drawn boxes that were found; each face finds one at most."""
    found: set[int] = set()
    for face in sorted(faces, key=lambda face: -face.score):
        overlaps = [(face.box.iou(box), index) for index, box in enumerate(boxes)
                    if index not in found]
        if overlaps and max(overlaps)[0] >= MIN_IOU:
            found.add(max(overlaps)[1])
    return found


def measure(detector: Detector, photos: Sequence[Photo], width: int,
            threshold: float | None) -> Measurement:
    """Run the detector on all photos, one at a time."""
    detect_at_width(detector, photos[0].bgr, width, threshold)  # The first run allocates.
    faces, times, false_positives = [], [], []
    for photo in photos:
        start = time.perf_counter()
        detected = detect_at_width(detector, photo.bgr, width, threshold)
        times.append(time.perf_counter() - start)
        found = match(detected, photo.boxes)
        false_positives.append(len(detected) - len(found))
        faces += [(box.height, index in found) for index, box in enumerate(photo.boxes)]
    return Measurement(faces, np.array(false_positives), 1000 * np.array(times))


def add_command(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = new_command(subparsers, 'detection', run,
                         'Measure recall by face height, and speed, of detectors. A missed face '
                         'stays in the image.', table=markdown_by_method)
    parser.add_argument('--data', type=pathlib.Path, required=True,
                        help='folder or tar file of photos with boxes.json')
    parser.add_argument('--detectors', nargs='+', default=['centerface'], metavar='DETECTOR',
                        help=f'any of {", ".join(DETECTORS)}; several joined by + are an '
                             'ensemble (default: centerface)')
    parser.add_argument('--model-path', default='', help='network file of the detector yunet')
    parser.add_argument('--limit', type=int, default=50,
                        help='number of photos, 0 for all (default: 50)')
    parser.add_argument('--widths', nargs='+', type=int, default=[640, 960, 0],
                        help='widths in pixels, 0 for the original (default: 640 960 0)')
    parser.add_argument('--thresholds', nargs='+', type=float, default=[None],
                        help="least scores (default: each detector's own)")


def run(options: argparse.Namespace) -> Measured:
    """Measure each detector at each width and threshold."""
    photos = read_photos(options.data, options.limit)
    measured = {}
    for name in options.detectors:
        names = name.split('+')
        detector = make_detector(names, options.model_path if 'yunet' in names else '')
        for width, threshold in itertools.product(options.widths, options.thresholds):
            label = threshold
            if threshold is None:
                label = 'defaults' if len(names) > 1 else detector.default_threshold
            size = f'{width} px' if width else 'original size'
            method = f'{name} on {detector.device}, {size}, from {label}'
            measured[method] = figures(measure(detector, photos, width, threshold))
    return measured


def figures(result: Measurement) -> dict[str, Figure]:
    """Return recall, in all and by height, false positives and time; by the catalogue's names."""
    heights = np.array([height for height, _ in result.faces])
    found = np.array([found for _, found in result.faces], bool)
    found_by_name = {'recall': found, **{
        name: found[(heights >= low) & (heights < high)] for name, (low, high) in RECALLS.items()}}
    return {
        **{name: share(hits) for name, hits in found_by_name.items() if hits.size},
        'false positives': mean(result.false_positives),
        'time': statistic(lambda weights: float(np.median(
            np.repeat(result.milliseconds, weights.astype(int)))), len(result.milliseconds), 'ms'),
    }
