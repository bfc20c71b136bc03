# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A wall with framed portraits, for the simulated camera to fly along."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from deid_ros.core.detection.dlib_hog import DlibHog
from deid_ros.core.faces import Box
from deid_ros.core.resources import packaged_file
from deid_ros.offboard.common.datasets import IMAGE_SUFFIXES
from deid_ros.offboard.demo.errors import DemoError
from deid_ros.offboard.demo.source import GROUND_TRUTH_THRESHOLD

MOST_PICTURES = 4

_WALL_HEIGHT = 1300
_MARGIN = 640  # wall left and right of the pictures, pixels
_GAP = 110  # between two pictures
_FACE_HEIGHT = 150  # pictures are scaled to show faces of this height, …
_PICTURE_HEIGHTS = (540, 680)  # … within these limits
_MAT, _FRAME = 34, 16  # white paper and black wood around a picture
_BRICK = (150, 50)  # width, height


class Portrait(NamedTuple):
    """A picture, (H, W, 3) uint8 BGR, and the faces in it."""

    image: np.ndarray
    faces: list[Box]


class Scene(NamedTuple):
    """A wall, (H, W, 3) uint8 BGR, the faces on it, and where the pictures hang.

    `centres` are the (x, y) of the pictures, from left to right.
    """

    wall: np.ndarray
    faces: list[Box]
    centres: list[tuple[float, float]]


def packaged_portraits() -> list[Portrait]:
    """Return two portraits in the public domain that pip packages carry.

    They are Eileen Collins (NASA) and Grace Hopper (US Navy).

    :raises ConfigurationError: a package is missing.
    """
    return load_portraits([
        packaged_file('skimage', 'data/astronaut.png', pip_name='scikit-image'),
        packaged_file('matplotlib', 'mpl-data/sample_data/grace_hopper.jpg')])


def pictures_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the image files of a folder, by name.

    :raises DemoError: there is no such folder, or it holds no image.
    """
    if not folder.is_dir():
        raise DemoError(f'--image-dir: {folder} is not a folder.')
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DemoError(f'--image-dir: {folder} holds no image ({", ".join(IMAGE_SUFFIXES)}).')
    return files


def load_portraits(files: Sequence[pathlib.Path]) -> list[Portrait]:
    """Return the first pictures in which dlib's frontal detector finds a face.

    :raises DemoError: no picture can be read, or none shows a face.
    """
    detector = DlibHog()
    portraits: list[Portrait] = []
    for file in files:
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            continue
        # Before the search, so that the faces found are as large as they hang on the wall.
        image = _resized(image, min(1.0, _PICTURE_HEIGHTS[1] / image.shape[0]))
        faces = [face.box for face in detector.detect(image, GROUND_TRUTH_THRESHOLD)]
        if faces:
            portraits.append(Portrait(image, faces))
        if len(portraits) == MOST_PICTURES:
            break
    if not portraits:
        raise DemoError(f'In none of the {len(files)} pictures dlib finds a face (upright, seen '
                        'from the front, 80 pixels high); give others.')
    return portraits


def make_scene(portraits: Sequence[Portrait]) -> Scene:
    """Return a wall on which the pictures hang in a row."""
    framed = [_framed(_fit(portrait)) for portrait in portraits]
    row = sum(one.image.shape[1] for one in framed) + _GAP * (len(framed) - 1)
    wall = _brick_wall(_WALL_HEIGHT, row + 2 * _MARGIN)
    faces, centres = [], []
    left = _MARGIN
    for image, boxes in framed:
        height, width = image.shape[:2]
        top = (_WALL_HEIGHT - height) // 2
        _cast_shadow(wall, left, top, width, height)
        wall[top:top + height, left:left + width] = image
        faces += [Box(left + box.x, top + box.y, box.width, box.height) for box in boxes]
        centres.append((left + width / 2, top + height / 2))
        left += width + _GAP
    return Scene(wall, faces, centres)


def _fit(portrait: Portrait) -> Portrait:
    height = portrait.image.shape[0]
    tallest = max(face.height for face in portrait.faces)
    target = min(max(_FACE_HEIGHT / tallest * height, _PICTURE_HEIGHTS[0]), _PICTURE_HEIGHTS[1])
    scale = target / height
    return Portrait(_resized(portrait.image, scale),
                    [face.scaled(scale, scale) for face in portrait.faces])


def _resized(image: np.ndarray, scale: float) -> np.ndarray:
    return cv2.resize(image, None, fx=scale, fy=scale,
                      interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _framed(portrait: Portrait) -> Portrait:
    border = _MAT + _FRAME
    image = cv2.copyMakeBorder(portrait.image, _MAT, _MAT, _MAT, _MAT, cv2.BORDER_CONSTANT,
                               value=(232, 240, 242))
    image = cv2.copyMakeBorder(image, _FRAME, _FRAME, _FRAME, _FRAME, cv2.BORDER_CONSTANT,
                               value=(34, 38, 42))
    return Portrait(image, [box._replace(x=box.x + border, y=box.y + border)
                            for box in portrait.faces])


def _brick_wall(height: int, width: int) -> np.ndarray:
    """Return a painted brick wall, brighter in the middle, (height, width, 3) uint8 BGR."""
    random = np.random.default_rng(0)
    brick_width, brick_height = _BRICK
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    course = rows // brick_height
    shifted = columns + course % 2 * (brick_width // 2)
    shades = random.normal(0, 7, (height // brick_height + 1, width // brick_width + 2))
    light = shades.astype(np.float32)[course, shifted // brick_width]
    light[(rows % brick_height < 4) | (shifted % brick_width < 4)] = -26
    light += 3 * random.standard_normal((height, width), np.float32)
    light = cv2.GaussianBlur(light, (0, 0), 1.2)
    light -= 34 * ((rows / height - 0.45) ** 2 * 4).astype(np.float32)
    paint = np.array((156, 166, 174), np.float32)  # warm gray
    return np.clip(light[:, :, None] + paint, 0, 255).astype(np.uint8)


def _cast_shadow(wall: np.ndarray, left: int, top: int, width: int, height: int) -> None:
    reach = 60  # pixels around the frame; the shadow ends before
    area = wall[top - reach:top + height + reach, left - reach:left + width + reach]
    shadow = np.zeros(area.shape[:2], np.float32)
    shadow[reach + 14:reach + height + 26, reach + 4:reach + width + 16] = 0.55
    light = 1 - cv2.GaussianBlur(shadow, (0, 0), 14)
    area[:] = (area * light[:, :, None]).astype(np.uint8)
