# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The simple anonymizers: whether they hide who it is, and what they look like doing it."""

import functools
import tarfile
from typing import Any

import cv2
import dlib
import numpy as np
import portraits
import pytest
from shared_data import shared_data

from deid_ros.core.compositing import composite
from deid_ros.core.deidentification import SIMPLE_ANONYMIZERS, make_anonymizer
from deid_ros.core.deidentification.simple import blurred
from deid_ros.core.errors import AnonymizationError, ConfigurationError
from deid_ros.core.faces import Box, Face, region_of
from deid_ros.offboard.common.recognition import SAME_PERSON, FaceRecognizer

METHODS = sorted(SIMPLE_ANONYMIZERS)
MARGIN = 0.25


def anonymized(method: str, bgr: np.ndarray, *boxes: Box, margin: float = MARGIN) -> np.ndarray:
    faces = [Face(box, 0.9) for box in boxes]
    return composite(bgr, make_anonymizer(method).anonymize(bgr, faces, margin))


class Recognizer:
    """dlib's face recognition, on the same crop of every version of a photo."""

    def __init__(self) -> None:
        self._detector = dlib.get_frontal_face_detector()
        self._recognizer = FaceRecognizer()

    def face(self, bgr: np.ndarray) -> Box | None:
        """Return the largest face."""
        found = self._detector(np.ascontiguousarray(bgr[..., ::-1]), 0)
        if not found:
            return None
        best = max(found, key=lambda rectangle: rectangle.area())
        return Box(best.left(), best.top(), best.width(), best.height())

    def descriptor(self, bgr: np.ndarray, box: Box) -> np.ndarray:
        crop = bgr[region_of(box, bgr.shape[1], bgr.shape[0]).slices]
        small = cv2.resize(crop, (64, 64), interpolation=(
            cv2.INTER_AREA if crop.shape[0] > 64 else cv2.INTER_CUBIC))
        return self._recognizer.describe(small)


@functools.lru_cache(maxsize=None)
def recognizer() -> Recognizer:
    return Recognizer()


def distances(bgr: np.ndarray) -> dict[str, float]:
    """How far each method moves the largest face of a photo from itself."""
    box = recognizer().face(bgr)
    assert box is not None
    original = recognizer().descriptor(bgr, box)
    return {method: float(np.linalg.norm(original - recognizer().descriptor(
        anonymized(method, bgr, box), box))) for method in METHODS}


def test_the_recognizer_knows_a_person_in_a_worse_picture_and_tells_two_apart() -> None:
    photo, other = portraits.astronaut(), portraits.admiral()
    box, other_box = recognizer().face(photo), recognizer().face(other)
    assert box is not None
    assert other_box is not None
    original = recognizer().descriptor(photo, box)
    worse = cv2.GaussianBlur(cv2.convertScaleAbs(photo, alpha=0.8), (0, 0), 1)
    assert np.linalg.norm(original - recognizer().descriptor(worse, box)) < 0.4
    assert np.linalg.norm(original - recognizer().descriptor(other, other_box)) > SAME_PERSON


@pytest.mark.parametrize('photo', [portraits.astronaut, portraits.admiral])
def test_portraits_are_not_recognized(photo: Any) -> None:
    assert min(distances(photo()).values()) > SAME_PERSON


def test_a_sample_of_faces_is_not_recognized() -> None:
    sample = 30
    recognized = []
    seen = 0
    with tarfile.open(shared_data() / 'celeba_dev.tar') as archive:
        names = sorted(name for name in archive.getnames() if name.endswith('.jpg'))
        for name in names[::len(names) // sample][:sample]:
            content = archive.extractfile(name)
            assert content
            bgr = cv2.imdecode(np.frombuffer(content.read(), np.uint8), cv2.IMREAD_COLOR)
            if recognizer().face(bgr) is None:
                continue
            seen += 1
            recognized += [(name, method, distance) for method, distance in distances(bgr).items()
                           if distance <= SAME_PERSON]
    assert seen >= 0.9 * sample
    assert not recognized


@pytest.mark.parametrize('size', [8, 24, 80, 320, 960])
@pytest.mark.parametrize('method', METHODS)
def test_no_detail_is_left_whatever_the_size_of_the_face(method: str, size: int) -> None:
    # A checkerboard of 12 × 12 fields across the face: finer than its features.
    fields = np.indices((size * 3, size * 3)).sum(axis=0) if size < 12 else (
        np.indices((size * 3, size * 3)) * 12 // size).sum(axis=0)
    bgr = (fields % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    treated = anonymized(method, bgr, Box(size, size, size, size))
    inside = np.s_[size:2 * size, size:2 * size]
    middle = np.s_[size + size // 4:2 * size - size // 4, size + size // 4:2 * size - size // 4]
    assert bgr[inside].std() > 120
    assert treated[middle].std() < 25


@pytest.mark.parametrize('method', METHODS)
def test_the_edge_is_soft_and_no_box_is_seen(method: str) -> None:
    size = 200
    bgr = np.full((400, 400, 3), 240, np.uint8)
    bgr[120:280, 120:280] = 20  # so that there is something to blur
    box = Box(100, 100, size, size)
    treated = anonymized(method, bgr, box).astype(int)
    region = region_of(box.grown(MARGIN), 400, 400)
    # Along the box's sides and in its corners nothing has changed.
    difference = np.abs(treated - bgr).max(axis=2)[region.slices]
    assert difference[0].max() < 30
    assert difference[:, 0].max() < 30
    for corner in (difference[:40, :40], difference[-40:, :40], difference[:40, -40:],
                   difference[-40:, -40:]):
        assert not corner.any()
    if method != 'pixelate':  # its squares have edges
        outside_ring = np.abs(np.diff(treated[200, region.left:region.left + 20, 0]))
        assert outside_ring.max() < 30


def test_the_mask_is_one_gray_ellipse_and_does_not_depend_on_the_face() -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (200, 200, 3), np.uint8) for _ in range(2)]
    box = Box(60, 40, 80, 100)
    one, other = (anonymized('mask', picture, box) for picture in pictures)
    y, x = np.mgrid[:200, :200] + 0.5
    radius = np.hypot((y - 90) / 75, (x - 100) / 60)
    assert len(np.unique(one[radius < 0.83])) == 1
    np.testing.assert_array_equal(one[radius < 0.83], other[radius < 0.83])
    np.testing.assert_array_equal(one[radius > 1.01], pictures[0][radius > 1.01])


@pytest.mark.parametrize('method', METHODS)
def test_a_face_cut_by_the_image_s_edge_looks_as_in_the_whole_image(method: str) -> None:
    bgr = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8),
                           (0, 0), 4)
    whole = anonymized(method, bgr, Box(60, 60, 80, 80))
    cut = anonymized(method, bgr[100:, 100:], Box(-40, -40, 80, 80))
    # The blur and the squares differ a little: what lies outside of the image is not known.
    assert np.abs(cut.astype(int) - whole[100:, 100:]).mean() < 10
    assert not np.array_equal(cut[:20, :20], bgr[100:120, 100:120])


@pytest.mark.parametrize('sigma', [1.0, 3.2, 5.1, 8.0, 20.0])
def test_a_blur_computed_small_is_that_of_the_whole_picture(sigma: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 260, 3), np.uint8)
    picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    expected = cv2.GaussianBlur(picture, (0, 0), sigma)
    # Beyond the border they do not know the same pixels.
    inside = slice(int(3 * sigma) + 1, -int(3 * sigma) - 1)
    difference = blurred(picture, sigma).astype(int) - expected
    assert np.abs(difference[inside, inside]).max() <= 2


@pytest.mark.parametrize('method', METHODS)
def test_treats_each_face_of_a_batch_and_leaves_the_frame_alone(method: str) -> None:
    bgr = np.random.default_rng(0).integers(0, 256, (100, 150, 3), np.uint8)
    before = bgr.copy()
    bgr.flags.writeable = False
    boxes = [Box(10, 10, 30, 40), Box(70, 20, 50, 50)]
    patches = make_anonymizer(method).anonymize(bgr, [Face(box, 0.9) for box in boxes], 0.1)
    np.testing.assert_array_equal(bgr, before)
    assert [patch.region for patch in patches] == [
        region_of(box.grown(0.1), 150, 100) for box in boxes]
    assert make_anonymizer(method).anonymize(bgr, [], 0.1) == []


@pytest.mark.parametrize('method', METHODS)
def test_a_face_outside_of_the_image_is_an_error(method: str) -> None:
    with pytest.raises(AnonymizationError, match='outside'):
        anonymized(method, np.zeros((50, 50, 3), np.uint8), Box(100, 100, 10, 10))


def test_an_unknown_anonymizer_is_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'smear'.*blur, mask, pixelate"):
        make_anonymizer('smear')
