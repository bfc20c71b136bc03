# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From a face in a frame to the upright square that the networks know, and back."""

import math
from typing import NamedTuple, Optional, Tuple

import cv2
import numpy as np

from deid_ros.core.faces import Box, Face, Region


class BoxMapping(NamedTuple):
    """How to get dlib's tight square, which the networks were trained on, from a detector's box.

    The square's side is `scale` times the box's height; its centre lies `down` heights below the
    box's centre, along the face's own axis.
    """

    scale: float
    down: float


#: The mapping for a box that is dlib's already.
TIGHT = BoxMapping(1.0, 0.0)
#: By detector, as measured with `calibrate_boxes` on CelebA faces.
BOX_MAPPINGS = {
    'centerface': BoxMapping(0.84, 0.06),
    'centerface_int8': BoxMapping(0.84, 0.06),
    'yunet': BoxMapping(0.81, 0.065),
    'libfacedetection': BoxMapping(0.83, 0.07),
    'dlib_cnn': BoxMapping(1.09, 0.07),
    'dlib_hog': TIGHT,
}

# Between the eyes of a frontal face lie 0.33 to 0.4 of the box's height, between its mouth corners
# 0.25 to 0.35; from a half profile on, less than this.
_PROFILE = 0.18
# What is finer than a Gaussian blur with this σ, in pixels, is detail; less than this is none.
_DETAIL_SIGMA, _LEAST_DETAIL = 1.5, 0.1
#: Least and most by which contrast is changed to that of the original: a strong gain would make
#: noise of a face without contrast.
GAINS = (0.5, 1.6)


class Square(NamedTuple):
    """An upright face: a square turned by `roll` (radians, clockwise as seen) around its centre."""

    x: float
    y: float
    side: float
    roll: float

    def share_inside(self, width: int, height: int) -> float:
        """Return about which share of the square lies inside an image of that size."""
        steps = (np.arange(8) + 0.5) / 8 * self.side - self.side / 2
        right, down = np.meshgrid(steps, steps)
        x = self.x + math.cos(self.roll) * right - math.sin(self.roll) * down
        y = self.y + math.sin(self.roll) * right + math.cos(self.roll) * down
        return float(((x >= 0) & (x < width) & (y >= 0) & (y < height)).mean())

    def _to_image(self, size: int) -> np.ndarray:
        """Return the (2, 3) map from a (size, size) picture of it to the image, in pixels."""
        step = self.side / size
        cosine, sine = step * math.cos(self.roll), step * math.sin(self.roll)
        middle = (size - 1) / 2  # pixel centres are whole numbers here, as in OpenCV
        return np.array([[cosine, -sine, self.x - 0.5 - (cosine - sine) * middle],
                         [sine, cosine, self.y - 0.5 - (sine + cosine) * middle]])


def roll_of(landmarks: np.ndarray) -> float:
    """Return by how much a face is turned in the image plane, in radians, clockwise as seen.

    :param landmarks: (5, 2), see `Face`.
    """
    across = landmarks[1] - landmarks[0] + landmarks[4] - landmarks[3]
    return math.atan2(float(across[1]), float(across[0]))


def square_of(face: Face, mapping: BoxMapping, align: bool) -> Square:
    """Return the square that the networks know for a face.

    :param mapping: of the detector that found the face.
    :param align: whether to turn the square with the face, where there are landmarks.
    """
    box = face.box
    roll = roll_of(face.landmarks) if align and face.landmarks is not None else 0.0
    down = mapping.down * box.height
    return Square(box.x + box.width / 2 - math.sin(roll) * down,
                  box.y + box.height / 2 + math.cos(roll) * down,
                  mapping.scale * box.height, roll)


def tight_box(face: Face, mapping: BoxMapping) -> Box:
    """Return the box of a face as dlib's frontal detector draws it.

    :param mapping: of the detector that found the face.
    """
    square = square_of(face, mapping, align=False)
    return Box(square.x - square.side / 2, square.y - square.side / 2, square.side, square.side)


def misfit(face: Face) -> Optional[str]:
    """Return why the landmarks are not those of a face seen from the front, or None.

    In the face's upright frame both eyes must be above both mouth corners, the nose between them
    from top to bottom, not beyond the eyes and mouth to the side, and neither the eyes nor the
    mouth corners close to each other, as they are in a profile.
    """
    if face.landmarks is None:
        return None
    points = np.asarray(face.landmarks, np.float64)
    if not np.isfinite(points).all():
        return 'landmarks are not finite'
    around = face.box.grown(0.2)
    if not ((points >= (around.x, around.y)).all()
            and (points <= (around.x + around.width, around.y + around.height)).all()):
        return 'landmarks outside of the box'
    roll = roll_of(points)
    x = math.cos(roll) * points[:, 0] + math.sin(roll) * points[:, 1]
    y = math.cos(roll) * points[:, 1] - math.sin(roll) * points[:, 0]
    if not max(y[0], y[1]) < y[2] < min(y[3], y[4]):
        return 'landmarks out of order'
    if (not min(x[0], x[3]) < x[2] < max(x[1], x[4])
            or min(x[1] - x[0], x[4] - x[3]) < _PROFILE * face.box.height):
        return 'profile'
    return None


def crop(image: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Return the pixels inside `box` as a square.

    :param image: (H, W) or (H, W, 3) uint8.
    :param box: rounded to whole pixels; beyond the edge of the image its border is repeated.
    :param size: side of the result in pixels; area interpolation down to it, cubic up to it.
    :return: (size, size) or (size, size, 3) uint8.
    """
    height, width = image.shape[:2]
    left, top = int(round(box.x)), int(round(box.y))
    columns = np.arange(left, left + max(1, int(round(box.width)))).clip(0, width - 1)
    rows = np.arange(top, top + max(1, int(round(box.height)))).clip(0, height - 1)
    if columns[0] == left and columns[-1] == left + len(columns) - 1 \
            and rows[0] == top and rows[-1] == top + len(rows) - 1:
        inside = image[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    else:
        inside = image[rows[:, None], columns]
    return _resized(inside, size)


def cut(image: np.ndarray, square: Square, size: int) -> np.ndarray:
    """Return the upright face inside a square.

    :param image: (H, W) or (H, W, 3) uint8; beyond its edge its border is repeated.
    :param size: side of the result in pixels; area interpolation down to it, cubic up to it.
    :return: (size, size) or (size, size, 3) uint8.
    """
    # Large enough to leave out no pixel; a small face is interpolated once, and so stays sharp.
    side = max(size, int(round(square.side)))
    upright = cv2.warpAffine(image, square._to_image(side), (side, side),
                             flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                             borderMode=cv2.BORDER_REPLICATE)
    return _resized(upright, size)


def put(picture: np.ndarray, square: Square, region: Region) -> np.ndarray:
    """Return the pixels that `region` of the image gets from a picture of the square, 0 elsewhere.

    :param picture: (size, size) or (size, size, C) float32.
    :return: (h, w) or (h, w, C) float32, the size of the region; cubic interpolation overshoots.
    """
    # Not larger than it will be, or fine detail would come out as a pattern.
    side = min(len(picture), max(1, int(round(square.side))))
    to_image = square._to_image(side)
    to_image[:, 2] -= (region.left, region.top)
    size = (region.right - region.left, region.bottom - region.top)
    return cv2.warpAffine(_resized(picture, side), to_image, size, flags=cv2.INTER_CUBIC)


def match_detail(face: np.ndarray, original: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the face with no more fine detail than the original, channel by channel.

    A sharp face in the picture of a moving camera would look pasted in.

    :param face: (h, w) or (h, w, C) in 0…255.
    :param original: the face it replaces, shaped like it.
    :param weight: (h, w) float32, how much each pixel counts.
    :return: float32.
    """
    (coarse, fine), (_, wanted) = (_bands(picture) for picture in (face, original))
    (_, most), (_, least) = _moments(wanted, weight), _moments(fine, weight)
    return coarse + np.minimum(1, most / np.maximum(least, _LEAST_DETAIL)) * fine


def match_tone(face: np.ndarray, original: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the face with the brightness and contrast of the original, channel by channel.

    :param face: (h, w) or (h, w, C) in 0…255.
    :param original: the face it replaces, shaped like it.
    :param weight: (h, w) float32, how much each pixel counts.
    :return: float32 in 0…255.
    """
    (mean, deviation), (wanted_mean, wanted_deviation) = (
        _moments(face, weight), _moments(original, weight))
    gain = np.clip(wanted_deviation / np.maximum(deviation, 1.0), *GAINS)
    return np.clip((face - mean) * gain + wanted_mean, 0, 255)


def _bands(picture: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    picture = picture.astype(np.float32)
    coarse = cv2.GaussianBlur(picture, (0, 0), _DETAIL_SIGMA)
    return coarse, picture - coarse


def _moments(face: np.ndarray, weight: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    face = face.astype(np.float32)
    share = weight / weight.sum()
    if face.ndim == 3:
        share = share[:, :, None]
    mean = (face * share).sum(axis=(0, 1))
    return mean, np.sqrt((np.square(face - mean) * share).sum(axis=(0, 1)))


def _resized(picture: np.ndarray, size: int) -> np.ndarray:
    smaller = picture.shape[0] > size
    return cv2.resize(picture, (size, size),
                      interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
