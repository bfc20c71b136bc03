# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Messages that cannot be opened: each is refused with its reason, and none does other harm."""

import struct
import zlib
from types import SimpleNamespace
from typing import Any, Dict
from unittest import mock

import messages
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deid_ros.core import image_codec
from deid_ros.core.errors import CodecError
from deid_ros.core.image_codec import open_image

PICTURE = messages.smooth_bgr(48, 32)
JPEG = messages.image_file('jpeg', PICTURE)
PNG = messages.image_file('png', PICTURE)


def raw(encoding: str = 'bgr8', **fields: Any) -> SimpleNamespace:
    """A sound 8 × 6 message but for `fields`."""
    message = messages.raw_message(encoding if encoding in messages.RAW_ENCODINGS else 'bgr8', 8, 6)
    message.encoding = encoding
    vars(message).update(fields)
    return message


def png_header(width: int, height: int, depth: int = 8, color: int = 2) -> bytes:
    return messages.png_chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, color,
                                                   0, 0, 0))


def png_of(header: bytes) -> bytes:
    return (PNG[:8] + header + messages.png_chunk(b'IDAT', zlib.compress(bytes(100)))
            + messages.png_chunk(b'IEND', b''))


def jpeg_of_size(width: int, height: int) -> bytes:
    """A small JPEG file whose header claims another size."""
    frame = JPEG.index(b'\xff\xc0')
    return JPEG[:frame + 5] + struct.pack('>HH', height, width) + JPEG[frame + 9:]


def file(image_format: Any, data: Any) -> SimpleNamespace:
    return messages.compressed_message(image_format, data)


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0xff]) + data[position + 1:]


# Its reason, a word that must be in the message, the message.
MALFORMED: Dict[str, Any] = {
    'depth in mm': ('encoding', '16UC1', raw('16UC1')),
    'depth in m': ('encoding', '32FC1', raw('32FC1')),
    'unknown encoding': ('encoding', 'thermal9', raw('thermal9')),
    'no encoding': ('encoding', "''", raw('')),
    'upper case': ('encoding', 'BGR8', raw('BGR8')),
    'white space': ('encoding', "'bgr8 '", raw('bgr8 ')),
    '16-bit color': ('encoding', 'bgr16', raw('bgr16')),
    'OpenCV type of two channels': ('encoding', '8UC2', raw('8UC2')),
    'OpenCV type of 16-bit color': ('encoding', '16UC3', raw('16UC3')),
    '16-bit bayer': ('encoding', 'bayer_rggb16', raw('bayer_rggb16')),
    'planar 4:4:4': ('encoding', 'nv24', raw('nv24')),
    'encoding is no string': ('encoding', 'None', raw(encoding=None)),
    'encoding is bytes': ('encoding', "b'bgr8'", raw(encoding=b'bgr8')),
    'encoding cannot be looked up': ('encoding', '[]', raw(encoding=[])),

    'step of a gray row': ('step', '8', raw(step=8)),
    'step one short': ('step', '23', raw(step=23)),
    'step 0': ('step', '0', raw(step=0)),
    'negative step': ('step', '-24', raw(step=-24)),
    'fractional step': ('step', '24.0', raw(step=24.0)),
    'no step': ('step', 'None', raw(step=None)),
    'step too long for the data': ('data', '32', raw(step=32)),
    'huge step': ('data', str(2 ** 32), raw(step=2 ** 32)),
    'step of nv12 as if it were packed': ('data', '12', raw('nv12', step=12)),

    'no width': ('size', '0 × 6', raw(width=0)),
    'no height': ('size', '8 × 0', raw(height=0)),
    'nothing at all': ('size', '0 × 0', raw(width=0, height=0, step=0, data=b'')),
    'negative width': ('size', '-8 × 6', raw(width=-8)),
    'negative height': ('size', '8 × -6', raw(height=-6)),
    'width is text': ('size', "'8'", raw(width='8')),
    'width is NaN': ('size', 'nan', raw(width=float('nan'))),
    'height is fractional': ('size', '6.5', raw(height=6.5)),
    'height is missing': ('size', 'None', raw(height=None)),
    'odd width of yuv422': ('size', '7 × 6', raw('yuv422', width=7)),
    'odd width of yuv422_yuy2': ('size', '7 × 6', raw('yuv422_yuy2', width=7)),
    'odd width of uyvy': ('size', '7 × 6', raw('uyvy', width=7)),
    'odd width of yuyv': ('size', '7 × 6', raw('yuyv', width=7)),
    'odd width of nv12': ('size', '7 × 6', raw('nv12', width=7)),
    'odd height of nv12': ('size', '8 × 5', raw('nv12', height=5)),
    'odd height of nv21': ('size', '8 × 5', raw('nv21', height=5)),
    'huge image': ('data', '30000000000', raw(width=100000, height=100000, step=300000)),

    'no data': ('data', '0 bytes', raw(data=b'')),
    'one byte short': ('data', '143', raw(data=bytes(143))),
    'one row short': ('data', '120', raw(data=bytes(120))),
    'one byte over': ('data', '145', raw(data=bytes(145))),
    'two frames': ('data', '288', raw(data=bytes(288))),
    'last row without its padding': ('data', '148', raw(step=25, data=bytes(25 * 5 + 23))),
    'nv12 without chroma': ('data', '48', raw('nv12', data=bytes(48))),
    'mono16 of 8 bit': ('data', '48', raw('mono16', data=bytes(48))),
    'data is missing': ('data', 'NoneType', raw(data=None)),
    'data is text': ('data', 'str', raw(data='x' * 144)),
    'data is a list': ('data', 'list', raw(data=[0] * 144)),
    'data is of floats': ('data', 'ndarray', raw(data=np.zeros(144))),
    'data is an image array': ('data', 'ndarray', raw(data=np.zeros((6, 24), np.uint8))),
    'data has gaps': ('data', 'ndarray', raw(data=np.zeros(288, np.uint8)[::2])),

    'compressed depth': ('encoding', 'compressedDepth', file('16UC1; compressedDepth', PNG)),
    'compressed depth png': ('encoding', 'compressedDepth',
                             file('16UC1; compressedDepth png', PNG)),
    'no format': ('encoding', "''", file('', JPEG)),
    'format is missing': ('encoding', 'None', file(None, JPEG)),
    'format is bytes': ('encoding', "b'jpeg'", file(b'jpeg', JPEG)),
    'raw encoding as format': ('encoding', 'bgr8', file('bgr8', JPEG)),
    'webp': ('encoding', 'webp', file('webp', b'RIFF\0\0\0\0WEBP')),
    'video': ('encoding', 'h264', file('h264', b'\0\0\0\1')),
    'format with a word in it': ('encoding', 'notjpeg', file('notjpeg', JPEG)),
    '16-bit png': ('encoding', 'uint16', file('png', messages.image_file(
        'png', PICTURE[..., 0].astype(np.uint16) * 200))),
    '16-bit color png': ('encoding', 'uint16', file('16UC3; png compressed', messages.image_file(
        'png', PICTURE.astype(np.uint16) * 200))),

    'png named jpeg': ('data', 'jpeg', file('jpeg', PNG)),
    'jpeg named png': ('data', 'png', file('png', JPEG)),
    'empty jpeg': ('data', 'jpeg', file('jpeg', b'')),
    'empty png': ('data', 'png', file('png', b'')),
    'garbage': ('data', 'jpeg', file('jpeg', bytes(range(256)) * 10)),
    'file data is missing': ('data', 'NoneType', file('jpeg', None)),
    'file data is text': ('data', 'str', file('jpeg', 'jpeg')),
    'jpeg of its marks alone': ('data', 'jpeg', file('jpeg', b'\xff\xd8\xff\xd9')),
    'jpeg without a picture': ('data', 'jpeg', file('jpeg', b'\xff\xd8\xff\xfe\0\2\xff\xd9')),
    'png of its marks alone': ('data', 'png', file('png', PNG[:8] + PNG[-12:])),
    'png without pixels': ('data', 'png', file('png', PNG[:33] + PNG[-12:])),
    'png with a flipped byte in its header': ('data', 'png', file('png', flipped(PNG, 24))),
    'png with a flipped checksum': ('data', 'png', file('png', flipped(PNG, 30))),
    'png with too few pixels': ('data', 'png', file('png', png_of(png_header(4000, 3000)))),
    'png of no width': ('data', 'png', file('png', png_of(png_header(0, 10)))),
    'png of unknown color': ('data', 'png', file('png', png_of(png_header(10, 10, color=9)))),
    'png of the greatest size': ('size', str(2 ** 31 - 1), file('png', png_of(png_header(
        2 ** 31 - 1, 2 ** 31 - 1)))),
    'png of a huge size': ('size', '100000 × 90000', file('png', png_of(png_header(
        100000, 90000)))),
    'jpeg of a huge size': ('size', '30000 × 29000', file('jpeg', jpeg_of_size(30000, 29000))),
    'jpeg of no height': ('data', 'jpeg', file('jpeg', jpeg_of_size(48, 0))),
}
MALFORMED.update({'jpeg cut at {} of {} bytes'.format(end, len(JPEG)):
                  ('data', 'jpeg', file('jpeg', JPEG[:end]))
                  for end in list(range(1, len(JPEG), len(JPEG) // 12)) + [len(JPEG) - 1]})
MALFORMED.update({'png cut at {} of {} bytes'.format(end, len(PNG)):
                  ('data', 'png', file('png', PNG[:end]))
                  for end in list(range(1, len(PNG), len(PNG) // 6)) + [len(PNG) - 1]})


@pytest.mark.parametrize(('reason', 'value', 'message'), MALFORMED.values(), ids=MALFORMED.keys())
def test_is_refused_with_a_reason_and_the_value(reason: str, value: str,
                                                message: SimpleNamespace) -> None:
    with pytest.raises(CodecError) as caught:
        open_image(message)
    assert caught.value.reason == reason
    assert value in str(caught.value)


def test_the_builders_make_sound_messages_where_nothing_is_changed() -> None:
    assert open_image(raw()).bgr.shape == (6, 8, 3)
    for encoding in messages.RAW_ENCODINGS:
        assert open_image(raw(encoding)).bgr.shape == (6, 8, 3)
    assert open_image(file('jpeg', JPEG)).bgr.shape == PICTURE.shape
    assert open_image(file('png', PNG)).bgr.shape == PICTURE.shape


def test_a_file_cut_inside_its_thumbnail_is_refused() -> None:
    # The thumbnail is a whole JPEG file with an end of its own.
    whole = messages.jpeg_with_exif(JPEG, messages.exif(thumbnail=JPEG))
    cut = whole[:whole.index(JPEG) + len(JPEG)]
    assert cut.endswith(b'\xff\xd9')
    with pytest.raises(CodecError) as caught:
        open_image(file('jpeg', cut))
    assert caught.value.reason == 'data'


def assert_opens_or_is_refused(message: SimpleNamespace) -> None:
    try:
        image = open_image(message)
    except CodecError as error:
        if error.reason not in ('encoding', 'step', 'size', 'data'):
            raise
        return
    assert image.bgr.ndim == 3
    assert image.bgr.shape[2] == 3
    assert image.bgr.dtype == np.uint8
    assert image.bgr.size > 0
    assert len(image.encode(image.bgr, [])) > 0


NUMBERS = st.one_of(st.integers(0, 20), st.integers(-2 ** 33, 2 ** 33), st.booleans(),
                    st.floats(), st.none(), st.text(max_size=2))


@settings(max_examples=300)
@given(encoding=st.one_of(st.sampled_from(messages.RAW_ENCODINGS + ('16UC1', '32FC1')),
                          st.text(max_size=9), st.none(), st.integers()),
       width=NUMBERS, height=NUMBERS, step=NUMBERS, bigendian=st.integers(0, 1),
       data=st.one_of(st.binary(max_size=300), st.none(), st.text(max_size=3)))
def test_random_fields_of_raw_messages(encoding: Any, width: Any, height: Any, step: Any,
                                       bigendian: int, data: Any) -> None:
    assert_opens_or_is_refused(SimpleNamespace(encoding=encoding, width=width, height=height,
                                               step=step, is_bigendian=bigendian, data=data))


@given(encoding=st.sampled_from(messages.RAW_ENCODINGS), width=st.integers(1, 9),
       height=st.integers(1, 9), padding=st.integers(0, 3), short=st.integers(-2, 2),
       seed=st.integers(0, 99))
def test_random_small_raw_messages(encoding: str, width: int, height: int, padding: int,
                                   short: int, seed: int) -> None:
    assume(width * height > 1)  # OpenCV 4.5, of Ubuntu 22.04, takes no picture of one pixel
    message = messages.noise_message(encoding, width, height, padding, seed)
    message.data = message.data[:short] if short < 0 else message.data + bytes(short)
    across, down = messages.CHROMA.get(encoding, (1, 1))
    if width % across or height % down or short:
        with pytest.raises(CodecError):
            open_image(message)
    else:
        assert open_image(message).bgr.shape == (height, width, 3)


@given(image_format=st.one_of(st.sampled_from(['jpeg', 'png', 'jpeg png', 'bgr8; jpeg compressed']),
                              st.text(max_size=9), st.none(), st.integers()),
       start=st.sampled_from([b'', JPEG[:2], JPEG[:3], JPEG[:20], PNG[:8], PNG[:33]]),
       middle=st.binary(max_size=200),
       end=st.sampled_from([b'', JPEG[-2:], PNG[-12:]]))
def test_random_bytes_between_the_marks_of_a_file(image_format: Any, start: bytes, middle: bytes,
                                                  end: bytes) -> None:
    assert_opens_or_is_refused(file(image_format, start + middle + end))


@settings(max_examples=300)
@given(image_format=st.sampled_from(['jpeg', 'png']), data=st.data())
def test_flipped_bytes_in_a_file(image_format: str, data: Any) -> None:
    content = bytearray(JPEG if image_format == 'jpeg' else PNG)
    for _ in range(data.draw(st.integers(1, 4))):
        # The headers more often than their share of the bytes.
        position = data.draw(st.one_of(st.integers(0, len(content) - 1), st.integers(0, 60)))
        content[position] ^= data.draw(st.integers(1, 255))
    # Flipped bytes make large sizes, too; decoding those takes long and shows nothing else.
    with mock.patch.object(image_codec, '_MAX_PIXELS', 10 ** 5):
        assert_opens_or_is_refused(file(image_format, bytes(content)))
