# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whatever a detector or an anonymizer does, no frame leaves with a face as it was."""

from types import SimpleNamespace
from typing import Any, Callable, Dict

import messages
import numpy as np
import pytest
from fakes import ActingAnonymizer, ActingDetector, FakeDetector

from deid_ros.core.deidentification import make_anonymizer
from deid_ros.core.errors import CodecError, ConfigurationError
from deid_ros.core.faces import Box, Face, Region
from deid_ros.core.failsafe import ON_FAILURE, Outcome, process_or_withhold
from deid_ros.core.image_codec import open_image
from deid_ros.core.pipeline import FramePipeline, PipelineSettings

WIDTH, HEIGHT = 96, 64
FACE = Box(30, 20, 24, 28)
SETTINGS = PipelineSettings(detection_width=0, min_face_size=10)
ENCODINGS = messages.RAW_ENCODINGS + ('jpeg', 'png')


class BadTextError(Exception):
    def __str__(self) -> str:
        raise ValueError('no text')


def with_box(*values: Any) -> Callable[[np.ndarray], Any]:
    """A good face and a bad one: the good one does not save the frame."""
    return lambda bgr: [Face(FACE, 0.9), Face(Box(*values), 0.9)]


def gives(value: Any) -> Callable[..., Any]:
    return lambda *arguments: value


def raises(error: BaseException) -> Callable[..., Any]:
    def act(*arguments: Any) -> Any:
        raise error
    return act


def draws_into_the_image(bgr: np.ndarray, *arguments: Any) -> Any:
    bgr[:] = 0
    return []


NAN, INFINITE = float('nan'), float('inf')

BAD_DETECTORS: Dict[str, Callable[[np.ndarray], Any]] = {
    'raises': raises(RuntimeError('CUDA error')),
    'raises ValueError': raises(ValueError()),
    'raises MemoryError': raises(MemoryError()),
    'raises StopIteration': raises(StopIteration()),
    'raises RecursionError': raises(RecursionError()),
    'raises KeyError': raises(KeyError('boxes')),
    'raises an error without a text': raises(BadTextError()),
    'raises a codec error': raises(CodecError('data', 'not its business')),
    'raises a configuration error': raises(ConfigurationError('too late')),
    'gives None': gives(None),
    'gives a number': gives(3),
    'gives text': gives('face'),
    'gives boxes without faces': gives([FACE]),
    'gives None as a face': gives([Face(FACE, 0.9), None]),
    'gives None as a box': gives([Face(None, 0.9)]),  # type: ignore[arg-type]
    'gives text as a box': with_box('1', '2', '3', '4'),
    'gives None as a score': gives([Face(FACE, None)]),  # type: ignore[arg-type]
    'gives NaN as a score': gives([Face(FACE, NAN)]),
    'gives NaN for x': with_box(NAN, 20, 24, 28),
    'gives NaN for the height': with_box(30, 20, 24, NAN),
    'gives infinity for y': with_box(30, INFINITE, 24, 28),
    'gives an infinite width': with_box(30, 20, INFINITE, 28),
    'gives no width': with_box(30, 20, 0, 28),
    'gives a negative height': with_box(30, 20, 24, -28),
    'gives a box left of the image': with_box(-50, 20, 24, 28),
    'gives a box below the image': with_box(30, HEIGHT, 24, 28),
    'gives a box that overflows': with_box(-1e308, -1e308, 1.7e308, 1.7e308),
    'gives NaN landmarks': gives([Face(FACE, 0.9, np.full((5, 2), np.nan))]),
    'gives four landmarks': gives([Face(FACE, 0.9, np.zeros((4, 2)))]),
    'gives landmarks of text': gives([Face(FACE, 0.9, np.full((5, 2), 'x'))]),
    'draws into the image': draws_into_the_image,
}


def changed(change: Callable[[Any, np.ndarray], Any]) -> Callable[..., Any]:
    """Pass the last patch of a sound anonymizer on changed."""
    def act(bgr: np.ndarray, faces: Any, patches: Any) -> Any:
        return patches[:-1] + [change(patches[-1], bgr)]
    return act


def with_alpha(value: float) -> Callable[..., Any]:
    """Set alpha in the middle of the face."""
    def change(patch: Any, bgr: np.ndarray) -> Any:
        alpha = patch.alpha.copy()
        alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] = value
        return patch._replace(alpha=alpha)
    return changed(change)


def at(left: int, top: int, right: int, bottom: int) -> Callable[..., Any]:
    """Give a sound patch for somewhere else."""
    def change(patch: Any, bgr: np.ndarray) -> Any:
        return patch._replace(region=Region(left, top, right, bottom),
                              pixels=np.zeros((bottom - top, right - left, 3), np.uint8),
                              alpha=np.ones((bottom - top, right - left), np.float32))
    return changed(change)


BAD_ANONYMIZERS: Dict[str, Callable[..., Any]] = {
    'raises': raises(RuntimeError('engine lost')),
    'raises MemoryError': raises(MemoryError()),
    'raises StopIteration': raises(StopIteration()),
    'raises an error without a text': raises(BadTextError()),
    'raises a codec error': raises(CodecError('data', 'not its business')),
    'gives None': gives(None),
    'gives a number': gives(1),
    'gives nothing': gives([]),
    'gives one too few': lambda bgr, faces, patches: patches[:-1],
    'gives one too many': lambda bgr, faces, patches: patches + patches[:1],
    'gives them in another order': lambda bgr, faces, patches: patches[::-1],
    'gives None as a patch': changed(lambda patch, bgr: None),
    'gives an image as a patch': changed(lambda patch, bgr: patch.pixels),
    'gives None as the region': changed(lambda patch, bgr: patch._replace(region=None)),
    'gives a fractional region': changed(lambda patch, bgr: patch._replace(
        region=Region(*(value + 0.0 for value in patch.region)))),
    'gives lists as pixels': changed(lambda patch, bgr: patch._replace(
        pixels=patch.pixels.tolist())),
    'gives None as alpha': changed(lambda patch, bgr: patch._replace(alpha=None)),
    'gives gray pixels': changed(lambda patch, bgr: patch._replace(pixels=patch.pixels[..., 0])),
    'gives pixels with alpha': changed(lambda patch, bgr: patch._replace(
        pixels=np.dstack([patch.pixels, patch.pixels[..., :1]]))),
    'gives pixels of another size': changed(lambda patch, bgr: patch._replace(
        pixels=patch.pixels[1:])),
    'gives NaN pixels': changed(lambda patch, bgr: patch._replace(
        pixels=np.full(patch.pixels.shape, np.nan, np.float32))),
    'gives 16-bit pixels': changed(lambda patch, bgr: patch._replace(
        pixels=patch.pixels.astype(np.uint16))),
    'gives alpha of another size': changed(lambda patch, bgr: patch._replace(
        alpha=patch.alpha[:, 1:])),
    'gives alpha with colors': changed(lambda patch, bgr: patch._replace(
        alpha=np.dstack([patch.alpha] * 3))),
    'gives complex alpha': changed(lambda patch, bgr: patch._replace(
        alpha=patch.alpha.astype(complex))),
    'gives alpha of objects': changed(lambda patch, bgr: patch._replace(
        alpha=patch.alpha.astype(object))),
    'gives NaN as alpha': with_alpha(NAN),
    'gives alpha 0 in the middle': with_alpha(0),
    'gives alpha 0.5 in the middle': with_alpha(0.5),
    'gives alpha above 1': with_alpha(1.5),
    'gives alpha below 0': with_alpha(-1),
    'gives alpha 0 everywhere': changed(lambda patch, bgr: patch._replace(
        alpha=np.zeros_like(patch.alpha))),
    'gives the original': changed(lambda patch, bgr: patch._replace(
        pixels=bgr[patch.region.slices].copy())),
    'gives the original in the middle': changed(lambda patch, bgr: patch._replace(
        pixels=np.where(patch.alpha[..., None] > 0.9, bgr[patch.region.slices], patch.pixels))),
    'covers half of the face': at(30, 20, 42, 48),
    'covers the middle alone': at(36, 27, 48, 41),
    'covers another place': at(0, 0, 24, 28),
    'reaches out of the image': at(-4, 10, 60, 60),
    'reaches below the image': at(20, 10, 60, HEIGHT + 1),
    'draws into the image': draws_into_the_image,
}


def scene(encoding: str = 'bgr8') -> SimpleNamespace:
    return messages.encode_bgr(encoding, messages.smooth_bgr(WIDTH, HEIGHT, seed=3))


def pipeline(detect: Callable[[np.ndarray], Any] = gives([Face(Box(4, 4, 14, 14), 0.8),
                                                          Face(FACE, 0.9)]),
             anonymize: Any = None, fallback: Any = None) -> FramePipeline:
    return FramePipeline(ActingDetector(detect),
                         ActingAnonymizer(anonymize) if anonymize else make_anonymizer('mask'),
                         ActingAnonymizer(fallback) if fallback else make_anonymizer('blur'))


def assert_nothing_is_shown(outcome: Outcome, on_failure: str, message: SimpleNamespace) -> None:
    if on_failure == 'drop':
        assert outcome.status == 'withheld'
        assert outcome.frame is None
        return
    assert outcome.status == 'masked'
    assert outcome.frame is not None
    assert not outcome.frame.bgr.any()
    assert outcome.frame.faces == []
    message.data = outcome.frame.data
    assert open_image(message).bgr.shape == (HEIGHT, WIDTH, 3)
    assert not open_image(message).bgr.any()


def test_the_pipeline_without_faults_publishes() -> None:
    assert process_or_withhold(pipeline(), scene(), SETTINGS).status == 'published'


@pytest.mark.parametrize('on_failure', ON_FAILURE)
@pytest.mark.parametrize('detect', BAD_DETECTORS.values(), ids=BAD_DETECTORS.keys())
def test_a_detector_that_fails_costs_the_frame(detect: Callable[[np.ndarray], Any],
                                               on_failure: str) -> None:
    message = scene()
    outcome = process_or_withhold(pipeline(detect), message, SETTINGS, on_failure)
    assert_nothing_is_shown(outcome, on_failure, message)
    assert outcome.reason
    assert outcome.detail


@pytest.mark.parametrize('on_failure', ON_FAILURE)
@pytest.mark.parametrize('role', ['anonymizer', 'fallback'])
@pytest.mark.parametrize('anonymize', BAD_ANONYMIZERS.values(), ids=BAD_ANONYMIZERS.keys())
def test_an_anonymizer_that_fails_costs_the_frame(anonymize: Callable[..., Any], role: str,
                                                  on_failure: str) -> None:
    message = scene()
    if role == 'anonymizer':
        broken, settings = pipeline(anonymize=anonymize), SETTINGS
    else:
        broken, settings = pipeline(fallback=anonymize), SETTINGS._replace(min_face_size=100)
    outcome = process_or_withhold(broken, message, settings, on_failure)
    assert_nothing_is_shown(outcome, on_failure, message)
    assert outcome.reason
    assert outcome.detail


@pytest.mark.parametrize('name', ['raises', 'raises MemoryError', 'gives None', 'gives NaN for x',
                                  'gives None as a box', 'gives a box below the image',
                                  'gives landmarks of text', 'draws into the image'])
def test_the_reason_is_the_detector(name: str) -> None:
    outcome = process_or_withhold(pipeline(BAD_DETECTORS[name]), scene(), SETTINGS)
    assert outcome.reason == 'detector'


@pytest.mark.parametrize('name', ['raises', 'raises MemoryError', 'gives None', 'gives one too few',
                                  'gives one too many', 'gives an image as a patch',
                                  'gives None as alpha', 'gives a fractional region',
                                  'gives the original', 'draws into the image'])
def test_the_reason_is_the_anonymizer(name: str) -> None:
    outcome = process_or_withhold(pipeline(anonymize=BAD_ANONYMIZERS[name]), scene(), SETTINGS)
    assert outcome.reason == 'anonymizer'


def test_the_detail_names_who_failed_and_how() -> None:
    outcome = process_or_withhold(pipeline(BAD_DETECTORS['raises']), scene(), SETTINGS)
    assert outcome.detail == 'detector acting failed: RuntimeError: CUDA error'
    outcome = process_or_withhold(pipeline(anonymize=BAD_ANONYMIZERS['raises']), scene(), SETTINGS)
    assert outcome.detail == 'anonymizer acting failed: RuntimeError: engine lost'


@pytest.mark.parametrize('interrupt', [KeyboardInterrupt(), SystemExit(1)],
                         ids=['KeyboardInterrupt', 'SystemExit'])
@pytest.mark.parametrize('role', ['detector', 'anonymizer'])
def test_an_interrupt_goes_through(role: str, interrupt: BaseException) -> None:
    broken = (pipeline(raises(interrupt)) if role == 'detector'
              else pipeline(anonymize=raises(interrupt)))
    with pytest.raises(type(interrupt)):
        process_or_withhold(broken, scene(), SETTINGS, 'mask_frame')


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_a_masked_frame_is_black_in_its_own_encoding(encoding: str) -> None:
    message = scene(encoding)
    original = bytes(message.data)
    outcome = process_or_withhold(pipeline(BAD_DETECTORS['raises']), message, SETTINGS,
                                  'mask_frame')
    assert bytes(message.data) == original
    assert outcome.frame is not None
    if encoding not in ('jpeg', 'png'):
        assert len(outcome.frame.data) == len(original)
    assert_nothing_is_shown(outcome, 'mask_frame', message)


@pytest.mark.parametrize('on_failure', ON_FAILURE)
@pytest.mark.parametrize(('reason', 'message'), [
    ('encoding', SimpleNamespace(encoding='16UC1', width=8, height=6, step=16, is_bigendian=0,
                                 data=bytes(96))),
    ('step', messages.raw_message('bgr8', 8, 6, step=8)),
    ('size', messages.raw_message('nv12', 7, 6)),
    ('data', messages.compressed_message('jpeg', b'\xff\xd8\xff')),
])
def test_what_cannot_be_opened_cannot_be_masked_either(reason: str, message: SimpleNamespace,
                                                       on_failure: str) -> None:
    outcome = process_or_withhold(pipeline(), message, SETTINGS, on_failure)
    assert outcome.status == 'withheld'
    assert outcome.reason == reason
    assert outcome.frame is None


def test_after_a_failure_the_next_frame_is_published() -> None:
    answers = iter([raises(RuntimeError()), gives([Face(FACE, 0.9)])])
    working = pipeline(lambda bgr: next(answers)(bgr))
    assert process_or_withhold(working, scene(), SETTINGS).status == 'withheld'
    assert process_or_withhold(working, scene(), SETTINGS).status == 'published'


# The smaller image is a copy, into which a detector may draw.
@pytest.mark.parametrize('name', sorted(set(BAD_DETECTORS) - {'draws into the image'}))
def test_no_fault_is_hidden_by_detection_on_a_smaller_image(name: str) -> None:
    settings = SETTINGS._replace(detection_width=WIDTH // 2)
    outcome = process_or_withhold(pipeline(BAD_DETECTORS[name]), scene(), settings)
    assert outcome.status == 'withheld'


def test_a_frame_without_faces_is_published_as_it_came() -> None:
    message = scene()
    working = FramePipeline(FakeDetector(), make_anonymizer('mask'), make_anonymizer('mask'))
    outcome = process_or_withhold(working, message, SETTINGS)
    assert outcome.status == 'published'
    assert outcome.frame is not None
    assert outcome.frame.data.tobytes() == message.data
