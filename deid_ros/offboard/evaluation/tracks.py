# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate tracks`: whether people keep one new face along a track, and get another in each run.

A video goes through the frame path twice, with two secrets. New faces are compared as dlib sees
them, those that the autoencoder made and that are large enough.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from deid_ros.core.deidentification.alignment import BOX_MAPPINGS, crop, tight_box
from deid_ros.core.faces import Face
from deid_ros.core.parameters import KEY, detector_names, make_pipeline, pipeline_settings
from deid_ros.core.tracking import Tracker
from deid_ros.offboard.bag.messages import opened
from deid_ros.offboard.bag.parameters import read_parameters
from deid_ros.offboard.bag.recording import Message
from deid_ros.offboard.bag.selection import kind_of
from deid_ros.offboard.bag.video import VideoFile
from deid_ros.offboard.evaluation import measures
from deid_ros.offboard.evaluation.figures import Figure, share
from deid_ros.offboard.evaluation.options import Subparsers, new_command
from deid_ros.offboard.evaluation.report import Measured
from deid_ros.offboard.evaluation.sources import SourceError
from deid_ros.offboard.evaluation.store import Store
from deid_ros.offboard.recognition import SAME_PERSON

# What the recognition network takes.
_SIZE = 150
_KEYS = ('one', 'another')

#: New faces, (150, 150, 3) uint8 BGR, by track and number of the frame.
Sightings = dict[tuple[int, int], np.ndarray]


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


def run(options: argparse.Namespace) -> Measured:
    """Measure the video."""
    values = read_parameters(options.params, options.assignments)
    runs = [sightings(options.video, {**values, KEY: key}, options.min_size) for key in _KEYS]
    store = Store(options.cache)
    described = []
    for seen in runs:
        if not seen:
            raise SourceError(f'no new face of {options.min_size:g} px or more in {options.video}')
        found = measures.descriptors(np.stack(list(seen.values())), store)
        described.append(dict(zip(seen, found, strict=True)))
    return {options.video.name: figures(*described)}


def sightings(video: Path, values: dict[str, object], min_size: float) -> Sightings:
    """Return the new faces of a video."""
    pipeline, settings = make_pipeline(values), pipeline_settings(values)
    mapping, tracker = BOX_MAPPINGS[detector_names(values)[0]], Tracker()
    result: Sightings = {}
    with VideoFile(video) as recording:
        kind = kind_of(recording.channels[0])
        for number, item in enumerate(tqdm(recording.items(), total=recording.counts[0],
                                           desc='frames', unit='frame', mininterval=5)):
            assert isinstance(item, Message)
            fields = opened(kind, item.data, item.log_time).fields
            frame = pipeline.process(fields, settings, tracker)
            for face in frame.faces:
                if (face.method == pipeline.anonymizer.name and face.track is not None
                        and not face.held and face.box.height >= min_size):
                    box = tight_box(Face(face.box, face.score), mapping)
                    result[face.track, number] = crop(frame.bgr, box, _SIZE)
    return result


def figures(one: dict[tuple[int, int], np.ndarray], other: dict[tuple[int, int], np.ndarray]
            ) -> dict[str, Figure]:
    """Return how often the new face is the same person in the next frame, and in another run.

    :param one: (128,) descriptors by track and frame; `other` those of another run.
    :raises SourceError: no track has two frames in a row, or the runs have no face in common.
    """
    steps = [(key, (key[0], key[1] + 1)) for key in one if (key[0], key[1] + 1) in one]
    common = [key for key in one if key in other]
    if not steps or not common:
        raise SourceError('no face is seen in two frames in a row and in both runs')
    kept = np.array([_distance(one[before], one[after]) <= SAME_PERSON for before, after in steps])
    differ = np.array([_distance(one[key], other[key]) > SAME_PERSON for key in common])
    return {'same in the next frame': share(kept), 'another in another run': share(differ)}


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other))
