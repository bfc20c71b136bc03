# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate tracks`: whether people keep one new face along a track, and get another in each run.

A video is anonymized several times, each time with another key. dlib's network then compares the
new faces that the autoencoder made and that are large enough. To that network small faces look
alike. So the original faces are measured, too: how often it tells two people of one frame apart.
"""

import argparse
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from deid_ros.core.deidentification.alignment import BOX_MAPPINGS, crop, tight_box
from deid_ros.core.faces import Face
from deid_ros.core.image_codec import open_image
from deid_ros.core.parameter_file import read_parameters
from deid_ros.core.parameters import KEY, detector_names, make_pipeline, pipeline_settings
from deid_ros.core.tracking import Tracker
from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.recognition import SAME_PERSON
from deid_ros.offboard.common.store import Store
from deid_ros.offboard.evaluation.measures.figures import Figure, ratio
from deid_ros.offboard.evaluation.options import Subparsers, new_command
from deid_ros.offboard.evaluation.report import Measured
from deid_ros.offboard.evaluation.sources import SourceError
from deid_ros.offboard.recordings.formats.recording import Message
from deid_ros.offboard.recordings.formats.video import VideoFile
from deid_ros.offboard.recordings.policy.messages import opened
from deid_ros.offboard.recordings.policy.selection import kind_of

# The input size of the recognition network.
_SIZE = 150

#: Faces, (150, 150, 3) uint8 BGR, or their descriptors, by track and number of the frame.
TrackedFaces = dict[tuple[int, int], np.ndarray]


class FacesOfRun(NamedTuple):
    """The new faces of a video, and the original faces in the same places."""

    new: TrackedFaces
    original: TrackedFaces


def add_command(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = new_command(subparsers, 'tracks', run,
                         'Measure whether new faces stay along tracks, and differ between runs.')
    parser.add_argument('video', type=Path)
    parser.add_argument('--params', type=Path, help='parameter file of the node')
    parser.add_argument('-p', dest='assignments', action='append', default=[],
                        metavar='NAME:=VALUE', help='a parameter, as deid.shift_mode:=cluster')
    parser.add_argument('--min-size', type=float, default=32,
                        help='height in pixels from which faces are compared (default: 32)')
    parser.add_argument('--runs', type=int, default=16,
                        help='how often the video is anonymized, at least twice; the choice of '
                        'identities is random, so figures of few runs may be off by some percent '
                        '(default: 16)')


def run(options: argparse.Namespace) -> Measured:
    """Measure the video."""
    if options.runs < 2:
        raise SourceError(f'--runs is {options.runs}; one run has no other to be compared with, '
                          'so give 2 or more')
    values = read_parameters(options.params, options.assignments)
    store = Store(options.cache)

    def described(faces: TrackedFaces) -> TrackedFaces:
        return dict(zip(faces, face_networks.descriptors(np.stack(list(faces.values())), store),
                        strict=True))

    runs = []
    for number in range(options.runs):
        faces = anonymized_faces(options.video, {**values, KEY: f'run {number}'}, options.min_size)
        if not faces.new:
            raise SourceError(f'no new face of {options.min_size:g} px or more in {options.video}')
        runs.append(described(faces.new))
    return {options.video.name: figures(runs, described(faces.original))}


def anonymized_faces(video: Path, values: dict[str, object], min_size: float) -> FacesOfRun:
    """Return the new faces of a video, and the faces that they replace."""
    pipeline, settings = make_pipeline(values), pipeline_settings(values)
    mapping, tracker = BOX_MAPPINGS[detector_names(values)[0]], Tracker()
    result = FacesOfRun({}, {})
    with VideoFile(video) as recording:
        kind = kind_of(recording.channels[0])
        for number, item in enumerate(tqdm(recording.items(), total=recording.counts[0],
                                           desc='frames', unit='frame', mininterval=5)):
            assert isinstance(item, Message)
            fields = opened(kind, item.data, item.log_time).fields
            frame = pipeline.process(fields, settings, tracker)
            original = open_image(fields).bgr
            for face in frame.faces:
                if (face.method == pipeline.anonymizer.name and face.track is not None
                        and not face.held and face.box.height >= min_size):
                    box = tight_box(Face(face.box, face.score), mapping)
                    for faces, bgr in ((result.new, frame.bgr), (result.original, original)):
                        faces[face.track, number] = crop(bgr, box, _SIZE)
    return result


def figures(runs: Sequence[TrackedFaces], original: TrackedFaces) -> dict[str, Figure]:
    """Return how often a new face stays the same person in the next frame, and in another run.

    The second is over all pairs of runs. If a frame shows two people, there also is the share of
    pairs of original faces in one frame that the recognition network tells apart. The bootstrap
    draws tracks, as the faces of one track look alike.

    :param runs: (128,) descriptors of the new faces of each run; `original` of the faces they
        replace.
    :raises SourceError: no track has two frames in a row, or the runs have no face in common.
    """
    steps = [(track, _distance(face, run[track, frame + 1]) <= SAME_PERSON)
             for run in runs for (track, frame), face in run.items() if (track, frame + 1) in run]
    differ = [(place[0], _distance(one[place], other[place]) > SAME_PERSON)
              for one, other in itertools.combinations(runs, 2) for place in one if place in other]
    if not steps or not differ:
        raise SourceError('no face is seen in two frames in a row and in two runs')
    result = {'same in the next frame': _share_by_track(steps),
              'another in another run': _share_by_track(differ)}
    people = [(one[0], _distance(face, original[other]) > SAME_PERSON)
              for one, face in original.items() for other in original
              if one[1] == other[1] and one[0] != other[0]]
    if people:
        result['two people in a frame, originals'] = _share_by_track(people)
    return result


def _share_by_track(hits: Iterable[tuple[int, bool]]) -> Figure:
    """Return the share of true values.

    :param hits: the track and the value of each sample.
    """
    tracks, values = (np.array(column) for column in zip(*hits, strict=True))
    of_track = np.unique(tracks, return_inverse=True)[1]
    return ratio(100.0 * np.bincount(of_track, values), np.bincount(of_track), '%')


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other))
