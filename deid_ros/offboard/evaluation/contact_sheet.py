# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`contact_sheet`: draws originals and new faces side by side, for every mode.

Faces that the chain cannot treat are blurred, as in the pipeline. The sheets show original faces,
so they must not be published.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from deid_ros.core.compositing import composite
from deid_ros.core.deidentification.alignment import BOX_MAPPINGS, crop
from deid_ros.core.deidentification.autoencoder import AutoencoderAnonymizer
from deid_ros.core.deidentification.simple import Blur
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.detection import DETECTORS, make_detector
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.faces import Face
from deid_ros.core.resources import models_directory
from deid_ros.offboard.common.datasets import frames

# Margin around the box, as a share of it: shows whether the patch blends in.
_AROUND = 0.7
_TILE = 192


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(prog='contact_sheet',
                                     description=str(__doc__).replace('`', ''))
    result.add_argument('source', type=Path, help='video, or folder or tar of images')
    result.add_argument('--models', type=Path, help='folder with models.json')
    result.add_argument('--modes', nargs='+', metavar='MODE', help='shift modes (default: all)')
    result.add_argument('--apply', default='finetuned', choices=('finetuned', 'runtime'))
    result.add_argument('--backend', default='onnxruntime')
    result.add_argument('--detector', default='centerface', choices=list(DETECTORS))
    result.add_argument('--model-path', default='', help='network of the detector, for yunet')
    result.add_argument('--box-margin', type=float, default=0.25)
    result.add_argument('--min-size', type=float, default=20, help='lowest box, in pixels')
    result.add_argument('--every', type=int, default=25, help='take every n-th frame (default: 25)')
    result.add_argument('--rows', type=int, default=12, help='most faces on a sheet (default: 12)')
    result.add_argument('--output', type=Path, default=Path('contact_sheets'))
    return result


def main(arguments: list[str] | None = None) -> None:
    """Run the command: one sheet of faces with a column for each mode, one frame for each mode."""
    command = parser()
    options = command.parse_args(arguments)
    try:
        models = str(options.models or models_directory())
        modes = options.modes or [name for name, mode in ModelStore(models).modes.items()
                                  if options.apply in mode['apply']]
        detector = make_detector(options.detector, options.model_path)
        anonymizers = [AutoencoderAnonymizer(mode, options.apply, options.backend, models,
                                             BOX_MAPPINGS[options.detector]) for mode in modes]
    except ConfigurationError as error:
        command.exit(1, f'contact_sheet: {error}\n')
    options.output.mkdir(parents=True, exist_ok=True)
    rows: list[np.ndarray] = []
    for index, frame in enumerate(frames(options.source)):
        if index % options.every or len(rows) >= options.rows:
            continue
        height, width = frame.shape[:2]
        found = detector.detect(frame)
        faces = [face for face in found if face.box.height >= options.min_size
                 and anonymizers[0].can_treat(face, width, height) is None]
        others = [face for face in found if all(face is not treated for treated in faces)]
        blurred = composite(frame, Blur().anonymize(frame, others, options.box_margin))
        results = [composite(blurred, anonymizer.anonymize(frame, faces, options.box_margin))
                   for anonymizer in anonymizers]
        rows += [_row([frame, *results], face) for face in faces]
        if not index:
            for mode, result in zip(modes, results, strict=True):
                cv2.imwrite(str(options.output / f'frame_{mode}_{options.apply}.png'), result)
    if not rows:
        command.exit(1, f'contact_sheet: no face found in {options.source}\n')
    path = options.output / f'faces_{options.apply}.png'
    cv2.imwrite(str(path), np.vstack(rows[:options.rows]))
    print(f'{path}: columns original, {", ".join(modes)}')


def _row(images: list[np.ndarray], face: Face) -> np.ndarray:
    return np.hstack([crop(image, face.box.grown(_AROUND), _TILE) for image in images])


if __name__ == '__main__':
    main()
