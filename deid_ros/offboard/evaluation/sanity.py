# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate sanity`: checks the measures on untouched faces of a data set."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.datasets import Faces, decoded, load_faces, tight, training_faces
from deid_ros.offboard.common.store import Store
from deid_ros.offboard.evaluation.measures import deidentification
from deid_ros.offboard.evaluation.measures.figures import SEED, Figure, share
from deid_ros.offboard.evaluation.modes import sample
from deid_ros.offboard.evaluation.options import Subparsers, new_command
from deid_ros.offboard.evaluation.report import Measured

#: Must hold for untouched faces; if not, something is wrong with the data or the networks.
REQUIRED = ('fcns>=0.98', 'deid<=0.01', 'div>=0.98', 'matched>=0.97')
_JPEG_QUALITY = 90


def add_command(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = new_command(subparsers, 'sanity', run,
                         'Check the measures on untouched faces: they must be detected, match '
                         'themselves, and differ from other people.', always=REQUIRED)
    parser.add_argument('--data', type=Path, required=True,
                        help='tar or folder of face images, one folder for each person')
    parser.add_argument('--pairs', type=Path, required=True,
                        help='tar or folder such as lfw.tar: images of a person must match')
    parser.add_argument('--count', type=int, default=2000, help='faces, seed 0 (default: 2000)')


def run(options: argparse.Namespace) -> Measured:
    """Measure untouched faces."""
    store = Store(options.cache)
    faces = sample(load_faces(options.data, options.cache), options.count).pixels
    described = face_networks.descriptors(faces, store)
    again = face_networks.descriptors(np.stack([_compressed(face) for face in faces]), store)
    known = tight(training_faces(options.pairs, options.cache), color=False)
    return {'originals': {
        'FCNS': deidentification.fcns(face_networks.detected(faces, store)),
        # Against the same faces saved as JPEG once more, which must not count as other people.
        'DEID': deidentification.deid(described, again),
        'DIV': deidentification.div(described),
        'matched': matched(known, store)}}


def matched(faces: Faces, store: Store | None) -> Figure:
    """Return the share, in percent, of pairs of one person that are recognized as such.

    There is one pair for each person with two faces or more, drawn at random.

    :raises ValueError: there is no person with two faces.
    """
    random = np.random.default_rng(SEED)
    order = random.permutation(len(faces))
    people, counts = np.unique(faces.identities, return_counts=True)
    wanted = set(people[counts > 1])
    if not wanted:
        raise ValueError('no person has two faces, so there is no pair of one person')
    pairs: dict[str, list[int]] = {}
    for index in order:
        pair = pairs.setdefault(faces.identities[index], [])
        if faces.identities[index] in wanted and len(pair) < 2:
            pair.append(int(index))
    chosen = np.array([pair for pair in pairs.values() if len(pair) == 2])
    first, second = (face_networks.descriptors(faces.pixels[chosen[:, side]], store)
                     for side in (0, 1))
    return share(~deidentification.differing(first, second))


def _compressed(face: np.ndarray) -> np.ndarray:
    _, content = cv2.imencode('.jpg', face, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return decoded('the face', content.tobytes())
