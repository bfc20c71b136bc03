# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate sanity`: whether the measures can be trusted on these data, before any anonymizer."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.datasets import Faces, decoded, load_faces, tight, training_faces
from deid_ros.offboard.common.store import Store
from deid_ros.offboard.evaluation.measures import deidentification
from deid_ros.offboard.evaluation.measures.figures import SEED, Figure, share
from deid_ros.offboard.evaluation.modes import some
from deid_ros.offboard.evaluation.options import Subparsers, new_command
from deid_ros.offboard.evaluation.report import Measured

#: What holds for untouched faces where data and networks are as they should be.
REQUIRED = ('fcns>=0.98', 'deid<=0.01', 'div>=0.98', 'matched>=0.97')
_JPEG_QUALITY = 90


def add_command(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = new_command(subparsers, 'sanity', run,
                         'Check the measures on untouched faces: originals are faces, are '
                         'themselves, and are different people.', always=REQUIRED)
    parser.add_argument('--data', type=Path, required=True,
                        help='tar or folder of face images, one folder for each person')
    parser.add_argument('--pairs', type=Path, required=True,
                        help='tar or folder such as lfw.tar: do images of one person match?')
    parser.add_argument('--count', type=int, default=2000, help='faces, seed 0 (default: 2000)')


def run(options: argparse.Namespace) -> Measured:
    """Measure untouched faces."""
    store = Store(options.cache)
    faces = some(load_faces(options.data, options.cache), options.count).pixels
    described = face_networks.descriptors(faces, store)
    again = face_networks.descriptors(np.stack([_compressed(face) for face in faces]), store)
    known = tight(training_faces(options.pairs, options.cache), color=False)
    return {'originals': {
        'FCNS': deidentification.fcns(face_networks.detected(faces, store)),
        # Against themselves, saved as JPEG once more: another file is not another person.
        'DEID': deidentification.deid(described, again),
        'DIV': deidentification.div(described),
        'matched': matched(known, store)}}


def matched(faces: Faces, store: Store | None) -> Figure:
    """Return the share, in percent, of pairs of one person that are taken for one person.

    There is one pair for each person with two faces or more, drawn at random.

    :raises ValueError: nobody has two faces.
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
