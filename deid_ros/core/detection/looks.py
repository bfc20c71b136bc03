# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Several looks at one image: parts of it, each at a scale of its own, and their faces united."""

import math
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from deid_ros.core.detection.detector import Detector
from deid_ros.core.detection.geometry import left_first
from deid_ros.core.detection.sanity import check_faces
from deid_ros.core.faces import Box, Face, Region

# Shares of the least score that are enough in an enlarged picture, where most of what looks like a
# face is small and none, but costs little to treat; and where a face is expected.
_ENLARGED, _EXPECTED = 0.7, 0.4
# Boxes that share more than this are one face, seen by several looks; so is a box that the edge of
# a part cuts and of which more than the second number lies in another one.
_MAX_IOU, _MAX_INSIDE = 0.4, 0.6
# A box that comes as near to an edge of its part, in pixels of the detector's image, is cut by it.
_AT_EDGE = 2
# Networks that halve the image five times see it padded to a multiple of this.
_MULTIPLE = 32


class Look(NamedTuple):
    """A part of an image, and how the detector sees it.

    `scale`: how many times as large. `mirrored`: left and right exchanged. `turns`: then turned by
    so many quarters, clockwise.
    """

    region: Region
    scale: float
    mirrored: bool = False
    turns: int = 0

    @property
    def size(self) -> Tuple[int, int]:
        """Width and height at this scale, in pixels, before anything is turned."""
        region = self.region
        return (max(1, int(round((region.right - region.left) * self.scale))),
                max(1, int(round((region.bottom - region.top) * self.scale))))

    @property
    def cost(self) -> int:
        """How many pixels a network computes for it."""
        width, height = self.size
        return (width + -width % _MULTIPLE) * (height + -height % _MULTIPLE)

    def shows(self, box: Box) -> bool:
        """Tell whether the box lies in the part."""
        left, top, right, bottom = self.region
        return (left <= box.x and top <= box.y
                and box.x + box.width <= right and box.y + box.height <= bottom)


class Plan(NamedTuple):
    """How the detector looks at one frame."""

    looks: List[Look]
    #: Where faces are expected.
    expected: List[Box] = []


def whole(width: int, height: int, scale: float) -> Look:
    """Return the look at a whole image of that size."""
    return Look(Region(0, 0, width, height), scale)


def at_width(width: int, height: int, detection_width: int = 0) -> Plan:
    """Return one look at an image of `width` × `height` pixels, shrunk to a width.

    :param detection_width: in pixels. 0, or at least the image's, means the image as it is.
    """
    shrinks = 0 < detection_width < width
    return Plan([whole(width, height, detection_width / width if shrinks else 1.0)])


def detect_at_width(detector: Detector, bgr: np.ndarray, width: int = 0,
                    threshold: Optional[float] = None) -> List[Face]:
    """Return the faces of an image that the detector sees shrunk to `width` pixels.

    :param bgr: (H, W, 3) uint8, color order blue, green, red.
    :param width: in pixels; the height follows. 0, or at least W, means the image as it is.
    :param threshold: least score to report; None means the detector's default.
    :returns: faces in pixels of `bgr`.
    :raises DetectionError: whatever the detector raises.
    """
    return look_at(detector, bgr, at_width(bgr.shape[1], bgr.shape[0], width), threshold)


def look_at(detector: Detector, bgr: np.ndarray, plan: Plan,
            threshold: Optional[float] = None) -> List[Face]:
    """Return the faces that the detector sees in an image, each once.

    :param bgr: (H, W, 3) uint8, color order blue, green, red.
    :param threshold: least score to report; None means the detector's default. In enlarged parts,
        and where a face is expected, less is enough.
    :returns: faces in pixels of `bgr`.
    :raises DetectionError: any of the looks failed or gave nonsense.
    """
    images = [_seen(bgr, look) for look in plan.looks]
    least = detector.default_threshold if threshold is None else threshold
    share = _EXPECTED if plan.expected else min(_share(look) for look in plan.looks)
    weakest = threshold if least is None or share == 1 else least * share
    whole_ones: List[Face] = []
    cut_ones: List[Face] = []
    for look, image, faces in zip(plan.looks, images, detector.detect_all(images, weakest)):
        # Checked before they are united: nonsense could hide behind the box of another look.
        for face in check_faces(faces, image.shape[1], image.shape[0]):
            face = _placed(face, look)
            if least is None or face.score >= least * _share(look) or any(
                    face.box.iou(box) > _MAX_IOU for box in plan.expected):
                is_cut = _is_cut(face.box, look, bgr.shape[1], bgr.shape[0])
                (cut_ones if is_cut else whole_ones).append(face)
    # One look has its own way to tell faces apart.
    return whole_ones if len(plan.looks) == 1 else _united(whole_ones, cut_ones)


def _share(look: Look) -> float:
    """Return the share of the least score that is enough in a look."""
    return _ENLARGED if look.scale > 1 else 1.0


def _seen(bgr: np.ndarray, look: Look) -> np.ndarray:
    """Return what the detector sees of an image."""
    image = bgr[look.region.slices]
    if look.size != (image.shape[1], image.shape[0]):
        # Area interpolation shrinks: others alias, and small faces turn into noise.
        image = cv2.resize(image, look.size, interpolation=(
            cv2.INTER_AREA if look.scale < 1 else cv2.INTER_LINEAR))
    if look.mirrored:
        image = image[:, ::-1]
    return np.ascontiguousarray(np.rot90(image, -look.turns))


def _is_cut(box: Box, look: Look, width: int, height: int) -> bool:
    """Tell whether the box ends where the part does, but the image goes on."""
    region, near = look.region, _AT_EDGE / look.scale
    return ((region.left > 0 and box.x < region.left + near)
            or (region.top > 0 and box.y < region.top + near)
            or (region.right < width and box.x + box.width > region.right - near)
            or (region.bottom < height and box.y + box.height > region.bottom - near))


def _placed(face: Face, look: Look) -> Face:
    """Return a face of a look in pixels of the whole image."""
    region, (width, height) = look.region, look.size
    if (region.right - region.left, region.bottom - region.top) == look.size and region[:2] == (
            0, 0) and not (look.mirrored or look.turns):
        return face
    factors = (region.right - region.left) / width, (region.bottom - region.top) / height
    box = face.box
    corners = np.array([(box.x, box.y), (box.x + box.width, box.y + box.height)])
    corners = _upright(corners, look) * factors + (region.left, region.top)
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    landmarks = face.landmarks
    if landmarks is not None:
        landmarks = left_first(_upright(landmarks, look) * factors + (region.left, region.top))
    return Face(Box(left, top, right - left, bottom - top), face.score, landmarks)


def _upright(points: np.ndarray, look: Look) -> np.ndarray:
    """Return points (N, 2) as they are before the look turns and mirrors its part."""
    width, height = look.size
    x, y = points[:, 0], points[:, 1]
    if look.turns == 1:
        x, y = y, height - x
    elif look.turns == 2:
        x, y = width - x, height - y
    elif look.turns == 3:
        x, y = width - y, x
    return np.stack([width - x if look.mirrored else x, y], axis=1)


def _united(whole_ones: Sequence[Face], cut_ones: Sequence[Face]) -> List[Face]:
    """Return each face once, by its best box: a whole one where there is one, then by score."""
    kept = _distinct(sorted(whole_ones, key=lambda face: -face.score))
    for face in sorted(cut_ones, key=lambda face: -face.box.width * face.box.height):
        if all(_inside(face.box, known.box) <= _MAX_INSIDE for known in kept):
            kept.append(face)
    return kept


def _distinct(faces: Sequence[Face]) -> List[Face]:
    kept: List[Face] = []
    for face in faces:
        if all(face.box.iou(known.box) <= _MAX_IOU for known in kept):
            kept.append(face)
    return kept


def _inside(box: Box, other: Box) -> float:
    """Return the share of `box` that lies in another one."""
    width = min(box.x + box.width, other.x + other.width) - max(box.x, other.x)
    height = min(box.y + box.height, other.y + other.height) - max(box.y, other.y)
    return max(0.0, width) * max(0.0, height) / (box.width * box.height)


def scale_for(width: int, height: int, pixels: float) -> float:
    """Return the scale at which an image of `width` × `height` has so many pixels."""
    return math.sqrt(pixels / (width * height))


def plan_state(plan: Plan) -> List[Any]:
    """Return a plan as numbers and lists."""
    return [[[list(look.region), look.scale, look.mirrored, look.turns] for look in plan.looks],
            [[float(value) for value in box] for box in plan.expected]]


def plan_with(state: Sequence[Any]) -> Plan:
    """Return the plan that `plan_state` gave."""
    looks, expected = state
    return Plan([Look(Region(*region), *how) for region, *how in looks],
                [Box(*box) for box in expected])
