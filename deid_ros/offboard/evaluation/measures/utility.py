# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Utility: what is kept of a face (place, pose, detection) and of the frame around it."""

from collections.abc import Sequence

import cv2
import numpy as np
from skimage.metrics import structural_similarity
from tqdm import tqdm

from deid_ros.core.detection.detector import Detector
from deid_ros.core.faces import Face, Region
from deid_ros.offboard.evaluation.measures.figures import Figure, mean, share, statistic

#: Least intersection over union of the boxes of one face before and after.
SAME_FACE_IOU = 0.5

# How far the nose of a mean head lies in front of the eyes, in distances between the eyes.
_NOSE_DEPTH = 0.35
_PEAK = 255.0
# Window of the structural similarity; those that hold a treated pixel are left out.
_WINDOW = 7


def landmark_error(originals: np.ndarray, new: np.ndarray) -> Figure:
    """Return how far the landmarks moved, in percent of the distance between the eyes.

    :param originals: (N, 5, 2) landmarks before, see `FaceRecognizer.landmarks`.
    :param new: (N, 5, 2) landmarks after, on the same crops.
    """
    between = np.linalg.norm(_between_eyes(originals), axis=1)
    moved = np.linalg.norm(new - originals, axis=2).mean(axis=1)
    return mean(100 * moved / between, '%')


def roll_and_yaw(landmarks: np.ndarray) -> np.ndarray:
    """Return the (N, 2) turns of heads in degrees: in the image plane, and to the side.

    Roll is the angle of the line between the eyes, clockwise as seen. Yaw comes from the offset of
    the nose from the middle between the eyes along that line, positive to the right of the image.
    Pitch is left out: these points do not tell it from the length of the nose.

    :param landmarks: (N, 5, 2), see `FaceRecognizer.landmarks`.
    """
    across = _between_eyes(landmarks)
    squares = np.square(across).sum(axis=1)
    nose = landmarks[:, 4] - landmarks[:, :4].mean(axis=1)
    offset = (nose * across).sum(axis=1) / squares
    return np.degrees(np.stack([np.arctan2(across[:, 1], across[:, 0]),
                                np.arctan(offset / _NOSE_DEPTH)], axis=1))


def pose_error(originals: np.ndarray, new: np.ndarray) -> dict[str, Figure]:
    """Return by how many degrees heads were turned: `roll` and `yaw`, as in `roll_and_yaw`."""
    turned = roll_and_yaw(new) - roll_and_yaw(originals)
    turned = np.abs((turned + 180) % 360 - 180)
    return {name: mean(turned[:, index], '°') for index, name in enumerate(('roll', 'yaw'))}


def _between_eyes(landmarks: np.ndarray) -> np.ndarray:
    """Return (N, 2): from the middle of the eye on the left of the image to the other one's."""
    return landmarks[:, :2].mean(axis=1) - landmarks[:, 2:4].mean(axis=1)


def detection_agreement(found: Sequence[Sequence[Face]], found_after: Sequence[Sequence[Face]]
                        ) -> Figure:
    """Return the share of faces, in percent, that a detector finds after as it did before.

    :param found: the faces in each original image.
    :param found_after: the faces in each new image; each matches one original face at most.
    """
    return share(np.concatenate([_found_again(before, after)
                                 for before, after in zip(found, found_after, strict=True)]))


def _found_again(before: Sequence[Face], after: Sequence[Face]) -> np.ndarray:
    left = list(after)
    again = np.zeros(len(before), bool)
    for index in sorted(range(len(before)), key=lambda index: -before[index].score):
        best = max(left, key=lambda face: before[index].box.iou(face.box), default=None)
        if best is not None and before[index].box.iou(best.box) >= SAME_FACE_IOU:
            left.remove(best)
            again[index] = True
    return again


def crop_detections(detector: Detector, crops: np.ndarray) -> list[list[Face]]:
    """Return the faces that a detector finds in crops with a border around them.

    :param crops: (N, 64, 64) luminance or (N, 64, 64, 3) BGR, uint8.
    """
    result = []
    for crop in tqdm(crops, desc=detector.name, unit='face', mininterval=5):
        bgr = cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR) if crop.ndim == 2 else crop
        larger = cv2.resize(bgr, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        result.append(detector.detect(
            cv2.copyMakeBorder(larger, 64, 64, 64, 64, cv2.BORDER_REPLICATE)))
    return result


class Outside:
    """Compares the pixels outside of the treated faces, over all frames of a recording.

    PSNR is that of the mean square error over all these pixels, infinite where none has changed.
    """

    def __init__(self) -> None:
        self._exact: list[bool] = []
        self._errors: list[float] = []
        self._pixels: list[int] = []
        self._similarities: list[float] = []

    def add(self, before: np.ndarray, after: np.ndarray, treated: Sequence[Region]) -> None:
        """Compare two frames, (H, W, 3) uint8 each, outside of the treated regions."""
        outside = np.ones(before.shape[:2], bool)
        for region in treated:
            outside[region.slices] = False
        if not outside.any():
            return
        errors = np.square(before[outside].astype(np.float64) - after[outside])
        self._exact.append(not errors.any())
        self._errors.append(float(errors.sum()))
        self._pixels.append(errors.size)
        far = cv2.erode(outside.astype(np.uint8), np.ones((_WINDOW, _WINDOW), np.uint8),
                        borderType=cv2.BORDER_CONSTANT, borderValue=1).astype(bool)
        if far.any() and min(before.shape[:2]) >= _WINDOW:
            _, similarity = structural_similarity(
                cv2.cvtColor(before, cv2.COLOR_BGR2GRAY), cv2.cvtColor(after, cv2.COLOR_BGR2GRAY),
                win_size=_WINDOW, data_range=_PEAK, full=True)
            self._similarities.append(float(similarity[far].mean()))

    def figures(self) -> dict[str, Figure]:
        """Return `outside exact` (share of frames), `outside PSNR` and `outside SSIM`."""
        if not self._exact:
            return {}
        result = {'outside exact': share(np.array(self._exact)),
                  'outside PSNR': _psnr(np.array(self._errors), np.array(self._pixels))}
        if self._similarities:
            result['outside SSIM'] = mean(np.array(self._similarities))
        return result


def _psnr(errors: np.ndarray, values: np.ndarray) -> Figure:
    """Return the ratio of peak to noise from the square errors and numbers of values of frames."""
    def decibels(weights: np.ndarray) -> float:
        error = float(weights @ errors) / float(weights @ values)
        return 10 * np.log10(_PEAK ** 2 / error) if error else np.inf

    return statistic(decibels, len(errors), 'dB')
