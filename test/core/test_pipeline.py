# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The frame path as a whole: every face is treated, and nothing else is touched."""

import math
from typing import Any, List, Tuple

import cv2
import messages
import numpy as np
import pytest
from fakes import ActingDetector, FakeDetector, FlatAnonymizer
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_ros.core.deidentification import SIMPLE_ANONYMIZERS, make_anonymizer
from deid_ros.core.faces import Box, Face, Region
from deid_ros.core.image_codec import open_image
from deid_ros.core.pipeline import AnonymizedFrame, FramePipeline, PipelineSettings, masked_frame

WIDTH, HEIGHT = 96, 64
SETTINGS = PipelineSettings(detection_width=0, min_face_size=10)
METHODS = sorted(SIMPLE_ANONYMIZERS)
ENCODINGS = messages.RAW_ENCODINGS + ('jpeg', 'png')


def pipeline(method: str, *boxes: Box) -> FramePipeline:
    return FramePipeline(FakeDetector(*boxes), make_anonymizer(method), make_anonymizer('mask'))


def textured(width: int, height: int, seed: int) -> np.ndarray:
    """A picture in which no anonymizer's answer looks like the original anywhere."""
    random = np.random.default_rng(seed)
    # Stripes of black and white, 2 pixels wide so that chroma sampling keeps them.
    columns = np.indices((height, width)).sum(axis=0) // 2 % 2 * 200
    noise = random.integers(0, 56, (height // 2 + 1, width // 2 + 1, 1), np.uint8)
    noise = noise.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.clip(columns[..., None] + noise, 0, 255).astype(np.uint8).repeat(3, axis=2)


def middle_of(box: Box) -> Region:
    """The middle half of a face, as far as it is in the image."""
    return Region(max(0, math.ceil(box.x + 0.25 * box.width)),
                  max(0, math.ceil(box.y + 0.25 * box.height)),
                  min(WIDTH, math.floor(box.x + 0.75 * box.width)),
                  min(HEIGHT, math.floor(box.y + 0.75 * box.height)))


@st.composite
def boxes_touching_the_image(draw: Any) -> Box:
    size = st.one_of(st.floats(0.1, 8), st.floats(8, 90), st.floats(90, 1e9))
    width, height = draw(size), draw(size)
    # Any place where at least a tenth of a pixel of it is inside.
    x = draw(st.floats(0.1 - width, WIDTH - 0.1))
    y = draw(st.floats(0.1 - height, HEIGHT - 0.1))
    return Box(x, y, width, height)


@settings(max_examples=200)
@given(encoding=st.sampled_from(ENCODINGS), method=st.sampled_from(METHODS),
       boxes=st.lists(boxes_touching_the_image(), max_size=4), margin=st.floats(0, 1),
       seed=st.integers(0, 99))
def test_every_face_is_treated_and_nothing_else(encoding: str, method: str, boxes: List[Box],
                                                margin: float, seed: int) -> None:
    message = messages.encode_bgr(encoding, textured(WIDTH, HEIGHT, seed))
    original = bytes(message.data)
    frame = pipeline(method, *boxes).process(message, SETTINGS._replace(box_margin=margin))

    assert bytes(message.data) == original
    assert len(frame.faces) == len(boxes)
    before = open_image(message)
    regions = [face.region for face in frame.faces]
    for box, face in zip(boxes, frame.faces):
        assert face.box == box
        assert face.method == (method if box.height >= 10 else 'mask')
        assert not face.region.is_empty
        inside = middle_of(box)
        if inside.right - inside.left >= 2 and inside.bottom - inside.top >= 2:
            assert not np.array_equal(frame.bgr[inside.slices], before.bgr[inside.slices])
    outside = np.ones((HEIGHT, WIDTH), bool)
    for region in regions:
        outside[region.slices] = False
    np.testing.assert_array_equal(frame.bgr[outside], before.bgr[outside])
    if encoding in messages.RAW_ENCODINGS:
        changed = messages.buffer_rows(message) != messages.buffer_rows(message, frame.data)
        assert not (changed & ~messages.writable_bytes(message, regions)).any()


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('method', METHODS)
def test_the_treated_face_is_in_the_data(method: str, encoding: str) -> None:
    box = Box(30, 14, 32, 36)
    message = messages.encode_bgr(encoding, textured(WIDTH, HEIGHT, 1))
    before = open_image(message).bgr.astype(float)
    frame = pipeline(method, box).process(message, SETTINGS)
    message.data = frame.data
    after = open_image(message).bgr.astype(float)
    inside = np.s_[24:40, 38:54]
    # The stripes, the only content, are gone: blur, squares and the mask are all but flat.
    assert before[inside].std() > 50
    assert after[inside].std() < 20
    np.testing.assert_allclose(after[inside], frame.bgr[inside], atol=20)


@given(first=boxes_touching_the_image(), second=boxes_touching_the_image())
def test_the_original_does_not_shine_through_where_faces_overlap(first: Box, second: Box) -> None:
    message = messages.encode_bgr('bgr8', np.full((HEIGHT, WIDTH, 3), 255, np.uint8))
    both = pipeline('mask', first, second).process(message, SETTINGS)
    alone = [pipeline('mask', box).process(message, SETTINGS).bgr for box in (first, second)]
    # White shows the share of the original: with two faces never more than with one.
    assert (both.bgr <= np.minimum(*alone)).all()
    overlap = (alone[0] < 255) & (alone[1] < 255)
    assert (both.bgr[overlap] < 255).all()


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('first', ['large', 'small'])
def test_a_small_box_inside_a_face_does_not_weaken_its_treatment(method: str, first: str) -> None:
    # Detectors see a second, smaller face in a large one. Blurred as little as its own size asks
    # for, it would show a part of the large one again.
    large, small = Box(10, 0, 60, 64), Box(32, 24, 16, 16)
    message = messages.encode_bgr('bgr8', messages.smooth_bgr(WIDTH, HEIGHT, seed=1))
    alone = pipeline(method, large).process(message, SETTINGS)
    boxes = (large, small) if first == 'large' else (small, large)
    both = pipeline(method, *boxes).process(message, SETTINGS)
    np.testing.assert_array_equal(both.bgr, alone.bgr)


def test_who_is_held_does_not_cover_the_new_face_of_who_is_seen() -> None:
    class Inventing(FlatAnonymizer):
        def anonymize(self, bgr: np.ndarray, faces: Any, box_margin: float) -> Any:
            return [patch._replace(invented=patch.alpha)
                    for patch in super().anonymize(bgr, faces, box_margin)]

    seen, behind = Face(Box(20, 20, 20, 20), 0.9), Face(Box(25, 10, 40, 40), 0.3, doubt=0.4)
    image = open_image(messages.encode_bgr('bgr8', textured(WIDTH, HEIGHT, 0)))
    working = FramePipeline(FakeDetector(), Inventing('new', 10), FlatAnonymizer('blur', 20))
    bgr = working.treat(image, [seen, behind], SETTINGS).bgr
    assert (bgr[20:40, 20:40] == 10).all()
    # Where the one who is seen has not become a new face, the other is treated.
    assert (bgr[10:50, 50:65] == 20).all()
    # Without an anonymizer that invents, nothing is left out of it.
    plain = working.with_anonymizer(FlatAnonymizer('new', 10))
    assert (plain.treat(image, [seen, behind], SETTINGS).bgr[20:40, 20:40] == 20).all()
    # Nor does anybody give way who is seen, too: that one may stand before.
    turned = behind._replace(box=behind.box._replace(height=9.0), doubt=0.0)
    bgr = working.treat(image, [seen, turned], SETTINGS).bgr
    assert (bgr[11:18, 30:60] == 20).all()


def test_small_faces_go_to_the_fallback_and_every_face_gets_its_own_patch() -> None:
    boxes = [Box(4, 4, 30, 9), Box(50, 4, 9, 30), Box(70, 40, 9, 9), Box(10, 40, 10, 10)]
    large, small = FlatAnonymizer('large', 10), FlatAnonymizer('small', 20)
    working = FramePipeline(FakeDetector(*boxes), large, small)
    frame = working.process(messages.encode_bgr('bgr8', textured(WIDTH, HEIGHT, 0)), SETTINGS)
    assert {face.box for face in large.asked} == {boxes[1], boxes[3]}
    assert {face.box for face in small.asked} == {boxes[0], boxes[2]}
    assert [face.method for face in frame.faces] == ['small', 'large', 'small', 'large']
    for box, gray in zip(boxes, (20, 10, 20, 10)):
        x, y = int(box.x + box.width / 2), int(box.y + box.height / 2)
        assert frame.bgr[y, x].tolist() == [gray] * 3


def test_all_faces_of_a_frame_are_one_batch() -> None:
    calls = []

    class Counting(FlatAnonymizer):
        def anonymize(self, bgr: np.ndarray, faces: Any, box_margin: float) -> Any:
            calls.append(len(faces))
            return super().anonymize(bgr, faces, box_margin)

    boxes = [Box(4, 4, 20, 20), Box(40, 4, 20, 20), Box(70, 30, 20, 20)]
    working = FramePipeline(FakeDetector(*boxes), Counting('one', 0), FlatAnonymizer('other', 0))
    working.process(messages.encode_bgr('bgr8', textured(WIDTH, HEIGHT, 0)), SETTINGS)
    assert calls == [3]


def test_the_detector_sees_the_width_it_is_given_and_its_boxes_fit_the_frame() -> None:
    seen = []

    def detect(bgr: np.ndarray) -> List[Face]:
        seen.append(bgr.shape)
        return [Face(Box(10, 8, 6, 5), 0.9)]

    working = FramePipeline(ActingDetector(detect), make_anonymizer('mask'),
                            make_anonymizer('mask'))
    message = messages.encode_bgr('bgr8', textured(WIDTH, HEIGHT, 0))
    frame = working.process(message, SETTINGS._replace(detection_width=WIDTH // 2))
    assert seen == [(HEIGHT // 2, WIDTH // 2, 3)]
    assert frame.faces[0].box == Box(20, 16, 12, 10)


@pytest.mark.parametrize('encoding', sorted(messages.CHROMA))
def test_reported_regions_hold_whole_chroma_samples(encoding: str) -> None:
    message = messages.encode_bgr(encoding, textured(WIDTH, HEIGHT, 0))
    frame = pipeline('mask', Box(31, 15, 21, 21)).process(message,
                                                          SETTINGS._replace(box_margin=0))
    assert messages.is_aligned(encoding, frame.faces[0].region)


def test_stage_times_are_present() -> None:
    message = messages.encode_bgr('bgr8', textured(WIDTH, HEIGHT, 0))
    frame = pipeline('blur', Box(20, 20, 20, 20)).process(message, SETTINGS)
    assert list(frame.milliseconds) == ['decode', 'detect', 'deidentify', 'encode']
    assert all(0 <= value < 60000 for value in frame.milliseconds.values())


@pytest.mark.parametrize('method', METHODS)
def test_the_same_frame_gives_the_same_bytes(method: str) -> None:
    message = messages.encode_bgr('nv12', textured(WIDTH, HEIGHT, 0))
    boxes = Box(5, 5, 30, 30), Box(25, 20, 40, 40), Box(80, 50, 8, 8)
    frames = [pipeline(method, *boxes).process(message, SETTINGS) for _ in range(3)]
    assert frames[0].data == frames[1].data == frames[2].data


def test_another_anonymizer_or_fallback_takes_effect() -> None:
    message = messages.encode_bgr('bgr8', textured(WIDTH, HEIGHT, 0))
    original = pipeline('blur', Box(10, 10, 30, 30), Box(70, 50, 8, 8))

    def methods(changed: FramePipeline) -> List[str]:
        return [face.method for face in changed.process(message, SETTINGS).faces]

    assert methods(original) == ['blur', 'mask']
    assert methods(original.with_anonymizer(make_anonymizer('pixelate'))) == ['pixelate', 'mask']
    assert methods(original.with_fallback(make_anonymizer('blur'))) == ['blur', 'blur']
    assert methods(original) == ['blur', 'mask']


def test_model_hashes_of_all_parts_are_listed() -> None:
    class Hashed(FlatAnonymizer):
        model_hashes = {'encoder.onnx': 'aa'}

    detector = FakeDetector()
    detector.model_hashes = {'detector.onnx': 'bb'}
    working = FramePipeline(detector, Hashed('hashed', 0), make_anonymizer('blur'))
    assert working.model_hashes == {'encoder.onnx': 'aa', 'detector.onnx': 'bb'}


def written(file_format: str, frame: AnonymizedFrame) -> Tuple[int, ...]:
    flags = cv2.IMREAD_UNCHANGED
    return tuple(cv2.imdecode(np.frombuffer(frame.data, np.uint8), flags).shape)


@pytest.mark.parametrize('file_format', ['jpeg', 'png'])
def test_files_keep_their_format_and_size(file_format: str) -> None:
    message = messages.encode_bgr(file_format, textured(WIDTH, HEIGHT, 0))
    for frame in (pipeline('blur', Box(20, 20, 20, 20)).process(message, SETTINGS),
                  masked_frame(message, 90)):
        assert frame.data[:3].tobytes() == {'jpeg': b'\xff\xd8\xff', 'png': b'\x89PN'}[file_format]
        assert written(file_format, frame) == (HEIGHT, WIDTH, 3)
