# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Image messages for the tests, and what their bytes mean, written down apart from the codec."""

import struct
import zlib
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from deid_ros.core.faces import Region

#: Bytes of one pixel; of the Y plane for the planar ones.
BYTES_PER_PIXEL = {
    'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1, 'mono16': 2,
    'yuv422': 2, 'uyvy': 2, 'yuv422_yuy2': 2, 'yuyv': 2, 'nv12': 1, 'nv21': 1,
    'bayer_rggb8': 1, 'bayer_bggr8': 1, 'bayer_gbrg8': 1, 'bayer_grbg8': 1,
    '8UC1': 1, '8UC3': 3, '8UC4': 4,
}
#: What an OpenCV type is taken for.
OPENCV_TYPES = {'8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8'}
RAW_ENCODINGS = tuple(BYTES_PER_PIXEL)
#: Several pixels share one chroma sample: so many across, so many down.
CHROMA = {'yuv422': (2, 1), 'uyvy': (2, 1), 'yuv422_yuy2': (2, 1), 'yuyv': (2, 1),
          'nv12': (2, 2), 'nv21': (2, 2)}
#: Where U, Y and V stand in two pixels of packed 4:2:2.
PACKED_YUV = {'yuv422': 'uyvy', 'uyvy': 'uyvy', 'yuv422_yuy2': 'yuyv', 'yuyv': 'yuyv'}


def header(frame_id: str = 'camera', sec: int = 12, nanosec: int = 345) -> SimpleNamespace:
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)


def rows_of(encoding: str, height: int) -> int:
    return height + height // 2 if encoding in ('nv12', 'nv21') else height


def raw_message(encoding: str, width: int, height: int, data: Any = None, step: int = 0,
                bigendian: bool = False) -> SimpleNamespace:
    """A `sensor_msgs/Image`; without data, one of zeros."""
    step = step or width * BYTES_PER_PIXEL[encoding]
    if data is None:
        data = bytes(step * rows_of(encoding, height))
    return SimpleNamespace(header=header(), encoding=encoding, width=width, height=height,
                           step=step, is_bigendian=int(bigendian), data=data)


def noise_message(encoding: str, width: int, height: int, padding: int = 0, seed: int = 0,
                  bigendian: bool = False, bits: int = 16) -> SimpleNamespace:
    """A `sensor_msgs/Image` of random bytes; mono16 uses the lower `bits` of its 16."""
    random = np.random.default_rng(seed)
    step = width * BYTES_PER_PIXEL[encoding] + padding
    data = random.integers(0, 256, (rows_of(encoding, height), step), np.uint8)
    if encoding == 'mono16':
        values = random.integers(0, 2 ** bits, (height, width))
        data[:, :2 * width] = values.astype('>u2' if bigendian else '<u2').view(np.uint8)
    return raw_message(encoding, width, height, data.tobytes(), step, bigendian)


def smooth_bgr(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A picture of soft colored blobs: random, but like a camera's, without sharp edges."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def encode_bgr(encoding: str, bgr: np.ndarray) -> SimpleNamespace:
    """The message in which a camera of that encoding shows the picture `bgr` (even sizes)."""
    height, width = bgr.shape[:2]
    if encoding in ('jpeg', 'png'):
        return compressed_message(encoding, image_file(encoding, bgr))
    if encoding.startswith('bayer'):
        return raw_message(encoding, width, height, mosaic(encoding, bgr).tobytes())
    gray = bgr_to_gray(bgr)
    if encoding in ('mono8', '8UC1'):
        return raw_message(encoding, width, height, np.rint(gray).astype(np.uint8).tobytes())
    if encoding == 'mono16':  # as of a 12-bit camera
        return raw_message(encoding, width, height, np.rint(gray * 16).astype('<u2').tobytes())
    if encoding in CHROMA:
        across, down = CHROMA[encoding]
        yuv = np.clip(np.rint(bgr_to_yuv(bgr)), 0, 255).astype(np.uint8)
        return raw_message(encoding, width, height,
                           _pack_yuv(encoding, yuv[..., 0], yuv[::down, ::across, 1:]).tobytes())
    order = {'b': 0, 'g': 1, 'r': 2}
    pixels = np.full((height, width, BYTES_PER_PIXEL[encoding]), 200, np.uint8)
    for channel, color in enumerate(OPENCV_TYPES.get(encoding, encoding)[:3]):
        pixels[..., channel] = bgr[..., order[color]]
    return raw_message(encoding, width, height, pixels.tobytes())


def _pack_yuv(encoding: str, y: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    height, width = y.shape
    if encoding in PACKED_YUV:
        sites = PACKED_YUV[encoding]
        packed = np.zeros((height, width // 2, 4), np.uint8)
        packed[..., sites.index('y')::2] = y.reshape(height, width // 2, 2)
        packed[..., sites.index('u')] = chroma[..., 0]
        packed[..., sites.index('v')] = chroma[..., 1]
        return packed
    pairs = chroma if encoding == 'nv12' else chroma[..., ::-1]
    return np.concatenate([y, pairs.reshape(height // 2, width)])


def bgr_to_gray(bgr: np.ndarray) -> np.ndarray:
    return bgr.astype(float) @ (0.114, 0.587, 0.299)


def bgr_to_yuv(bgr: np.ndarray) -> np.ndarray:
    """BT.601, Y 16…235, as floats."""
    blue, green, red = (bgr[..., channel] / 255.0 for channel in range(3))
    luma = 0.114 * blue + 0.587 * green + 0.299 * red
    return np.stack([16 + 219 * luma, 128 + 112 * (blue - luma) / (1 - 0.114),
                     128 + 112 * (red - luma) / (1 - 0.299)], axis=-1)


def yuv_to_bgr(yuv: np.ndarray) -> np.ndarray:
    """The inverse of `bgr_to_yuv`; values beyond 0…255 are cut, the result is float."""
    luma = np.maximum(yuv[..., 0] - 16.0, 0) / 219  # less than 16 is black too
    blue = luma + (yuv[..., 1] - 128.0) / 112 * (1 - 0.114)
    red = luma + (yuv[..., 2] - 128.0) / 112 * (1 - 0.299)
    green = (luma - 0.114 * blue - 0.299 * red) / 0.587
    return np.clip(255 * np.stack([blue, green, red], axis=-1), 0, 255)


def mosaic(encoding: str, bgr: np.ndarray) -> np.ndarray:
    """What a sensor behind the color filters of a bayer encoding sees of `bgr`."""
    filters = encoding[len('bayer_'):-1]
    sensor = np.zeros(bgr.shape[:2], np.uint8)
    for site, color in enumerate(filters):
        row, column = divmod(site, 2)
        sensor[row::2, column::2] = bgr[row::2, column::2, 'bgr'.index(color)]
    return sensor


def buffer_rows(message: Any, data: Any = None) -> np.ndarray:
    """The rows of a raw message's data, (rows, step) uint8, padding included."""
    return np.frombuffer(message.data if data is None else data, np.uint8).reshape(
        rows_of(message.encoding, message.height), message.step)


def decoded(message: Any, data: Any = None) -> np.ndarray:
    """The picture of a raw message that is no bayer one, as (H, W, 3) float BGR.

    mono16 comes as its 16-bit values.
    """
    encoding, width, height = message.encoding, message.width, message.height
    size = BYTES_PER_PIXEL[encoding]
    rows = buffer_rows(message, data)[:, :width * size]
    if encoding in CHROMA:
        if encoding in PACKED_YUV:
            pairs = rows.reshape(height, width // 2, 4)
            sites = PACKED_YUV[encoding]
            y = pairs[..., sites.index('y')::2].reshape(height, width)
            chroma = pairs[..., [sites.index('u'), sites.index('v')]]
        else:
            y, below = rows[:height], rows[height:].reshape(height // 2, width // 2, 2)
            chroma = np.repeat(below if encoding == 'nv12' else below[..., ::-1], 2, axis=0)
        return yuv_to_bgr(np.dstack([y, np.repeat(chroma, 2, axis=1)]))
    if encoding == 'mono16':
        order = '>u2' if message.is_bigendian else '<u2'
        gray = np.ascontiguousarray(rows).view(order).astype(float)
        return np.repeat(gray[..., None], 3, axis=2)
    pixels = rows.reshape(height, width, size).astype(float)
    if size == 1:
        return np.repeat(pixels, 3, axis=2)
    order = OPENCV_TYPES.get(encoding, encoding)
    return pixels[..., [order.index(color) for color in 'bgr']]


def writable_bytes(message: Any, regions: Any) -> np.ndarray:
    """Which bytes of a raw message belong to pixels in the regions, (rows, step) bool."""
    size = BYTES_PER_PIXEL[message.encoding]
    allowed = np.zeros((rows_of(message.encoding, message.height), message.step), bool)
    for left, top, right, bottom in regions:
        for byte in range(3 if size == 4 else size):  # never alpha
            allowed[top:bottom, left * size + byte:right * size:size] = True
        if message.encoding in ('nv12', 'nv21'):
            allowed[message.height + top // 2:message.height + bottom // 2, left:right] = True
    return allowed


def is_aligned(encoding: str, region: Region) -> bool:
    across, down = CHROMA.get(encoding, (1, 1))
    return not (region.left % across or region.right % across
                or region.top % down or region.bottom % down)


def compressed_message(image_format: str, data: Any) -> SimpleNamespace:
    """A `sensor_msgs/CompressedImage`."""
    return SimpleNamespace(header=header(), format=image_format, data=data)


def image_file(file_format: str, image: np.ndarray, *options: int) -> bytes:
    return bytes(cv2.imencode({'jpeg': '.jpg', 'png': '.png'}[file_format], image,
                              list(options))[1].tobytes())


def png_chunk(name: bytes, content: bytes) -> bytes:
    return (struct.pack('>I', len(content)) + name + content
            + struct.pack('>I', zlib.crc32(name + content)))


def png_with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """The PNG file with more chunks behind its header."""
    header_end = 8 + 25
    return png[:header_end] + b''.join(chunks) + png[header_end:]


def exif(orientation: int = 1, thumbnail: bytes = b'') -> bytes:
    """EXIF data with a camera's name, a place and, where given, a thumbnail; big endian."""
    def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
        return struct.pack('>HHI', tag, kind, count) + value.ljust(4, b'\0')

    name = b'Secret Camera Name\0'
    place = struct.pack('>6I', 40, 1, 26, 1, 46, 1)
    # The header, the first directory with 3 entries, and what it points to.
    name_at = 8 + 2 + 3 * 12 + 4
    gps_at = name_at + len(name)
    place_at = gps_at + 2 + 2 * 12 + 4
    second_at = place_at + len(place)
    thumbnail_at = second_at + 2 + 2 * 12 + 4
    long = struct.Struct('>I').pack
    return (b'MM\0\x2a' + long(8)
            + struct.pack('>H', 3)
            + entry(0x010f, 2, len(name), long(name_at))
            + entry(0x0112, 3, 1, struct.pack('>H', orientation))
            + entry(0x8825, 4, 1, long(gps_at))
            + long(second_at if thumbnail else 0) + name
            + struct.pack('>H', 2) + entry(1, 2, 2, b'N\0') + entry(2, 5, 3, long(place_at))
            + long(0) + place
            + struct.pack('>H', 2) + entry(0x0201, 4, 1, long(thumbnail_at))
            + entry(0x0202, 4, 1, long(len(thumbnail))) + long(0) + thumbnail)


def jpeg_with_exif(jpeg: bytes, data: bytes) -> bytes:
    content = b'Exif\0\0' + data
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(content) + 2) + content + jpeg[2:]
