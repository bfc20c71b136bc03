# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
r"""Measure detectors on photos with hand-drawn face boxes, and print a Markdown table.

    python -m deid_ros.offboard.benchmarks.detectors --data detection.tar \
        --detectors centerface,centerface+yunet --model-path yunet.onnx \\
        --widths 640,960,0 --thresholds 0.2,0.3 --limit 50

The data is a folder or tar file that holds `boxes.json` beside its images:
`{"0000.jpg": {"faces": [{"box": [left, top, right, bottom]}, ...]}, ...}`.

Recall is the share of drawn faces that a box of its own meets with an intersection over union of
at least 0.3. A false positive is a box that meets no drawn face that is still free. Columns in px
are recall by the face's height in the original photo.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from deid_ros.core.detection import DETECTORS, Detector, detect_at_width, make_detector
from deid_ros.core.errors import ConfigurationError, DeidError
from deid_ros.core.faces import Box, Face

MIN_IOU = 0.3
#: Bins of face heights, in pixels: at least the first, below the second.
HEIGHTS = ((0, 16), (16, 32), (32, 64), (64, 1 << 30))


class Photo(NamedTuple):
    """An image (H, W, 3) uint8 BGR, and the boxes drawn by hand."""

    bgr: np.ndarray
    boxes: list[Box]


class Measurement(NamedTuple):
    """What one detector did with all photos at one width and threshold."""

    #: For each drawn face: its height in pixels, and whether it was found.
    faces: list[tuple[float, bool]]
    false_positives_per_image: float
    median_ms: float


def read_photos(data: pathlib.Path, limit: int = 0) -> list[Photo]:
    """Return the first `limit` photos (0: all) of a folder or tar file, in the order of names.

    :raises ConfigurationError: there is no boxes.json, or an image is missing or undecodable.
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
    faces, times, surplus = [], [], 0
    for photo in photos:
        start = time.perf_counter()
        detected = detect_at_width(detector, photo.bgr, width, threshold)
        times.append(time.perf_counter() - start)
        found = match(detected, photo.boxes)
        surplus += len(detected) - len(found)
        faces += [(box.height, index in found) for index, box in enumerate(photo.boxes)]
    return Measurement(faces, surplus / len(photos), 1000 * statistics.median(times))


def recall(faces: Sequence[tuple[float, bool]]) -> str:
    """Return the share of found faces for the table."""
    return f'{statistics.mean(found for _, found in faces):.2f}' if faces else '–'


def row(cells: Sequence[object]) -> str:
    """Return a line of a Markdown table."""
    return '| ' + ' | '.join(str(cell) for cell in cells) + ' |'


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--data', type=pathlib.Path, required=True, help='folder or tar file')
    parser.add_argument('--detectors', type=lambda text: text.split(','), default=['centerface'],
                        help=f'any of {", ".join(DETECTORS)}; several joined by + unite their '
                             'boxes (default: centerface)')
    parser.add_argument('--model-path', default='', help='network file of the detector yunet')
    parser.add_argument('--limit', type=int, default=50,
                        help='number of photos, 0 for all (default: 50)')
    parser.add_argument('--widths', default=[640, 960, 0],
                        type=lambda text: [int(width) for width in text.split(',')],
                        help='widths in pixels, 0 for the original (default: 640,960,0)')
    parser.add_argument('--thresholds', default=[None],
                        type=lambda text: [float(threshold) for threshold in text.split(',')],
                        help="least scores (default: each detector's own)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _options(arguments)
    try:
        photos = read_photos(options.data, options.limit)
        heights = [box.height for photo in photos for box in photo.boxes]
        bins = [sum(low <= height < high for height in heights) for low, high in HEIGHTS]
        print(f'{len(photos)} photos, {len(heights)} faces; '
              f'<16 px: {bins[0]}, 16–32: {bins[1]}, 32–64: {bins[2]}, ≥64: {bins[3]}.\n')
        columns = ('detector', 'device', 'width', 'threshold', 'recall', '<16 px', '16–32',
                   '32–64', '≥64', 'false positives / image', 'median ms')
        print(row(columns), row(['---'] * len(columns)), sep='\n')
        for name in options.detectors:
            names = name.split('+')
            detector = make_detector(names, options.model_path if 'yunet' in names else '')
            for width in options.widths:
                for threshold in options.thresholds:
                    result = measure(detector, photos, width, threshold)
                    by_height = [recall([face for face in result.faces if low <= face[0] < high])
                                 for low, high in HEIGHTS]
                    shown = threshold
                    if threshold is None:
                        shown = 'defaults' if len(names) > 1 else detector.default_threshold
                    print(row([name, detector.device, width or 'original', shown,
                               recall(result.faces), *by_height,
                               f'{result.false_positives_per_image:.2f}',
                               f'{result.median_ms:.0f}']), flush=True)
    except DeidError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
