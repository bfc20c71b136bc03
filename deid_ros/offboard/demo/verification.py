# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checks of a flight: figures, and everything that must not happen."""

import math
import pathlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from deid_ros.core.faces import Box, Region, region_of
from deid_ros.offboard.common.recognition import SAME_PERSON, FacenessDetector, FaceRecognizer
from deid_ros.offboard.demo.flight import IMAGE_OUTPUT, FlightLog
from deid_ros.offboard.demo.recorder import recorded_images
from deid_ros.offboard.demo.source import FrameSource

# A slow machine may drop many frames; with fewer than this share, the flight proves nothing.
_LEAST_SHARE = 0.1
# Frames in which faces are compared, at most; each face takes about 0.2 s.
_SAMPLES = 30


@dataclass(frozen=True)
class ComparedFrame:
    """A frame before and after, (H, W, 3) uint8 BGR each, and the dlib distance of each face."""

    index: int
    before: np.ndarray
    after: np.ndarray
    distances: list[float]


class Findings(NamedTuple):
    """The flight in figures."""

    #: dlib distance of each anonymized face in the sample to its original.
    distances: list[float]
    #: How many of them still are faces for dlib's neural detector.
    still_faces: int
    compared_frames: int
    #: Faces known to be in the published frames, by the source and not by the node.
    known_faces: int
    #: A sentence for each thing that must not happen; empty after a good flight.
    problems: list[str]


def verify(source: FrameSource, log: FlightLog, bag: pathlib.Path,
           progress: Callable[[Iterable[int]], Iterable[int]],
           on_compared: Callable[[ComparedFrame], None]) -> Findings:
    """Check all reports, and a sample of the recorded images against the original frames.

    :param progress: wraps the frame numbers while they are checked.
    :param on_compared: called with each frame of the sample.
    """
    problems = _delivery_problems(source, log)
    indices = [log.sent[stamp] for stamp in log.received if stamp in log.sent]
    sample = set(indices[::max(1, math.ceil(len(indices) / _SAMPLES))])
    known_faces = 0
    distances: list[float] = []
    still_faces = 0
    recognizer, faceness = FaceRecognizer(), FacenessDetector()
    images = ((log.sent[stamp], log.reports.get(stamp), bgr)
              for stamp, bgr in recorded_images(bag, IMAGE_OUTPUT) if stamp in log.sent)
    for _, (index, report, after) in zip(progress(range(len(indices))), images):
        faces = source.faces(index)
        known_faces += len(faces)
        problems += _report_problems(index, faces, report)
        if index not in sample:
            continue
        before = source.frame(index)
        if not _same_outside(before, after, _regions(report)):
            problems.append(f'Frame {index} has changed outside of the reported regions.')
        crops = [region_of(face, source.width, source.height).slices for face in faces]
        found = [recognizer.distance(before[crop], after[crop]) for crop in crops]
        still_faces += sum(faceness.is_face(after[crop]) for crop in crops)
        problems += [f'Frame {index}: dlib recognizes the face at {_place(face)} (distance '
                     f'{distance:.2f}, same person up to {SAME_PERSON}).'
                     for face, distance in zip(faces, found) if distance <= SAME_PERSON]
        distances += found
        on_compared(ComparedFrame(index, before, after, found))
    if indices and not known_faces:
        problems.append('dlib found no face in the original frames, so nothing was shown.')
    return Findings(distances, still_faces, len(sample), known_faces, problems)


def _delivery_problems(source: FrameSource, log: FlightLog) -> list[str]:
    problems = []
    least = max(1, round(_LEAST_SHARE * source.frame_count))
    if len(log.received) < least:
        problems.append(f'Only {len(log.received)} of {source.frame_count} frames came out, fewer '
                        f'than {least}. Try a lower --rate.')
    unknown = sum(stamp not in log.sent for stamp in log.received)
    if unknown:
        problems.append(f'{unknown} images have a stamp that was never sent.')
    if log.received != sorted(set(log.received)):
        problems.append('Images came out twice or out of order.')
    return problems


def _report_problems(index: int, faces: list[Box], report: dict[str, Any] | None) -> list[str]:
    if report is None:
        return [f'Frame {index} was published without a report.']
    if report['status'] != 'published':
        return [f'Frame {index} was published, but its report says: {report["status"]}.']
    regions = _regions(report)
    return [f'Frame {index}: the face at {_place(face)} was not treated.' for face in faces
            if not any(_holds_centre(region, face) for region in regions)]


def _regions(report: dict[str, Any] | None) -> list[Region]:
    return [Region(*face['region']) for face in report['faces']] if report else []


def _holds_centre(region: Region, face: Box) -> bool:
    x, y = face.x + face.width / 2, face.y + face.height / 2
    return region.left <= x < region.right and region.top <= y < region.bottom


def _same_outside(before: np.ndarray, after: np.ndarray, regions: list[Region]) -> bool:
    if before.shape != after.shape:
        return False
    changed = (before != after).any(axis=2)
    for region in regions:
        changed[region.slices] = False
    return not changed.any()


def _place(face: Box) -> str:
    return f'({face.x:.0f}, {face.y:.0f})'
