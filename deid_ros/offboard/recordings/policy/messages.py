# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Serialized image messages: opened, and given new pixels with every other byte left as it was."""

import dataclasses
import functools
import struct
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from deid_ros.core.errors import CodecError
from deid_ros.offboard.recordings.formats.recording import CDR, FILE, ROS1

# What rosbags raises where bytes are not what they should be.
_LIBRARY_ERRORS = (SerdeError, AssertionError, IndexError, ValueError, OverflowError, struct.error)

# CDR payloads may be padded to a multiple of four.
_MOST_PADDING = 3


class Kind(NamedTuple):
    """How an image is serialized."""

    #: A message's type; the suffix of a file; width and height of a video's frame, as `640x480`.
    type: str
    #: `cdr`, `ros1`, `file` or `bgr8`.
    encoding: str


class ImageMessage:
    """A serialized `sensor_msgs/Image` or `CompressedImage`, open for reading.

    :param serialized: the message as it was recorded.
    :raises CodecError: it is no such message.
    """

    def __init__(self, kind: Kind, serialized: bytes | memoryview) -> None:
        store = standard_types(kind.encoding)
        self._serialized = memoryview(serialized)
        try:
            fields: Any = (store.deserialize_cdr(serialized, kind.type) if kind.encoding == CDR
                           else store.deserialize_ros1(serialized, kind.type))
            empty = dataclasses.replace(fields, data=np.empty(0, np.uint8))
            # In both types the data come last, after their length. So what precedes them is as
            # long as the message without data.
            if kind.encoding == CDR:
                head = store.serialize_cdr(empty, kind.type,
                                           little_endian=bool(self._serialized[1]))
            else:
                head = store.serialize_ros1(empty, kind.type)
        except _LIBRARY_ERRORS as error:
            raise CodecError('data', f'the message is no {kind.type}: {error}') from error
        #: The message with all its fields.
        self.fields = fields
        self._length_at = len(head) - 4
        self._order: Literal['little', 'big'] = (
            'little' if kind.encoding == ROS1 or self._serialized[1] else 'big')
        length = int.from_bytes(self._serialized[self._length_at:len(head)], self._order)
        surplus = len(self._serialized) - len(head) - length
        if length != len(fields.data) or not 0 <= surplus <= _MOST_PADDING:
            raise CodecError('data', f'the message is no {kind.type}: its length does not fit')

    @property
    def stamp(self) -> int:
        """Return the header's stamp, in nanoseconds."""
        stamp = self.fields.header.stamp
        return int(stamp.sec) * 10**9 + int(stamp.nanosec)

    def with_data(self, data: memoryview) -> tuple[bytes | memoryview, ...]:
        """Return the serialized message with other data, in parts: a frame is large to copy."""
        # Without the padding behind the data, which nobody needs and anything could be in.
        return (self._serialized[:self._length_at], len(data).to_bytes(4, self._order), data)


class PlainImage:
    """An image file or a frame of a video, as if it were a message.

    :param time: in nanoseconds, for the header.
    :raises CodecError: it is no image that can be anonymized.
    """

    def __init__(self, kind: Kind, serialized: bytes | memoryview, time: int) -> None:
        self.stamp = time
        header = SimpleNamespace(stamp=SimpleNamespace(sec=time // 10**9, nanosec=time % 10**9),
                                 frame_id='')
        self._suffix = ''
        if kind.encoding == FILE and kind.type in _CODEC_SUFFIXES:
            self.fields = SimpleNamespace(header=header, format=_CODEC_SUFFIXES[kind.type],
                                          data=serialized)
            return
        if kind.encoding == FILE:
            self._suffix = kind.type
            pixels = cv2.imdecode(np.frombuffer(serialized, np.uint8), cv2.IMREAD_COLOR)
            if pixels is None:
                raise CodecError('data', f'the {kind.type} file cannot be decoded')
            self._shape = pixels.shape
            data: Any = pixels.reshape(-1)
        else:
            width, height = map(int, kind.type.split('x'))
            self._shape, data = (height, width, 3), serialized
        height, width = self._shape[:2]
        self.fields = SimpleNamespace(header=header, encoding='bgr8', width=width, height=height,
                                      step=3 * width, is_bigendian=0, data=data)

    def with_data(self, data: memoryview) -> tuple[bytes | memoryview, ...]:
        """Return the image with other data, as a file of its kind, or as pixels; in parts."""
        if not self._suffix:
            return (data,)
        done, content = cv2.imencode(
            self._suffix, np.frombuffer(data, np.uint8).reshape(self._shape))
        if not done:
            raise CodecError('size', f'the image cannot be written as {self._suffix}')
        return (content.tobytes(),)


#: Suffixes of the files that the frame path reads and writes by itself.
_CODEC_SUFFIXES = {'.jpg': 'jpeg', '.jpeg': 'jpeg', '.png': 'png'}


AnyImage: TypeAlias = ImageMessage | PlainImage


def opened(kind: Kind, serialized: bytes | memoryview, time: int) -> AnyImage:
    """Open an image of any kind.

    :param time: in nanoseconds, for images without a header.
    :raises CodecError: it is none, or of another kind.
    """
    if kind.encoding in (CDR, ROS1):
        return ImageMessage(kind, serialized)
    return PlainImage(kind, serialized, time)


@functools.cache
def standard_types(encoding: str) -> Typestore:
    """Return the types of ROS 2 (`cdr`) or ROS 1 (`ros1`); those used here never changed."""
    return get_typestore(Stores.ROS1_NOETIC if encoding == ROS1 else Stores.ROS2_HUMBLE)
