# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Messages to arrays and back: `sensor_msgs/Image` and `sensor_msgs/CompressedImage`.

A message is opened once (`open_image`), which gives its pixels as BGR. After the faces are
treated, `encode` makes the new message's data: for raw images a copy of the original buffer in
which only the treated regions are new, for compressed ones a new file of the same format.

Messages are read by their fields alone, so those of rclpy and those of `rosbags` both will do.

Why not `cv_bridge`: its Python side ignores `step` in some releases (a padded image comes out
skewed, and no face is found in it), copies every frame, and cannot write a region back.
"""

from array import array
from typing import Any, Sequence

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


class OpenedImage:
    """An image message whose pixels can be read and replaced."""

    #: (H, W, 3) uint8 BGR. It may share memory with the message: do not write to it.
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
        self._message = message
        _check_size(message, self._encoding)
        self.bgr = self._encoding.to_bgr(self._pixels(message.data), bool(message.is_bigendian))

    def align(self, region: Region) -> Region:
        x, y = self._encoding.align_x, self._encoding.align_y
        # The image's own size is a multiple of them (see _check_size), so this stays inside.
        return Region(region.left // x * x, region.top // y * y,
                      -(-region.right // x) * x, -(-region.bottom // y) * y)

    def encode(self, bgr: np.ndarray, regions: Sequence[Region]) -> array:
        data = array('B')
        data.frombytes(memoryview(self._message.data).cast('B'))
        pixels = self._pixels(data)
        for region in regions:
            self._encoding.write(pixels, np.ascontiguousarray(bgr[region.slices]), region,
                                 bool(self._message.is_bigendian))
        # A message cut out of a larger image keeps that image's step, and its "padding" is then
        # somebody's untreated pixels.
        rows = np.frombuffer(data, np.uint8).reshape(-1, self._message.step)
        rows[:, pixels.shape[1] * pixels.shape[2]:] = 0
        return data

    def _pixels(self, data: Any) -> np.ndarray:
        message, size = self._message, self._encoding.bytes_per_pixel
        return np.ndarray((self._encoding.rows(message.height), message.width, size), np.uint8,
                          buffer=data, strides=(message.step, size, 1))


class _CompressedImage(OpenedImage):
    def __init__(self, message: Any, jpeg_quality: int) -> None:
        self._file_format = _file_format_of(message)
        self._jpeg_quality = jpeg_quality
        image = _decode_file(message, self._file_format)
        self._alpha = image[..., 3] if image.ndim == 3 and image.shape[2] == 4 else None
        self._gray = image.ndim == 2
        self.bgr = (cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if self._gray
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
    """Return `image`, (H, W) gray or (H, W, 3) BGR uint8, as the bytes of a JPEG file."""
    return _encode_file('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encoding_of(message: Any) -> Encoding:
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        raise CodecError('encoding', 'encoding {!r} cannot be anonymized; known are {}'.format(
            message.encoding, ', '.join(supported())))
    return encoding


def _check_size(message: Any, encoding: Encoding) -> None:
    width, height, step = message.width, message.height, message.step
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
    if len(message.data) != expected:
        raise CodecError('data', '{}: {} bytes of data, step {} makes it {}'.format(
            size, len(message.data), step, expected))


def _file_format_of(message: Any) -> str:
    """Return `jpeg` or `png`, on which the message's format and its first bytes must agree."""
    declared = message.format
    if 'compresseddepth' in declared.lower():
        raise CodecError('encoding', 'format {!r} is depth, not a camera image'.format(declared))
    # image_transport writes 'bgr8; jpeg compressed bgr8', drivers plain 'jpeg' or 'jpg'.
    words = declared.lower().replace(';', ' ').replace('jpg', 'jpeg').split()
    for file_format, (start, _) in _FILE_MARKS.items():
        if file_format in words:
            if not bytes(message.data[:len(start)]) == start:
                raise CodecError('data', 'format {!r}, but the data is no {} file'.format(
                    declared, file_format))
            return file_format
    raise CodecError('encoding', 'compressed format {!r} cannot be anonymized; known are {}'.format(
        declared, ', '.join(sorted(_FILE_MARKS))))


def _decode_file(message: Any, file_format: str) -> np.ndarray:
    """Return the image as (H, W), (H, W, 3) BGR or (H, W, 4) BGRA uint8."""
    data = np.frombuffer(message.data, np.uint8)
    # USB cameras pad a JPEG with zero bytes.
    if not data[-64 * 1024:].tobytes().rstrip(b'\0').endswith(_FILE_MARKS[file_format][1]):
        raise CodecError('data', 'the {} file is cut: its end is missing'.format(file_format))
    # A JPEG is turned upright as its EXIF data says, which is what every other reader shows and
    # what the detector needs; UNCHANGED keeps the alpha channel and the depth of a PNG.
    flags = cv2.IMREAD_ANYCOLOR if file_format == 'jpeg' else cv2.IMREAD_UNCHANGED
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise CodecError('data', 'the {} file cannot be decoded: {}'.format(
            file_format, error)) from error
    if image is None:
        raise CodecError('data', 'the {} file cannot be decoded'.format(file_format))
    if image.dtype != np.uint8:
        raise CodecError('encoding', 'the {} file has {} pixels; only 8-bit camera images can be '
                         'anonymized'.format(file_format, image.dtype))
    return image


def _encode_file(extension: str, image: np.ndarray, options: Sequence[int]) -> array:
    _, encoded = cv2.imencode(extension, image, list(options))
    data = array('B')
    data.frombytes(encoded.tobytes())
    return data
