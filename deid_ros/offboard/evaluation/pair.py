# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate pair`: compares original images with anonymized ones, made by any tool."""

import argparse
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from deid_ros.core.deidentification.alignment import BOX_MAPPINGS, crop, tight_box
from deid_ros.core.deidentification.networks import FACE_SIZE
from deid_ros.core.detection import (
    DETECTORS,
    Detector,
    check_faces,
    detect_at_width,
    make_detector,
)
from deid_ros.core.faces import Box, Face, region_of
from deid_ros.offboard.common.datasets import Faces, training_faces
from deid_ros.offboard.common.store import Store
from deid_ros.offboard.common.training_people import people_of
from deid_ros.offboard.evaluation.measures import suite, utility
from deid_ros.offboard.evaluation.measures.figures import Figure, share
from deid_ros.offboard.evaluation.options import (
    CHANGES_FACES,
    Subparsers,
    add_measure_options,
    classifier_of,
    downstream_of,
    new_command,
    recognizer_of,
)
from deid_ros.offboard.evaluation.report import Measured
from deid_ros.offboard.evaluation.sources import FramePair, SourceError, frame_pairs

# Most unchanged faces that are named on stderr.
_MOST_PLACES = 10


def add_command(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = new_command(
        subparsers, 'pair', run,
        'Measure an anonymized recording against its original: two folders, tars, videos or bags. '
        'Faces are detected in the original, and compared with the same places after.',
        always=CHANGES_FACES)
    parser.add_argument('original', type=Path)
    parser.add_argument('anonymized', type=Path)
    parser.add_argument('--crops', action='store_true',
                        help='every image is the tight crop of one face; no detector runs')
    parser.add_argument('--people', action='store_true',
                        help='each folder holds one person, whose face is the largest in an image')
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC',
                        help='of the original bag (default: all image topics); the anonymized bag '
                             'has them under their own names or below /deid')
    parser.add_argument('--may-lack-frames', action='store_true',
                        help='the anonymized bag may lack messages that were withheld or '
                             'superseded')
    parser.add_argument('--detector', choices=DETECTORS, default='centerface')
    parser.add_argument('--model-path', default='', help='network file of the detector')
    parser.add_argument('--width', type=int, default=0,
                        help='shrink images to this width for the detector (default: 0, never)')
    parser.add_argument('--min-size', type=float, default=32,
                        help='height in pixels from which a face is compared (default: 32); '
                             'smaller ones tell the networks nothing')
    parser.add_argument('--margin', type=float, default=0.5,
                        help='how far around a face its treatment may reach, as a share of its '
                             'size, where no report in a bag tells (default: 0.5)')
    add_measure_options(parser)


def run(options: argparse.Namespace) -> Measured:
    """Measure the pair."""
    downstream, recognizer = downstream_of(options, options.detector), recognizer_of(options)
    pairs = tqdm(frame_pairs(options.original, options.anonymized, options.topics,
                             may_lack_frames=options.may_lack_frames),
                 desc='frames', unit='frame', mininterval=5)
    found = _CropPairs() if options.crops else _FramePairs(
        make_detector(options.detector, options.model_path), downstream, options)
    for pair in pairs:
        found.add(pair)
    for place in found.unchanged[:_MOST_PLACES]:
        print(f'evaluate: unchanged: {place}', file=sys.stderr)
    if not found.before:
        raise SourceError(f'no face of {options.min_size:g} px or more in {options.original}')

    store = Store(options.cache)
    training_people = (people_of(training_faces(options.training_data, options.cache), store)
                       if options.training_data else None)
    faces = Faces(np.stack(found.before), np.array(found.names), np.array(found.people))
    originals = suite.Originals(faces, store, classifier_of(options),
                                training_people=training_people,
                                detector=downstream if options.crops else None,
                                recognizer=recognizer)
    figures = suite.measure(originals, np.stack(found.after)) | found.figures()
    return {options.anonymized.name: figures}


class _CropPairs:
    """Faces before and after, from images that are one tight crop each."""

    _SIZE = FACE_SIZE

    def __init__(self) -> None:
        self.before: list[np.ndarray] = []
        self.after: list[np.ndarray] = []
        self.names: list[str] = []
        self.people: list[str] = []
        #: Places of the faces that are the same before and after.
        self.unchanged: list[str] = []

    def add(self, pair: FramePair) -> None:
        """Take the face of a pair of images."""
        height, width = pair.before.shape[:2]
        self._take(pair, Box(0, 0, width, height), pair.person)

    def figures(self) -> dict[str, Figure]:
        """Return the figures beyond those of the suite: none."""
        return {}

    def _take(self, pair: FramePair, box: Box, person: str) -> None:
        self.before.append(crop(pair.before, box, self._SIZE))
        self.after.append(crop(pair.after, box, self._SIZE))
        self.names.append(pair.name)
        self.people.append(person)


class _FramePairs(_CropPairs):
    """Faces that a detector finds in the original frames, and the pixels around them."""

    # The input size of the recognition network, so that it gets all detail.
    _SIZE = 150

    def __init__(self, detector: Detector, downstream: Detector | None,
                 options: argparse.Namespace) -> None:
        super().__init__()
        self._detector = detector
        self._downstream = downstream
        self._options = options
        self._faces = 0
        self._outside = utility.Outside()
        self._found: list[list[Face]] = []
        self._found_after: list[list[Face]] = []

    def add(self, pair: FramePair) -> None:
        """Detect the faces of a frame, and compare both frames."""
        options = self._options
        height, width = pair.before.shape[:2]
        faces = check_faces(detect_at_width(self._detector, pair.before, options.width), width,
                            height)
        boxes = [tight_box(face, BOX_MAPPINGS[self._detector.name]) for face in faces]
        for box in boxes:
            inside = region_of(box, width, height)
            self._faces += 1
            if not inside.is_empty and np.array_equal(pair.before[inside.slices],
                                                      pair.after[inside.slices]):
                self.unchanged.append(f'{pair.name} at ({box.x:.0f}, {box.y:.0f}), '
                                      f'{box.height:.0f} px')
        large = [box for box in boxes if box.height >= options.min_size]
        if options.people:
            large = sorted(large, key=lambda box: box.height)[-1:]
        for box in large:
            self._take(pair, box, pair.person if options.people else '')
        treated = pair.treated
        if treated is None:
            treated = [region_of(face.box.grown(options.margin), width, height) for face in faces]
        self._outside.add(pair.before, pair.after, treated)
        if self._downstream is not None:
            self._found.append(detect_at_width(self._downstream, pair.before, options.width))
            self._found_after.append(detect_at_width(self._downstream, pair.after, options.width))

    def figures(self) -> dict[str, Figure]:
        """Return the figures beyond those of the suite, which are over all faces of any size."""
        figures = {'unchanged': share(np.arange(self._faces) < len(self.unchanged)),
                   **self._outside.figures()}
        if any(self._found):
            figures['detection'] = utility.detection_agreement(self._found, self._found_after)
        return figures
