# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pixel encodings of `sensor_msgs/Image` that can be opened, and their colors.

Each encoding reads a whole message as BGR and writes a region of BGR back in its own form. The
names are those of `sensor_msgs/image_encodings.hpp`, and `nv12`, which cameras use though the list
lacks it. YUV is BT.601 in limited range (Y 16…235), as OpenCV and the V4L2 drivers have it.
"""

from typing import Dict, NamedTuple, Tuple

import cv2
import numpy as np

from deid_ros.core.faces import Region

# ITU-R BT.601, limited range, full-range BGR in: rows Y, U, V; columns B, G, R, constant.
_BGR_TO_YUV = np.array([[0.098, 0.504, 0.257, 16.0],
                        [0.439, -0.291, -0.148, 128.0],
                        [-0.071, -0.368, 0.439, 128.0]], np.float32)


class Depth(NamedTuple):
    """How the values of an image are meant."""

    #: The first byte of a value of two is the higher one.
    bigendian: bool
    #: The value that shows as full white.
    white: float


class Encoding:
    """One way in which a message keeps its pixels.

    `pixels` arguments are views of the message's buffer, (rows, W, bytes per pixel) uint8, without
    the padding that `step` may add to a row.
    """

    #: Bytes of one row of pixels, divided by their number.
    bytes_per_pixel = 1
    #: Regions start and end at multiples of these, so that no two pixels of which only one is in
    #: the region share a chroma sample.
    align_x = 1
    align_y = 1

    def rows(self, height: int) -> int:
        """Return the rows of `step` bytes that an image of `height` pixels takes."""
        return height

    def depth(self, pixels: np.ndarray, bigendian: bool) -> Depth:
        """Return how an image's values are meant, measured before anything is written."""
        return Depth(bigendian, 255.0)

    def to_bgr(self, pixels: np.ndarray, depth: Depth) -> np.ndarray:
        """Return the image as (H, W, 3) uint8 BGR; it may share memory with `pixels`."""
        raise NotImplementedError

    def write(self, pixels: np.ndarray, bgr: np.ndarray, region: Region, depth: Depth) -> None:
        """Put `bgr`, the (h, w, 3) uint8 pixels of an aligned region, into `pixels`."""
        raise NotImplementedError


class _Bgr(Encoding):
    bytes_per_pixel = 3

    def to_bgr(self, pixels: np.ndarray, depth: Depth) -> np.ndarray:
        return pixels

    def write(self, pixels: np.ndarray, bgr: np.ndarray, region: Region, depth: Depth) -> None:
        pixels[region.slices] = bgr


class _Color(Encoding):
    """8-bit RGB, RGBA or BGRA; the alpha channel stays as it is."""

    def __init__(self, bytes_per_pixel: int, to_bgr_code: int, red_first: bool) -> None:
        self.bytes_per_pixel = bytes_per_pixel
        self._to_bgr_code = to_bgr_code
        self._red_first = red_first

    def to_bgr(self, pixels: np.ndarray, depth: Depth) -> np.ndarray:
        return cv2.cvtColor(pixels, self._to_bgr_code)

    def write(self, pixels: np.ndarray, bgr: np.ndarray, region: Region, depth: Depth) -> None:
        pixels[region.slices][..., :3] = bgr[..., ::-1] if self._red_first else bgr


class _Mono8(Encoding):
    def to_bgr(self, pixels: np.ndarray, depth: Depth) -> np.ndarray:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)

    def write(self, pixels: np.ndarray, bgr: np.ndarray, region: Region, depth: Depth) -> None:
        pixels[region.slices][..., 0] = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)


class _Mono16(Encoding):
    """16-bit gray of a camera.

    The message does not say how many of the 16 bits the camera fills (8, 10, 12 and 16 are all
    common), and a 10-bit picture read as a 16-bit one is black: its faces would be missed. So the
    white point is measured, as the 99.9th percentile, which a few hot pixels do not move.
    """

    bytes_per_pixel = 2

    def depth(self, pixels: np.ndarray, bigendian: bool) -> Depth:
        sample = self._image(pixels[::4, ::4], bigendian)
        return Depth(bigendian, max(1.0, float(np.percentile(sample, 99.9))))

    def to_bgr(self, pixels: np.ndarray, depth: Depth) -> np.ndarray:
        gray = cv2.convertScaleAbs(self._image(pixels, depth.bigendian), alpha=255.0 / depth.white)
        return cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)

    def write(self, pixels: np.ndarray, bgr: np.ndarray, region: Region, depth: Depth) -> None:
        gray = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        image = np.rint(gray * (depth.white / 255.0)).astype(np.uint16)
        target = pixels[region.slices]
        target[..., 0 if depth.bigendian else 1] = image >> 8
        target[..., 1 if depth.bigendian else 0] = image & 255

    @staticmethod
    def _image(pixels: np.ndarray, bigendian: bool) -> np.ndarray:
        high, low = (0, 1) if bigendian else (1, 0)
        return pixels[..., high] * np.uint16(256) + pixels[..., low]


class _Yuv422(Encoding):
    """Packed 4:2:2: each pixel has its own Y, every other one U and the rest V."""

    bytes_per_pixel = 2
    align_x = 2

    def __init__(self, to_bgr_code: int, y_byte: int) -> None:
        self._to_bgr_code = to_bgr_code
        self._y_byte = y_byte

    def to_bgr(self, pixels: np.ndarray, depth: Depth) -> np.ndarray:
        return cv2.cvtColor(pixels, self._to_bgr_code)

    def write(self, pixels: np.ndarray, bgr: np.ndarray, region: Region, depth: Depth) -> None:
        yuv = cv2.transform(bgr, _BGR_TO_YUV)
        chroma = cv2.resize(yuv, (bgr.shape[1] // 2, bgr.shape[0]), interpolation=cv2.INTER_AREA)
        target = pixels[region.slices]
        target[..., self._y_byte] = yuv[..., 0]
        target[:, 0::2, 1 - self._y_byte] = chroma[..., 1]
        target[:, 1::2, 1 - self._y_byte] = chroma[..., 2]


class _Yuv420(Encoding):
    """NV12 and NV21: a plane of Y; below it, half as high, one of U and V (V and U) in turn."""

    align_x = 2
    align_y = 2

    def __init__(self, to_bgr_code: int, u_column: int) -> None:
        self._to_bgr_code = to_bgr_code
        self._u_column = u_column

    def rows(self, height: int) -> int:
        return height + height // 2

    def to_bgr(self, pixels: np.ndarray, depth: Depth) -> np.ndarray:
        return cv2.cvtColor(pixels, self._to_bgr_code)

    def write(self, pixels: np.ndarray, bgr: np.ndarray, region: Region, depth: Depth) -> None:
        yuv = cv2.transform(bgr, _BGR_TO_YUV)
        chroma = cv2.resize(yuv, (bgr.shape[1] // 2, bgr.shape[0] // 2),
                            interpolation=cv2.INTER_AREA)
        pixels[region.slices][..., 0] = yuv[..., 0]
        top = pixels.shape[0] * 2 // 3 + region.top // 2
        target = pixels[top:top + chroma.shape[0], region.left:region.right, 0]
        target[:, self._u_column::2] = chroma[..., 1]
        target[:, 1 - self._u_column::2] = chroma[..., 2]


class _Bayer8(Encoding):
    """One 8-bit color a pixel behind a 2 × 2 color filter; `filters` spells its two rows."""

    def __init__(self, to_bgr_code: int, filters: str) -> None:
        self._to_bgr_code = to_bgr_code
        self._channels = ['bgr'.index(color) for color in filters]

    def to_bgr(self, pixels: np.ndarray, depth: Depth) -> np.ndarray:
        return cv2.cvtColor(pixels, self._to_bgr_code)

    def write(self, pixels: np.ndarray, bgr: np.ndarray, region: Region, depth: Depth) -> None:
        target = pixels[region.slices][..., 0]
        for site, channel in enumerate(self._channels):
            row, column = (region.top + site // 2) % 2, (region.left + site % 2) % 2
            target[row::2, column::2] = bgr[row::2, column::2, channel]


# OpenCV names a Bayer pattern by pixels two and three of row two, ROS by the first two rows.
ENCODINGS: Dict[str, Encoding] = {
    'bgr8': _Bgr(),
    'rgb8': _Color(3, cv2.COLOR_RGB2BGR, red_first=True),
    'bgra8': _Color(4, cv2.COLOR_BGRA2BGR, red_first=False),
    'rgba8': _Color(4, cv2.COLOR_RGBA2BGR, red_first=True),
    'mono8': _Mono8(),
    'mono16': _Mono16(),
    'yuv422': _Yuv422(cv2.COLOR_YUV2BGR_UYVY, y_byte=1),
    'uyvy': _Yuv422(cv2.COLOR_YUV2BGR_UYVY, y_byte=1),
    'yuv422_yuy2': _Yuv422(cv2.COLOR_YUV2BGR_YUY2, y_byte=0),
    'yuyv': _Yuv422(cv2.COLOR_YUV2BGR_YUY2, y_byte=0),
    'nv12': _Yuv420(cv2.COLOR_YUV2BGR_NV12, u_column=0),
    'nv21': _Yuv420(cv2.COLOR_YUV2BGR_NV21, u_column=1),
    'bayer_rggb8': _Bayer8(cv2.COLOR_BayerBG2BGR, 'rggb'),
    'bayer_bggr8': _Bayer8(cv2.COLOR_BayerRG2BGR, 'bggr'),
    'bayer_gbrg8': _Bayer8(cv2.COLOR_BayerGR2BGR, 'gbrg'),
    'bayer_grbg8': _Bayer8(cv2.COLOR_BayerGB2BGR, 'grbg'),
}
# OpenCV's types, which say nothing of colors. `cv_bridge.cv2_to_imgmsg` names them unless it is
# told better, for arrays that OpenCV's readers, and so most programs, have in BGR.
ENCODINGS.update({'8UC1': ENCODINGS['mono8'], '8UC3': ENCODINGS['bgr8'],
                  '8UC4': ENCODINGS['bgra8']})


def supported() -> Tuple[str, ...]:
    """Return the names of all encodings that can be opened, sorted."""
    return tuple(sorted(ENCODINGS))
