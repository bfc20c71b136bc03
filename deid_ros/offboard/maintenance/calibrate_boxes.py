# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`calibrate_boxes`: fits the mapping from a detector's boxes to dlib's tight squares.

The networks are trained on these squares. The result belongs into
`core/deidentification/alignment.py`.
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np

from deid_ros.core.detection import DETECTORS, make_detector
from deid_ros.core.detection.detector import Detector
from deid_ros.core.faces import Face
from deid_ros.offboard.common.datasets import frames

# Least intersection over union of two boxes of one face.
_SAME_FACE = 0.3


def _largest(detector: Detector, image: np.ndarray) -> Face | None:
    return max(detector.detect(image), key=lambda face: face.box.height, default=None)


def calibrate(detector: Detector, images: list[np.ndarray]) -> np.ndarray:
    """Return (N, 3): side and centre (right, down) of dlib's square in heights of the found box.

    :param images: (H, W, 3) uint8 BGR; those in which a detector finds no face are left out.
    """
    reference = make_detector('dlib_hog')
    result = []
    for image in images:
        tight, found = _largest(reference, image), _largest(detector, image)
        if tight is None or found is None or tight.box.iou(found.box) < _SAME_FACE:
            continue
        box, square = found.box, tight.box
        right = square.x + square.width / 2 - box.x - box.width / 2
        down = square.y + square.height / 2 - box.y - box.height / 2
        result.append(np.array([square.height, right, down]) / box.height)
    return np.array(result).reshape(-1, 3)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    command = argparse.ArgumentParser(prog='calibrate_boxes',
                                      description=str(__doc__).replace('`', ''))
    command.add_argument('--data', type=Path, required=True, help='tar or folder of face images')
    command.add_argument('--count', type=int, default=300, help='images (default: 300)')
    command.add_argument('--detectors', nargs='+', choices=list(DETECTORS), required=True)
    command.add_argument('--model-path', default='', help='network of yunet')
    options = command.parse_args(arguments)
    images = list(islice(frames(options.data), options.count))
    for name in options.detectors:
        detector = make_detector(name, options.model_path if name == 'yunet' else '')
        pairs = calibrate(detector, images)
        middle = np.median(pairs, axis=0)
        spread = np.median(np.abs(pairs - middle), axis=0)
        print(f'{name}: {len(pairs)} faces, median ± median absolute deviation: '
              + ', '.join(f'{what} {value:.3f} ± {deviation:.3f}' for what, value, deviation
                          in zip(('scale', 'right', 'down'), middle, spread, strict=True)))


if __name__ == '__main__':
    main()
