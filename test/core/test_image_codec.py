# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the codec reads and writes, against pixels computed by hand and against cv_bridge."""

import copy
from array import array
from types import SimpleNamespace
from typing import Any, Callable, List, Tuple

import cv2
import messages
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deid_ros.core.encodings import supported
from deid_ros.core.errors import CodecError
from deid_ros.core.faces import Region
from deid_ros.core.image_codec import encode_jpeg, open_image

#: Gray levels by which a color may be off after it was written and read again. A YUV step is up to
#: 2.1 levels of blue (the half of it by each of two roundings, plus one of the way back); a mono8
#: pixel is rounded once; all others keep every bit.
TOLERANCE = {'mono8': 1, '8UC1': 1, 'yuv422': 4, 'uyvy': 4, 'yuv422_yuy2': 4, 'yuyv': 4,
             'nv12': 4, 'nv21': 4}
BAYER = [encoding for encoding in messages.RAW_ENCODINGS if encoding.startswith('bayer')]
#: Those whose decoding can be written down as a formula for each pixel.
BY_FORMULA = [encoding for encoding in messages.RAW_ENCODINGS
              if encoding != 'mono16' and encoding not in BAYER]
ENDS = pytest.mark.parametrize('bigendian', [False, True], ids=['little', 'big'])


def test_the_tests_know_all_encodings() -> None:
    assert sorted(messages.RAW_ENCODINGS) == list(supported())


# Reading


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', BY_FORMULA)
def test_decodes_every_pixel_as_the_encoding_defines_it(encoding: str, padding: int) -> None:
    message = messages.noise_message(encoding, 22, 14, padding)
    bgr = open_image(message).bgr
    assert bgr.shape == (14, 22, 3)
    assert bgr.dtype == np.uint8
    # OpenCV computes YUV in whole numbers.
    tolerance = 2 if encoding in messages.CHROMA else 0
    np.testing.assert_allclose(bgr.astype(float), messages.decoded(message), atol=tolerance)


@ENDS
@pytest.mark.parametrize('bits', [8, 10, 12, 16])
def test_mono16_spans_the_gray_levels_whatever_bits_the_camera_fills(bits: int,
                                                                      bigendian: bool) -> None:
    # Every value of the camera's range equally often: the white point is their 99.9th percentile.
    message = messages.noise_message('mono16', 240, 160, bits=bits, bigendian=bigendian)
    expected = messages.decoded(message) * 255 / (2 ** bits - 1)
    np.testing.assert_allclose(open_image(message).bgr.astype(float), expected, atol=1.5)


def test_mono16_is_not_darkened_by_a_few_hot_pixels() -> None:
    values = np.tile(np.linspace(0, 1023, 200).astype('<u2'), (100, 1))
    values[50, 40:44] = 65535
    bgr = open_image(messages.raw_message('mono16', 200, 100, values.tobytes())).bgr
    assert bgr[0, -1].min() > 240


@pytest.mark.parametrize('encoding', BAYER)
def test_bayer_gives_the_colors_of_a_smooth_picture_back(encoding: str) -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, :16] = (200, 30, 60)
    picture[:, 16:32] = (20, 180, 90)
    picture[:, 32:] = (40, 70, 220)
    bgr = open_image(messages.encode_bgr(encoding, picture)).bgr
    for left in (0, 16, 32):
        # Next to an edge, colors of both sides mix.
        inside = np.s_[2:-2, left + 2:left + 14]
        np.testing.assert_array_equal(bgr[inside], picture[inside])


@pytest.mark.parametrize('encoding', BAYER)
def test_bayer_keeps_what_each_sensor_site_saw(encoding: str) -> None:
    message = messages.noise_message(encoding, 21, 13)
    seen = messages.mosaic(encoding, open_image(message).bgr)
    # OpenCV copies the outermost pixels from their neighbors.
    np.testing.assert_array_equal(seen[1:-1, 1:-1], messages.buffer_rows(message)[1:-1, 1:-1])


@pytest.mark.parametrize('kind', ['gray', 'color', 'alpha'])
def test_png_is_read_exactly(kind: str) -> None:
    shape = {'gray': (9, 7), 'color': (9, 7, 3), 'alpha': (9, 7, 4)}[kind]
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    bgr = open_image(messages.compressed_message('png', messages.image_file('png', image))).bgr
    expected = np.dstack([image] * 3) if kind == 'gray' else image[..., :3]
    np.testing.assert_array_equal(bgr, expected)


@pytest.mark.parametrize('kind', ['gray', 'color'])
def test_jpeg_is_read_as_it_was_taken(kind: str) -> None:
    picture = messages.smooth_bgr(61, 43)
    image = picture[..., 1] if kind == 'gray' else picture
    message = messages.compressed_message('jpeg', messages.image_file(
        'jpeg', image, cv2.IMWRITE_JPEG_QUALITY, 98))
    expected = np.dstack([image] * 3) if kind == 'gray' else image
    # OpenCV 4.1 brings a library for JPEG files that is off by one level more.
    np.testing.assert_allclose(open_image(message).bgr.astype(float), expected, atol=9)


@pytest.mark.parametrize('image_format', [
    'jpeg', 'jpg', 'JPEG', 'bgr8; jpeg compressed bgr8', 'rgb8; jpeg compressed bgr8',
    'mono8; jpeg compressed ', 'png', 'PNG', 'bgr8; png compressed bgr8', 'rgba8; png compressed '])
def test_knows_the_format_strings_of_drivers_and_image_transport(image_format: str) -> None:
    file_format = 'png' if 'png' in image_format.lower() else 'jpeg'
    data = messages.image_file(file_format, messages.smooth_bgr(20, 10))
    assert open_image(messages.compressed_message(image_format, data)).bgr.shape == (10, 20, 3)


def test_reads_a_jpeg_that_a_usb_camera_padded_with_zeros() -> None:
    data = messages.image_file('jpeg', messages.smooth_bgr(20, 10)) + bytes(1000)
    assert open_image(messages.compressed_message('jpeg', data)).bgr.shape == (10, 20, 3)


CONTAINERS: List[Callable[[bytes], Any]] = [
    lambda data: array('B', data), bytes, bytearray, memoryview,
    lambda data: np.frombuffer(data, np.uint8), lambda data: np.array(bytearray(data))]
CONTAINER_NAMES = ['array', 'bytes', 'bytearray', 'memoryview', 'numpy read-only', 'numpy']


@pytest.mark.parametrize('contain', CONTAINERS, ids=CONTAINER_NAMES)
@pytest.mark.parametrize('encoding', ['bgr8', 'mono16', 'nv12', 'jpeg', 'png'])
def test_takes_data_in_every_container(encoding: str, contain: Callable[[bytes], Any]) -> None:
    message = messages.encode_bgr(encoding, messages.smooth_bgr(32, 16))
    expected = open_image(message)
    message.data = contain(message.data)
    image = open_image(message)
    np.testing.assert_array_equal(image.bgr, expected.bgr)
    region = Region(2, 2, 10, 8)
    black = image.bgr.copy()
    black[region.slices] = 0
    written = image.encode(black, [region])
    assert isinstance(written, array)
    assert written == expected.encode(black, [region])


@pytest.mark.parametrize('contain', CONTAINERS, ids=CONTAINER_NAMES)
@pytest.mark.parametrize('encoding', messages.RAW_ENCODINGS + ('jpeg', 'png'))
def test_never_changes_the_message(encoding: str, contain: Callable[[bytes], Any]) -> None:
    message = messages.encode_bgr(encoding, messages.smooth_bgr(32, 16))
    original = bytes(message.data)
    message.data = contain(message.data)
    before = {name: copy.deepcopy(value) for name, value in vars(message).items()
              if name != 'data'}
    image = open_image(message)
    image.encode(np.zeros_like(image.bgr), [Region(0, 0, 32, 16)])
    with pytest.raises(ValueError, match='read-only'):
        image.bgr[:] = 0
    assert bytes(message.data) == original
    assert {name: value for name, value in vars(message).items() if name != 'data'} == before


# Writing


@ENDS
@pytest.mark.parametrize('encoding', messages.RAW_ENCODINGS)
def test_without_regions_the_bytes_stay_the_same(encoding: str, bigendian: bool) -> None:
    message = messages.noise_message(encoding, 22, 14, bigendian=bigendian)
    image = open_image(message)
    assert image.encode(image.bgr, []).tobytes() == message.data


def test_padding_is_cleared_because_it_may_be_a_part_of_a_larger_image() -> None:
    message = messages.noise_message('bgr8', 10, 6, padding=7)
    rows = messages.buffer_rows(message)
    image = open_image(message)
    written = messages.buffer_rows(message, image.encode(image.bgr, []))
    assert rows[:, 30:].any()
    assert not written[:, 30:].any()
    np.testing.assert_array_equal(written[:, :30], rows[:, :30])


@st.composite
def written_messages(draw: Any) -> Tuple[SimpleNamespace, List[Region]]:
    """A message of random bytes, and regions to write, also at its edges and one pixel small."""
    encoding = draw(st.sampled_from(messages.RAW_ENCODINGS))
    across, down = messages.CHROMA.get(encoding, (1, 1))
    width = draw(st.integers(1, 24)) * across
    height = draw(st.integers(1, 24)) * down
    assume(width * height > 1)  # OpenCV 4.5, of Ubuntu 22.04, takes no picture of one pixel
    message = messages.noise_message(
        encoding, width, height, padding=draw(st.integers(0, 9)), seed=draw(st.integers(0, 999)),
        bigendian=draw(st.booleans()), bits=draw(st.sampled_from([8, 10, 12, 16])))

    def region() -> Region:
        left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        return Region(left, top, draw(st.integers(left + 1, width)),
                      draw(st.integers(top + 1, height)))
    return message, [region() for _ in range(draw(st.integers(0, 3)))]


@given(written_messages(), st.integers(0, 999))
def test_only_bytes_of_the_aligned_regions_change(case: Tuple[SimpleNamespace, List[Region]],
                                                  seed: int) -> None:
    message, regions = case
    image = open_image(message)
    aligned = [image.align(region) for region in regions]
    # Even where the frame differs elsewhere.
    other = np.random.default_rng(seed).integers(0, 256, image.bgr.shape, np.uint8)
    data = image.encode(other, aligned)

    before, after = messages.buffer_rows(message), messages.buffer_rows(message, data)
    used = message.width * messages.BYTES_PER_PIXEL[message.encoding]
    changed = before[:, :used] != after[:, :used]
    assert not (changed & ~messages.writable_bytes(message, aligned)[:, :used]).any()
    assert not after[:, used:].any()


@given(written_messages())
def test_alignment_adds_at_most_the_other_pixels_of_a_chroma_sample(
        case: Tuple[SimpleNamespace, List[Region]]) -> None:
    message, regions = case
    across, down = messages.CHROMA.get(message.encoding, (1, 1))
    image = open_image(message)
    for region in regions:
        left, top, right, bottom = image.align(region)
        assert messages.is_aligned(message.encoding, Region(left, top, right, bottom))
        assert 0 <= region.left - left < across
        assert 0 <= region.top - top < down
        assert 0 <= right - region.right < across
        assert 0 <= bottom - region.bottom < down
        assert right <= message.width
        assert bottom <= message.height


@given(written_messages(), st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=3, max_size=3))
def test_written_colors_come_back(case: Tuple[SimpleNamespace, List[Region]],
                                  colors: List[Tuple[int, int, int]]) -> None:
    message, regions = case
    encoding = message.encoding
    image = open_image(message)
    aligned = [image.align(region) for region in regions]
    bgr = image.bgr.copy()
    inside = np.zeros(bgr.shape[:2], bool)
    for region, color in zip(aligned, colors):
        bgr[region.slices] = color
        inside[region.slices] = True
    data = image.encode(bgr, aligned)

    if encoding in BAYER:
        sensor = messages.buffer_rows(message, data)[:, :message.width]
        np.testing.assert_array_equal(sensor[inside], messages.mosaic(encoding, bgr)[inside])
        return
    expected = bgr.astype(float)
    if encoding.startswith('mono') or encoding == '8UC1':
        expected = np.repeat(messages.bgr_to_gray(bgr)[..., None], 3, axis=2)
    actual = messages.decoded(message, data)
    if encoding == 'mono16':
        # The white point is that of the original message, as for the pixels around, also when
        # the first regions made it darker.
        white = np.percentile(messages.decoded(message)[::4, ::4, 0], 99.9)
        np.testing.assert_allclose(actual[inside], expected[inside] * white / 255,
                                   atol=0.5 + white / 255)
        return
    np.testing.assert_allclose(actual[inside], expected[inside], atol=TOLERANCE.get(encoding, 0))


@pytest.mark.parametrize('encoding', ['rgba8', 'bgra8', '8UC4'])
def test_alpha_stays_as_it_is(encoding: str) -> None:
    message = messages.noise_message(encoding, 12, 8)
    data = open_image(message).encode(np.zeros((8, 12, 3), np.uint8), [Region(0, 0, 12, 8)])
    np.testing.assert_array_equal(np.frombuffer(data, np.uint8)[3::4],
                                  np.frombuffer(message.data, np.uint8)[3::4])


# Files


def jpeg_of(bgr: np.ndarray, quality: int = 95) -> bytes:
    return messages.image_file('jpeg', bgr, cv2.IMWRITE_JPEG_QUALITY, quality)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_jpeg_is_turned_upright_as_its_exif_says(orientation: int) -> None:
    upright = messages.smooth_bgr(64, 32)
    stored = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
              5: upright.transpose(1, 0, 2), 6: np.rot90(upright, 1),
              7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1)}[orientation]
    data = messages.jpeg_with_exif(jpeg_of(np.ascontiguousarray(stored)),
                                   messages.exif(orientation))
    image = open_image(messages.compressed_message('jpeg', data))
    assert image.bgr.shape == upright.shape
    assert np.abs(image.bgr.astype(int) - upright).mean() < 5
    # The new file has no EXIF, so it must be upright itself.
    again = open_image(messages.compressed_message('jpeg', image.encode(image.bgr, [])))
    assert np.abs(again.bgr.astype(int) - upright).mean() < 5


@pytest.mark.parametrize('regions', [[], [Region(4, 4, 20, 20)]], ids=['no face', 'a face'])
def test_jpeg_metadata_is_dropped(regions: List[Region]) -> None:
    thumbnail = jpeg_of(messages.smooth_bgr(16, 16))
    data = messages.jpeg_with_exif(jpeg_of(messages.smooth_bgr(64, 48)),
                                   messages.exif(thumbnail=thumbnail))
    data = data[:2] + b'\xff\xfe\0\x10a person\x27s name'[:18] + data[2:]  # a comment
    image = open_image(messages.compressed_message('jpeg', data))
    written = image.encode(image.bgr, regions).tobytes()
    assert thumbnail in data
    for secret in (b'Exif', b'Secret Camera Name', b'MM\0\x2a', b'\xff\xe1', b'a person'):
        assert secret in data
        assert secret not in written
    assert written.count(b'\xff\xd8\xff') == 1


@pytest.mark.parametrize('regions', [[], [Region(4, 4, 20, 20)]], ids=['no face', 'a face'])
@pytest.mark.parametrize('chunk', [
    messages.png_chunk(b'tEXt', b'Author\0somebody secret'),
    messages.png_chunk(b'zTXt', b'Author\0\0secret'),
    messages.png_chunk(b'iTXt', b'Author\0\0\0\0\0somebody secret'),
    messages.png_chunk(b'eXIf', messages.exif()),
    messages.png_chunk(b'tIME', b'\x07\xe8\x01\x02\x03\x04\x05'),
], ids=['tEXt', 'zTXt', 'iTXt', 'eXIf', 'tIME'])
def test_png_metadata_is_dropped(chunk: bytes, regions: List[Region]) -> None:
    picture = messages.smooth_bgr(64, 48)
    data = messages.png_with_chunks(messages.image_file('png', picture), chunk)
    image = open_image(messages.compressed_message('png', data))
    np.testing.assert_array_equal(image.bgr, picture)
    written = image.encode(image.bgr, regions).tobytes()
    assert chunk[4:8] not in written
    assert b'ecret' not in written


@pytest.mark.parametrize('kind', ['gray', 'color', 'alpha'])
def test_png_keeps_its_kind_and_every_untreated_pixel(kind: str) -> None:
    shape = {'gray': (30, 40), 'color': (30, 40, 3), 'alpha': (30, 40, 4)}[kind]
    original = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    image = open_image(messages.compressed_message('png', messages.image_file('png', original)))
    region = Region(5, 6, 20, 18)
    treated = image.bgr.copy()
    treated[region.slices] = (10, 10, 10)
    written = cv2.imdecode(np.frombuffer(image.encode(treated, [region]), np.uint8),
                           cv2.IMREAD_UNCHANGED)
    expected = original.copy()
    expected[region.slices] = 10
    if kind == 'alpha':
        expected[..., 3] = original[..., 3]
    np.testing.assert_array_equal(written, expected)


@pytest.mark.parametrize('kind', ['gray', 'color'])
def test_jpeg_keeps_its_kind_and_shows_the_treated_pixels(kind: str) -> None:
    picture = messages.smooth_bgr(64, 48)
    original = picture[..., 1] if kind == 'gray' else picture
    image = open_image(messages.compressed_message('jpeg', jpeg_of(original)))
    region = Region(16, 8, 40, 32)
    treated = image.bgr.copy()
    treated[region.slices] = 0
    written = cv2.imdecode(np.frombuffer(image.encode(treated, [region]), np.uint8),
                           cv2.IMREAD_UNCHANGED)
    assert written.shape == original.shape
    # Blocks of 16 pixels that the region fills; readers mix the color of their outermost pixels.
    assert written[18:30, 18:30].max() < 16
    assert np.abs(written[:, 48:].astype(int) - original[:, 48:]).mean() < 5


def test_an_image_too_large_for_a_jpeg_gives_no_empty_file() -> None:
    with pytest.raises(CodecError, match='70000 × 1'):
        encode_jpeg(np.zeros((1, 70000, 3), np.uint8), 90)


def test_jpeg_quality_sets_size_and_likeness() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    message = messages.compressed_message('jpeg', jpeg_of(picture, 100))

    def rewritten(quality: int) -> bytes:
        image = open_image(message, quality)
        return image.encode(image.bgr, []).tobytes()

    assert rewritten(30) == messages.image_file(
        'jpeg', open_image(message).bgr, cv2.IMWRITE_JPEG_QUALITY, 30)
    assert len(rewritten(10)) < len(rewritten(50)) < len(rewritten(95))
    assert encode_jpeg(open_image(message).bgr, 30).tobytes() == rewritten(30)


# cv_bridge


# What its Python side knows in all releases; it ignores `step`, so there is no padding here.
CV_BRIDGE = ['bgr8', 'rgb8', 'bgra8', 'rgba8', 'mono8', 'bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8']


@pytest.mark.parametrize('encoding', CV_BRIDGE)
def test_cv_bridge_reads_the_same_pixels_before_and_after(encoding: str) -> None:
    bridge = pytest.importorskip('cv_bridge').CvBridge()
    message = messages.encode_bgr(encoding, messages.smooth_bgr(32, 24))
    image = open_image(message)
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message, 'bgr8'), image.bgr)
    region = Region(6, 3, 19, 17)
    treated = image.bgr.copy()
    treated[region.slices] = (60, 60, 60)
    message.data = image.encode(treated, [region])
    after = bridge.imgmsg_to_cv2(message, 'bgr8')
    inside = np.s_[5:15, 8:17]  # a bayer pattern mixes neighbors
    np.testing.assert_array_equal(after[inside], treated[inside])
    np.testing.assert_array_equal(after[20:], image.bgr[20:])


def test_cv_bridge_reads_the_same_mono16() -> None:
    bridge = pytest.importorskip('cv_bridge').CvBridge()
    message = messages.noise_message('mono16', 240, 160, bits=12)
    image = open_image(message)
    white = bridge.imgmsg_to_cv2(message).astype(float)
    np.testing.assert_allclose(image.bgr[..., 0], white * 255 / white.max(), atol=2)
    message.data = image.encode(np.zeros_like(image.bgr), [Region(0, 0, 10, 160)])
    after = bridge.imgmsg_to_cv2(message)
    assert not after[:, :10].any()
    np.testing.assert_array_equal(after[:, 10:], white[:, 10:])


@pytest.mark.parametrize('file_format', ['jpeg', 'png'])
def test_cv_bridge_reads_the_same_file(file_format: str) -> None:
    bridge = pytest.importorskip('cv_bridge').CvBridge()
    message = messages.encode_bgr(file_format, messages.smooth_bgr(32, 24))
    image = open_image(message)
    np.testing.assert_array_equal(bridge.compressed_imgmsg_to_cv2(message), image.bgr)
    message.data = image.encode(np.zeros_like(image.bgr), [Region(0, 0, 32, 24)])
    assert not bridge.compressed_imgmsg_to_cv2(message).any()


@pytest.mark.parametrize('shape', [(24, 31), (24, 31, 1), (24, 31, 3), (24, 31, 4)])
def test_what_cv_bridge_makes_unless_told_better_can_be_treated(shape: Tuple[int, ...]) -> None:
    bridge = pytest.importorskip('cv_bridge').CvBridge()
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    message = bridge.cv2_to_imgmsg(pixels)
    assert message.encoding == '8UC{}'.format(shape[2] if len(shape) == 3 else 1)
    image = open_image(message)
    np.testing.assert_array_equal(image.bgr, pixels[..., :3] if pixels.shape[2:] > (1,) else
                                  np.repeat(pixels.reshape(24, 31, 1), 3, axis=2))
    message.data = image.encode(np.zeros_like(image.bgr), [Region(3, 5, 20, 17)])
    expected = pixels.reshape(24, 31, -1).copy()
    expected[5:17, 3:20, :3] = 0
    after = bridge.imgmsg_to_cv2(message)
    np.testing.assert_array_equal(after.reshape(expected.shape), expected)


def test_the_file_that_cv_bridge_makes_unless_told_better_can_be_treated() -> None:
    bridge = pytest.importorskip('cv_bridge').CvBridge()
    message = bridge.cv2_to_compressed_imgmsg(messages.smooth_bgr(32, 24))
    image = open_image(message)
    message.data = image.encode(np.zeros_like(image.bgr), [Region(0, 0, 32, 24)])
    assert not bridge.compressed_imgmsg_to_cv2(message).any()


def test_cv_bridge_skews_rows_with_padding() -> None:
    # A reason for a reader of our own, see docs/architecture.md: old releases ignore `step`, newer
    # ones round it down to whole pixels. In a skewed picture, no face is found.
    bridge = pytest.importorskip('cv_bridge').CvBridge()
    message = messages.noise_message('bgr8', 21, 13, padding=1)
    assert not np.array_equal(bridge.imgmsg_to_cv2(message), messages.decoded(message))
    np.testing.assert_array_equal(open_image(message).bgr, messages.decoded(message))


def test_cv_bridge_takes_data_that_does_not_fit_the_size() -> None:
    # Another one: what is behind the last row is nobody's to publish.
    bridge = pytest.importorskip('cv_bridge').CvBridge()
    message = messages.raw_message('bgr8', 8, 6, bytes(2 * 8 * 6 * 3))
    assert bridge.imgmsg_to_cv2(message).shape == (6, 8, 3)
    with pytest.raises(CodecError, match='288 bytes'):
        open_image(message)
