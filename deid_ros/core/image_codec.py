# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Messages to arrays and back: `sensor_msgs/Image` and `sensor_msgs/CompressedImage`.

A message is opened once (`open_image`), which gives its pixels as BGR. After the faces are
treated, `encode` makes the new message's data: for raw images a copy of the original buffer in
which only the treated regions are new, for compressed ones a new file of the same format.

Messages are read by their fields alone, so those of rclpy and those of `rosbags` both will do.

Why not `cv_bridge`: see docs/architecture.md, "Messages and pixels".
"""

import operator
import struct
from array import array
from typing import Any, Sequence, Tuple

import cv2
import numpy as np

from deid_ros.core.encodings import ENCODINGS, Encoding, supported
from deid_ros.core.errors import CodecError
from deid_ros.core.faces import Region

# What the bytes of a file start and end with. A file without its end was cut, and decoders fill
# the missing part with gray instead of failing.
_FILE_MARKS = {
    'jpeg': (b'\xff\xd8\xff', b'\xff\xd9'),
    'png': (b'\x89PNG\r\n\x1a\n', b'IEND\xae\x42\x60\x82'),
}
# A JPEG file of 1 kB can declare 30,000 × 30,000 pixels, and OpenCV then works half a minute and
# takes 5 GB before it sees that they are missing. No camera that robots carry has as many as this.
_MAX_PIXELS = 150 * 1000 * 1000


class OpenedImage:
    """An image message whose pixels can be read and replaced."""

    #: (H, W, 3) uint8 BGR, read-only, as it may share memory with the message.
    bgr: np.ndarray

    def align(self, region: Region) -> Region:
        """Return the least region that holds `region` and can be written on its own."""
        return region

    def encode(self, bgr: np.ndarray, regions: Sequence[Region]) -> array:
        """Return the data of the new message.

        :param bgr: (H, W, 3) uint8, the treated image.
        :param regions: what differs from the original; every one as returned by `align`.
        :returns: `array('B')`, the form that rclpy takes without a copy.
        """
        raise NotImplementedError


class _RawImage(OpenedImage):
    def __init__(self, message: Any) -> None:
        self._encoding = _encoding_of(message)
        self._data = _bytes_of(message)
        self._width, self._height, self._step = _check_size(message, self._encoding, self._data)
        pixels = self._pixels(self._data)
        self._depth = self._encoding.depth(pixels, bool(message.is_bigendian))
        self.bgr = _read_only(self._encoding.to_bgr(pixels, self._depth))

    def align(self, region: Region) -> Region:
        x, y = self._encoding.align_x, self._encoding.align_y
        # The image's own size is a multiple of them (see _check_size), so this stays inside.
        return Region(region.left // x * x, region.top // y * y,
                      -(-region.right // x) * x, -(-region.bottom // y) * y)

    def encode(self, bgr: np.ndarray, regions: Sequence[Region]) -> array:
        data = array('B')
        data.frombytes(self._data)
        pixels = self._pixels(data)
        for region in regions:
            self._encoding.write(pixels, np.ascontiguousarray(bgr[region.slices]), region,
                                 self._depth)
        # A message cut out of a larger image keeps that image's step, and its "padding" is then
        # somebody's untreated pixels.
        rows = np.frombuffer(data, np.uint8).reshape(-1, self._step)
        rows[:, self._width * self._encoding.bytes_per_pixel:] = 0
        return data

    def _pixels(self, data: Any) -> np.ndarray:
        size = self._encoding.bytes_per_pixel
        return np.ndarray((self._encoding.rows(self._height), self._width, size), np.uint8,
                          buffer=data, strides=(self._step, size, 1))


class _CompressedImage(OpenedImage):
    def __init__(self, message: Any, jpeg_quality: int) -> None:
        data = _bytes_of(message)
        self._file_format = _file_format_of(message, data)
        self._jpeg_quality = jpeg_quality
        image = _decode_file(data, self._file_format)
        self._alpha = image[..., 3] if image.ndim == 3 and image.shape[2] == 4 else None
        self._gray = image.ndim == 2
        self.bgr = _read_only(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if self._gray
                              else np.ascontiguousarray(image[..., :3]))

    def encode(self, bgr: np.ndarray, regions: Sequence[Region]) -> array:
        # The original file is never sent on, not even without a face in it: its metadata can hold
        # a place, a name or a thumbnail.
        image = bgr
        if self._gray:
            image = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        elif self._alpha is not None:
            image = np.dstack([bgr, self._alpha])
        if self._file_format == 'jpeg':
            return encode_jpeg(image, self._jpeg_quality)
        return _encode_file('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def open_image(message: Any, jpeg_quality: int = 90) -> OpenedImage:
    """Open a `sensor_msgs/Image` or `sensor_msgs/CompressedImage`.

    :param message: any object with the fields of one of the two; `data` is bytes-like.
    :param jpeg_quality: 1…100, used when a jpeg message is encoded again.
    :raises CodecError: the encoding is not known or not 8-bit camera data, or `step`, size and
        data do not fit together, or the bytes are no whole file. Nothing is guessed.
    """
    if hasattr(message, 'encoding'):
        return _RawImage(message)
    return _CompressedImage(message, jpeg_quality)


def encode_jpeg(image: np.ndarray, quality: int) -> array:
    """Return `image`, (H, W) gray or (H, W, 3) BGR uint8, as the bytes of a JPEG file.

    :param quality: 1…100.
    :raises CodecError: the image is larger than a JPEG file can hold.
    """
    return _encode_file('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _bytes_of(message: Any) -> memoryview:
    """Return the message's data as one flat row of bytes, without a copy."""
    try:
        data = memoryview(message.data)
    except (TypeError, ValueError) as error:
        raise CodecError('data', 'the data is a {}, must be bytes'.format(
            type(message.data).__name__)) from error
    if data.ndim != 1 or data.format not in ('B', 'b', 'c') or not data.c_contiguous:
        raise CodecError('data', 'the data is a {} of {!r} in {} dimensions, must be bytes'.format(
            type(message.data).__name__, data.format, data.ndim))
    return data.cast('B')


def _read_only(bgr: np.ndarray) -> np.ndarray:
    view = bgr.view()
    view.flags.writeable = False
    return view


def _encoding_of(message: Any) -> Encoding:
    encoding = ENCODINGS.get(message.encoding) if isinstance(message.encoding, str) else None
    if encoding is None:
        raise CodecError('encoding', 'encoding {!r} cannot be anonymized; known are {}'.format(
            message.encoding, ', '.join(supported())))
    return encoding


def _check_size(message: Any, encoding: Encoding, data: memoryview) -> Tuple[int, int, int]:
    """Return width, height and step."""
    width, height = _whole('size', 'width', message), _whole('size', 'height', message)
    step = _whole('step', 'step', message)
    size = '{} × {} {} image'.format(width, height, message.encoding)
    if width < 1 or height < 1:
        raise CodecError('size', '{}: it has no pixels'.format(size))
    if width % encoding.align_x or height % encoding.align_y:
        raise CodecError('size', '{}: the width must be a multiple of {}, the height of {}'.format(
            size, encoding.align_x, encoding.align_y))
    if step < width * encoding.bytes_per_pixel:
        raise CodecError('step', '{}: step is {}, a row needs at least {} bytes'.format(
            size, step, width * encoding.bytes_per_pixel))
    expected = step * encoding.rows(height)
    if len(data) != expected:
        raise CodecError('data', '{}: {} bytes of data, step {} makes it {}'.format(
            size, len(data), step, expected))
    return width, height, step


def _whole(reason: str, field: str, message: Any) -> int:
    value = getattr(message, field)
    try:
        return operator.index(value)
    except TypeError as error:
        raise CodecError(reason, '{} is {!r}, must be a whole number'.format(
            field, value)) from error


def _file_format_of(message: Any, data: memoryview) -> str:
    """Return `jpeg` or `png`, on which the message's format and its first bytes must agree."""
    declared = message.format if isinstance(message.format, str) else ''
    if 'compresseddepth' in declared.lower():
        raise CodecError('encoding', 'format {!r} is depth, not a camera image'.format(declared))
    # image_transport writes 'bgr8; jpeg compressed bgr8', drivers plain 'jpeg' or 'jpg'.
    words = declared.lower().replace(';', ' ').replace('jpg', 'jpeg').split()
    for file_format, (start, _) in _FILE_MARKS.items():
        if file_format in words:
            if data[:len(start)] != start:
                raise CodecError('data', 'format {!r}, but the data is no {} file'.format(
                    declared, file_format))
            return file_format
    raise CodecError('encoding', 'compressed format {!r} cannot be anonymized; known are {}'.format(
        message.format, ', '.join(sorted(_FILE_MARKS))))


def _decode_file(data: memoryview, file_format: str) -> np.ndarray:
    """Return the image as (H, W), (H, W, 3) BGR or (H, W, 4) BGRA uint8."""
    # USB cameras pad a JPEG with zero bytes.
    if not data[-64 * 1024:].tobytes().rstrip(b'\0').endswith(_FILE_MARKS[file_format][1]):
        raise CodecError('data', 'the {} file is cut: its end is missing'.format(file_format))
    try:
        width, height = _png_size(data) if file_format == 'png' else _jpeg_size(data)
    except (IndexError, struct.error) as error:
        raise CodecError('data', 'the {} file has no header'.format(file_format)) from error
    if width * height > _MAX_PIXELS:
        raise CodecError('size', 'the {} file declares {} × {} pixels; at most {} are read'.format(
            file_format, width, height, _MAX_PIXELS))
    # A JPEG is turned upright as its EXIF data says, which is what every other reader shows and
    # what the detector needs; UNCHANGED keeps the alpha channel and the depth of a PNG.
    flags = cv2.IMREAD_ANYCOLOR if file_format == 'jpeg' else cv2.IMREAD_UNCHANGED
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise CodecError('data', 'the {} file cannot be decoded: {}'.format(
            file_format, error)) from error
    if image is None:
        raise CodecError('data', 'the {} file cannot be decoded'.format(file_format))
    if image.dtype != np.uint8:
        raise CodecError('encoding', 'the {} file has {} pixels; only 8-bit camera images can be '
                         'anonymized'.format(file_format, image.dtype))
    return image


def _png_size(data: memoryview) -> Tuple[int, int]:
    width, height = struct.unpack_from('>II', data, 16)
    return width, height


def _jpeg_size(data: memoryview) -> Tuple[int, int]:
    """Return the width and height in the frame header, which stands among other segments."""
    position = 2
    while True:
        marker = data[position + 1]
        if data[position] != 0xff or marker == 0xff:  # fill bytes, which decoders skip
            position += 1
        elif marker in (0x00, 0x01, 0xd8) or 0xd0 <= marker <= 0xd7:  # without a length
            position += 2
        elif 0xc0 <= marker <= 0xcf and marker not in (0xc4, 0xc8, 0xcc):
            height, width = struct.unpack_from('>HH', data, position + 5)
            return width, height
        else:
            position += 2 + struct.unpack_from('>H', data, position + 2)[0]


def _encode_file(extension: str, image: np.ndarray, options: Sequence[int]) -> array:
    try:
        done, encoded = cv2.imencode(extension, image, list(options))
    except cv2.error:  # as OpenCV 4.1 says it
        done = False
    if not done:
        raise CodecError('size', 'a {} × {} image cannot be written as {}'.format(
            image.shape[1], image.shape[0], extension))
    data = array('B')
    data.frombytes(encoded.tobytes())
    return data
