# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checks that nobody is recognizable in anonymized frames, as they will be in the recording.

Each treated face is compared with the original by dlib's recognition network, in the pixels that a
reader of the new message gets. Where it is taken for the same person, the fallback treats the face,
then the mask. Compared are the faces in whose original dlib's neural detector sees one, too: of the
others (small, in profile, no face at all) the network knows so little that it takes them for the
same person as their own blurred or masked copy.

The detector looks again, too: a face that it finds only now, outside of all treated regions, is
treated by the fallback.
"""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from deid_ros.core.compositing import composite
from deid_ros.core.deidentification import make_anonymizer
from deid_ros.core.deidentification.alignment import BOX_MAPPINGS, tight_box
from deid_ros.core.deidentification.anonymizer import Anonymizer
from deid_ros.core.deidentification.sanity import check_patches
from deid_ros.core.faces import Box, Face, Region, region_of
from deid_ros.core.image_codec import OpenedImage, open_image
from deid_ros.core.pipeline import AnonymizedFrame, FramePipeline, PipelineSettings
from deid_ros.core.report import FaceReport
from deid_ros.offboard.common.recognition import SAME_PERSON, FacenessDetector, FaceRecognizer
from deid_ros.offboard.recordings.policy.messages import AnyImage

#: What a report says of a face before it is compared.
_UNCHECKED = {'distance': None, 'treated_again': '', 'recognizable': False}


class Verifier:
    """Checks frames, and treats again what is not hidden.

    :raises ConfigurationError: dlib or its networks are missing.
    """

    def __init__(self, pipeline: FramePipeline, settings: PipelineSettings) -> None:
        self._pipeline, self._settings = pipeline, settings
        self._recognizer, self._faceness = FaceRecognizer(), FacenessDetector()
        # Of several detectors, the first gives the box.
        self._mapping = BOX_MAPPINGS[pipeline.detector.name.split('+')[0]]
        self._mask = make_anonymizer('mask')

    def check(self, message: AnyImage, frame: AnonymizedFrame, reports: list[dict[str, Any]]
              ) -> tuple[AnonymizedFrame, list[dict[str, Any]]]:
        """Return the frame with what was recognizable treated again, and the faces' reports.

        Each report gains `distance` to the original, None if it was not compared;
        `treated_again`, by what, empty if it was not; and `recognizable`, whether it still is.

        :param message: the frame as it was recorded.
        """
        original = open_image(message.fields, self._settings.jpeg_quality)
        reports = [{**report, **_UNCHECKED} for report in reports]
        frame, reports = self._treat_missed(original, message, frame, reports)
        before = {index: self._recognizer.describe(crop) for index, crop
                  in self._crops(original.bgr, reports) if self._faceness.is_face(crop)}
        for anonymizer in (self._pipeline.fallback, self._mask, None):
            bgr = self._as_read(message, frame)
            for index, crop in self._crops(bgr, reports):
                if index not in before:
                    continue
                distance = float(np.linalg.norm(before[index] - self._recognizer.describe(crop)))
                reports[index].update(distance=round(distance, 3),
                                      recognizable=distance <= SAME_PERSON)
            again = [report for report in reports if report['recognizable']]
            if not again or anonymizer is None:
                break
            frame = self._treat(original, frame, again, reports, anonymizer)
            for report in again:
                report['treated_again'] = anonymizer.name
        return frame, reports

    def _treat_missed(self, original: OpenedImage, message: AnyImage, frame: AnonymizedFrame,
                      reports: list[dict[str, Any]]
                      ) -> tuple[AnonymizedFrame, list[dict[str, Any]]]:
        """Treat the faces that the detector finds only now."""
        found = self._pipeline.detect(self._as_read(message, frame), self._settings)
        missed = [face for face in found if not any(
            _holds_centre(report['region'], face.box) for report in reports)]
        if not missed:
            return frame, reports
        fallback = self._pipeline.fallback.name
        new = [{**report_to_json(FaceReport(face.box, face.score, Region(0, 0, 0, 0), fallback,
                                            'found by --verify only')), **_UNCHECKED}
               for face in missed]
        everyone = reports + new
        return self._treat(original, frame, new, everyone, self._pipeline.fallback), everyone

    def _treat(self, original: OpenedImage, frame: AnonymizedFrame,
               chosen: Sequence[dict[str, Any]], everyone: Sequence[dict[str, Any]],
               anonymizer: Anonymizer) -> AnonymizedFrame:
        """Return the frame with the chosen ones of all faces treated once more."""
        faces = [Face(Box(*report['box']), report['score']) for report in chosen]
        patches = anonymizer.anonymize(frame.bgr, faces, self._settings.box_margin)
        check_patches(patches, faces, original.bgr)
        bgr = composite(frame.bgr, patches)
        for report, patch in zip(chosen, patches, strict=True):
            report['region'] = [int(value) for value in _union(
                original.align(patch.region), report['region'])]
        regions = [Region(*report['region']) for report in everyone]
        return frame._replace(bgr=bgr, data=original.encode(bgr, regions))

    def _as_read(self, message: AnyImage, frame: AnonymizedFrame) -> np.ndarray:
        """Return the pixels that a reader of the new message gets, (H, W, 3) uint8 BGR."""
        fields = SimpleNamespace(**vars(message.fields) | {'data': frame.data})
        return open_image(fields, self._settings.jpeg_quality).bgr

    def _crops(self, bgr: np.ndarray, reports: Sequence[dict[str, Any]]
               ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield index and pixels of the faces, cropped tight as by dlib's frontal detector."""
        for index, report in enumerate(reports):
            face = Face(Box(*report['box']), report['score'])
            region = region_of(tight_box(face, self._mapping), bgr.shape[1], bgr.shape[0])
            if not region.is_empty:
                yield index, bgr[region.slices]


def report_to_json(face: FaceReport) -> dict[str, Any]:
    """Return the report of a face as JSON has it."""
    return {'box': [round(float(value), 1) for value in face.box],
            'score': round(float(face.score), 3), 'region': [int(value) for value in face.region],
            'method': face.method, 'why_fallback': face.why_fallback, 'track': face.track,
            'held': face.held}


def _holds_centre(region: Sequence[int], box: Box) -> bool:
    left, top, right, bottom = region
    return (left <= box.x + box.width / 2 < right) and (top <= box.y + box.height / 2 < bottom)


def _union(one: Region, other: Sequence[int]) -> Region:
    left, top, right, bottom = other
    if right <= left or bottom <= top:
        return one
    return Region(min(one.left, left), min(one.top, top), max(one.right, right),
                  max(one.bottom, bottom))
