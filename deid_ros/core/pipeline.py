# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The frame path, shared by the live node and everything off-board.

`FramePipeline.process` either returns a frame whose faces are all treated or raises; there is no
third way. `deid_ros.core.failsafe` decides what becomes of a frame for which it raised.
"""

from array import array
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from deid_ros.core.compositing import Patch, beneath, composite
from deid_ros.core.deidentification.anonymizer import Anonymizer
from deid_ros.core.deidentification.sanity import check_patches
from deid_ros.core.detection import Plan, Schedule, Search, at_width, check_faces, look_at
from deid_ros.core.detection.detector import Detector
from deid_ros.core.errors import AnonymizationError, DetectionError, raised_as
from deid_ros.core.faces import Face, Region
from deid_ros.core.image_codec import OpenedImage, open_image
from deid_ros.core.report import FaceReport, Stopwatch
from deid_ros.core.tracking import Tracker, view_of


class PipelineSettings(NamedTuple):
    """What may change from one frame to the next, without loading anything."""

    #: Least score of a face; None means the detector's own default.
    confidence_threshold: Optional[float] = None
    #: What is looked for closely, where it pays; None means one look at `detection_width`.
    search: Optional[Search] = None
    #: Images wider than this are shrunk for that one look; 0 means never.
    detection_width: int = 640
    #: How far beyond its box a face is treated, as a share of the box's size.
    box_margin: float = 0.25
    #: Faces whose box is lower than this, in pixels, go to the fallback anonymizer.
    min_face_size: int = 20
    #: 1…100, for compressed images.
    jpeg_quality: int = 90
    #: The detector looks at every n-th frame at least; needs a tracker.
    detection_interval: int = 1
    #: For how many frames a face is treated on that the detector misses; needs a tracker.
    hold_frames: int = 0


class AnonymizedFrame(NamedTuple):
    """A frame that is safe to publish."""

    #: The new message's `data`; every other field of the message stays as it was.
    data: array
    #: (H, W, 3) uint8, the same picture.
    bgr: np.ndarray
    #: One entry a face, with the region in which pixels may have changed.
    faces: List[FaceReport]
    #: Milliseconds by stage: decode, detect, track, deidentify, encode.
    milliseconds: Dict[str, float]


class FramePipeline:
    """Decode ▸ detect ▸ track ▸ de-identify ▸ encode."""

    def __init__(self, detector: Detector, anonymizer: Anonymizer, fallback: Anonymizer) -> None:
        self.detector = detector
        self.anonymizer = anonymizer
        self.fallback = fallback

    def with_anonymizer(self, anonymizer: Anonymizer) -> 'FramePipeline':
        """Return a pipeline like this one with another anonymizer."""
        return FramePipeline(self.detector, anonymizer, self.fallback)

    def with_fallback(self, fallback: Anonymizer) -> 'FramePipeline':
        """Return a pipeline like this one with another fallback."""
        return FramePipeline(self.detector, self.anonymizer, fallback)

    @property
    def model_hashes(self) -> Dict[str, str]:
        """Return the SHA-256 of each model file in use, by file name."""
        hashes = dict(self.detector.model_hashes)
        hashes.update(self.anonymizer.model_hashes)
        hashes.update(self.fallback.model_hashes)
        return hashes

    def process(self, message: Any, settings: PipelineSettings,
                tracker: Optional[Tracker] = None) -> AnonymizedFrame:
        """Return the anonymized frame of an image message.

        :param message: a `sensor_msgs/Image` or `sensor_msgs/CompressedImage`; it is not changed.
        :param tracker: of this message's camera, if it is one of a sequence.
        :raises CodecError: the message cannot be opened.
        :raises DetectionError: the detector gave nonsense.
        :raises AnonymizationError: a face was not treated as it must be.
        """
        watch = Stopwatch()
        image = open_image(message, settings.jpeg_quality)
        watch.lap('decode')
        faces = self.faces(image.bgr, stamp_of(message), settings, tracker, watch)
        return self.treat(image, faces, settings, watch)

    def faces(self, bgr: np.ndarray, seconds: float, settings: PipelineSettings,
              tracker: Optional[Tracker] = None, watch: Optional[Stopwatch] = None) -> List[Face]:
        """Return the faces of an image that are to be treated: seen or held.

        :param bgr: (H, W, 3) uint8.
        :param seconds: the stamp of its header.
        :param tracker: of its camera, if it is one of a sequence.
        :raises DetectionError: the detector failed or gave nonsense.
        """
        watch = watch or Stopwatch()
        if tracker is None:
            faces = self.detect(bgr, settings)
            watch.lap('detect')
            return faces
        tracker.advance(seconds, view_of(bgr))
        look = tracker.is_detection_due(settings.detection_interval)
        plan = tracker.plan(settings.search) if look and settings.search else None
        watch.lap('track')
        detected = self.detect(bgr, settings, plan) if look else None
        watch.lap('detect')
        faces = tracker.update(detected, settings.hold_frames)
        watch.lap('track')
        return faces

    def detect(self, bgr: np.ndarray, settings: PipelineSettings, plan: Optional[Plan] = None
               ) -> List[Face]:
        """Return the faces that the detector sees in an image, checked.

        :param bgr: (H, W, 3) uint8.
        :param plan: how to look at it, where it is one of a sequence.
        :raises DetectionError: the detector failed or gave nonsense.
        """
        height, width = bgr.shape[:2]
        if plan is None and settings.search:
            plan = Schedule().plan(width, height, settings.search, [], is_new_scene=True)
        with raised_as(DetectionError, 'detector ' + self.detector.name):
            return check_faces(look_at(
                self.detector, bgr, plan or at_width(width, height, settings.detection_width),
                settings.confidence_threshold), width, height)

    def treat(self, image: OpenedImage, faces: Sequence[Face], settings: PipelineSettings,
              watch: Optional[Stopwatch] = None) -> AnonymizedFrame:
        """Return the frame with every one of `faces` treated.

        :param faces: in pixels of the image; each box must touch it.
        :param watch: has the times of what came before.
        :raises AnonymizationError: a face was not treated as it must be.
        :raises CodecError: the result cannot be written in the message's format.
        """
        watch = watch or Stopwatch()
        bgr, reports = self._deidentify(image, faces, settings)
        watch.lap('deidentify')
        data = image.encode(bgr, [report.region for report in reports])
        watch.lap('encode')
        return AnonymizedFrame(data, bgr, reports, watch.milliseconds)

    def _deidentify(self, image: OpenedImage, faces: Sequence[Face], settings: PipelineSettings
                    ) -> Tuple[np.ndarray, List[FaceReport]]:
        """Return the frame with every face treated, and a report of each face."""
        reasons = [self._why_fallback(face, image.bgr, settings) for face in faces]
        bgr = image.bgr
        seen: List[Patch] = []
        reports: Dict[int, FaceReport] = {}
        order = _larger_ones_last(faces)
        # The second anonymizer sees what the first has made of the frame. Through the rim of its
        # patches, nothing of a treated face can come back.
        for anonymizer, is_fallback in ((self.anonymizer, False), (self.fallback, True)):
            chosen = [index for index in order if bool(reasons[index]) == is_fallback]
            if not chosen:
                continue
            group = [faces[index] for index in chosen]
            with raised_as(AnonymizationError, 'anonymizer ' + anonymizer.name):
                patches = list(anonymizer.anonymize(bgr, group, settings.box_margin))
            check_patches(patches, group, image.bgr)
            # Who is held may well be behind somebody who is seen, and must not blur that new face.
            seen += [patch for patch, face in zip(patches, group) if not face.held]
            bgr = composite(bgr, [beneath(patch, seen) if face.held else patch
                                  for patch, face in zip(patches, group)])
            for index, patch in zip(chosen, patches):
                reports[index] = FaceReport(faces[index].box, faces[index].score,
                                            image.align(patch.region), anonymizer.name,
                                            reasons[index], faces[index].track,
                                            faces[index].held)
        return bgr, [reports[index] for index in range(len(faces))]

    def _why_fallback(self, face: Face, bgr: np.ndarray, settings: PipelineSettings) -> str:
        """Return why a face goes to the fallback, empty if it does not."""
        if face.box.height < settings.min_face_size:
            return 'lower than {} px'.format(settings.min_face_size)
        # Before that, a held face gets a new one like the others. One that turns into a blur and
        # back would show, and is hidden no better: below a new face all of its extent is blurred.
        if face.is_uncertain:
            return 'held, its place is uncertain'
        with raised_as(AnonymizationError, 'anonymizer ' + self.anonymizer.name):
            return self.anonymizer.can_treat(face, bgr.shape[1], bgr.shape[0]) or ''


def stamp_of(message: Any) -> float:
    """Return the stamp of a message's header, in seconds."""
    stamp = message.header.stamp
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def masked_frame(message: Any, jpeg_quality: int) -> AnonymizedFrame:
    """Return a frame like `message` in which every pixel is black.

    :raises CodecError: the message cannot be opened.
    """
    image = open_image(message, jpeg_quality)
    height, width = image.bgr.shape[:2]
    black = np.zeros_like(image.bgr)
    return AnonymizedFrame(image.encode(black, [Region(0, 0, width, height)]), black, [], {})


def _larger_ones_last(faces: Sequence[Face]) -> List[int]:
    """Return the indices of faces by their size.

    A treatment is as strong as its face is large. A small box inside of a large face, which
    detectors do see there, would show that part of it again if it came to lie on top.
    """
    return sorted(range(len(faces)),
                  key=lambda index: max(faces[index].box.width, faces[index].box.height))
