# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pairs of an original and an anonymized recording: folders, tars, videos, or bags.

Both must hold the same frames. Names, counts, topics, stamps or sizes that differ, and images that
cannot be read, raise `SourceError`, since figures over a part of them would be wrong.
"""

import json
import tarfile
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from deid_ros.core.errors import CodecError, DeidError
from deid_ros.core.faces import Region
from deid_ros.core.image_codec import open_image
from deid_ros.offboard.common.datasets import decoded, encoded_images

#: Where the node publishes what it makes of a topic.
PREFIX = '/deid'
_IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
_BAG_SUFFIXES = ('.bag', '.db3', '.mcap')
# The messages used are the same from Humble on.
_TYPES = get_typestore(Stores.ROS2_HUMBLE)


class SourceError(DeidError):
    """A source cannot be read, or two do not match; the message says which and why."""


class FramePair(NamedTuple):
    """A frame before and after, (H, W, 3) uint8 BGR each, of the same size.

    `name` identifies the frame. `person` is the folder of its file, if any. `treated` are the
    regions in the anonymizer's report; None if there is no report.
    """

    name: str
    person: str
    before: np.ndarray
    after: np.ndarray
    treated: list[Region] | None = None


def frame_pairs(original: Path, anonymized: Path, topics: Sequence[str] = (), *,
                may_lack_frames: bool = False) -> Iterator[FramePair]:
    """Yield the frames of two sources of the same kind, in pairs.

    :param topics: of bags; if empty, all image topics of the original.
    :param may_lack_frames: whether the anonymized bag may lack messages, as a live recording does
        if the node withheld or superseded frames.
    :raises SourceError: a source is missing, unreadable or empty, or does not match the other one.
    """
    kinds = [_kind(path) for path in (original, anonymized)]
    if kinds[0] != kinds[1]:
        raise SourceError(f'{original} is a {kinds[0]}, {anonymized} a {kinds[1]}; both must be '
                          'images, videos, or bags')
    if kinds[0] == 'bag':
        pairs = _bag_pairs(original, anonymized, topics, may_lack_frames)
    elif topics or may_lack_frames:
        raise SourceError(f'--topics and --may-lack-frames are for bags, and {original} is none')
    else:
        pairs = (_image_pairs if kinds[0] == 'set of images' else _video_pairs)(
            original, anonymized)
    empty = True
    for pair in pairs:
        empty = False
        if pair.before.shape != pair.after.shape:
            raise SourceError(f'{pair.name} is {_size(pair.before)} in {original}, but '
                              f'{_size(pair.after)} in {anonymized}')
        yield pair
    if empty:
        raise SourceError(f'{original} and {anonymized} hold no image')


def _size(image: np.ndarray) -> str:
    return f'{image.shape[1]} × {image.shape[0]}'


def _kind(path: Path) -> str:
    if not path.exists():
        raise SourceError(f'there is no {path}')
    if path.suffix in _BAG_SUFFIXES or (path / 'metadata.yaml').is_file():
        return 'bag'
    return 'set of images' if path.is_dir() or tarfile.is_tarfile(path) else 'video'


def _image_pairs(original: Path, anonymized: Path) -> Iterator[FramePair]:
    """Match files by their path without the suffix: a JPEG may have become a PNG."""
    for before, after in zip_longest(encoded_images(original), encoded_images(anonymized)):
        names = [str(PurePosixPath(each[0]).with_suffix('')) if each else None
                 for each in (before, after)]
        if names[0] != names[1]:
            lacking = min(filter(None, names))
            raise SourceError(f'{original} and {anonymized} do not hold the same images: '
                              f'{lacking} is in one of them only')
        yield FramePair(before[0], str(PurePosixPath(before[0]).parent),
                        _image(original, *before), _image(anonymized, *after))


def _image(source: Path, name: str, content: bytes) -> np.ndarray:
    try:
        return decoded(name, content)
    except ValueError as error:
        raise SourceError(f'{source}: {error}') from error


def _video_frames(path: Path) -> Iterator[np.ndarray]:
    video = cv2.VideoCapture(str(path))
    read, frame = video.read()
    if not read:
        raise SourceError(f'{path} cannot be read as a video, a tar of images, or a bag')
    while read:
        yield frame
        read, frame = video.read()


def _video_pairs(original: Path, anonymized: Path) -> Iterator[FramePair]:
    pairs = zip_longest(_video_frames(original), _video_frames(anonymized))
    for number, (before, after) in enumerate(pairs):
        if before is None or after is None:
            raise SourceError(f'{anonymized if after is None else original} ends after {number} '
                              'frames, the other video does not')
        yield FramePair(f'frame {number}', '', before, after)


class _Message(NamedTuple):
    """A message with a header: its stamp in nanoseconds, and all of it."""

    stamp: int
    content: Any


class _Bag:
    """A bag of ROS 1 or ROS 2 that is open for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = AnyReader([path], default_typestore=_TYPES)

    def __enter__(self) -> '_Bag':
        try:
            self._reader.open()
        except (AnyReaderError, OSError, ValueError) as error:
            raise SourceError(f'{self.path} cannot be read as a bag: {error}') from error
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def topics(self, types: Sequence[str]) -> list[str]:
        """Return the topics of these message types, sorted."""
        return sorted({one.topic for one in self._reader.connections if one.msgtype in types})

    def images(self, topic: str) -> Iterator[_Message]:
        """Yield the messages of an image topic in the order of recording."""
        for connection, content in self._messages(topic, _IMAGES):
            message: Any = self._reader.deserialize(content, connection.msgtype)
            stamp = message.header.stamp
            yield _Message(stamp.sec * 10**9 + stamp.nanosec, message)

    def reports(self, topic: str) -> dict[int, list[Region]]:
        """Return the regions that the node's reports name, by the stamp of the frame."""
        regions = {}
        for connection, content in self._messages(f'{topic}/report', ('std_msgs/msg/String',)):
            message: Any = self._reader.deserialize(content, connection.msgtype)
            report = json.loads(message.data)
            stamp = report['stamp']['sec'] * 10**9 + report['stamp']['nanosec']
            regions[stamp] = [Region(*face['region']) for face in report['faces']]
        return regions

    def _messages(self, topic: str, types: Sequence[str]) -> Iterator[tuple[Connection, bytes]]:
        connections = [one for one in self._reader.connections
                       if one.topic == topic and one.msgtype in types]
        if connections:
            for connection, _, content in self._reader.messages(connections):
                yield connection, content


def _bag_pairs(original: Path, anonymized: Path, topics: Sequence[str], may_lack_frames: bool
               ) -> Iterator[FramePair]:
    with _Bag(original) as before, _Bag(anonymized) as after:
        there = before.topics(_IMAGES)
        unknown = sorted(set(topics) - set(there))
        if unknown or not there:
            raise SourceError(f'{original} has no image topic {", ".join(unknown)}'.rstrip()
                              + f', only {", ".join(there) or "others"}')
        for topic in topics or there:
            yield from _topic_pairs(before, after, topic, may_lack_frames)


def _topic_pairs(before: _Bag, after: _Bag, topic: str, may_lack_frames: bool
                 ) -> Iterator[FramePair]:
    names = [name for name in (PREFIX + topic, topic) if name in after.topics(_IMAGES)]
    if not names:
        raise SourceError(f'{after.path} has neither {PREFIX + topic} nor {topic}, only the '
                          f'image topics {", ".join(after.topics(_IMAGES)) or "none"}')
    reports = after.reports(names[0])
    originals = before.images(topic)
    for new in after.images(names[0]):
        old = next(originals, None)
        while may_lack_frames and old is not None and old.stamp != new.stamp:
            old = next(originals, None)
        if old is None or old.stamp != new.stamp:
            raise SourceError(f'{names[0]} in {after.path} has a message with the stamp '
                              f'{_seconds(new.stamp)}, where {topic} in {before.path} has '
                              + (_seconds(old.stamp) if old else 'none'))
        yield FramePair(f'{topic} {_seconds(new.stamp)}', '', _opened(before, topic, old),
                        _opened(after, names[0], new), reports.get(new.stamp))
    rest = sum(1 for _ in originals)
    if rest and not may_lack_frames:
        raise SourceError(f'{names[0]} in {after.path} has {rest} messages less than {topic} in '
                          f'{before.path}')


def _opened(bag: _Bag, topic: str, message: _Message) -> np.ndarray:
    try:
        return open_image(message.content).bgr
    except CodecError as error:
        raise SourceError(f'{topic} {_seconds(message.stamp)} in {bag.path} cannot be opened: '
                          f'{error}. Name the topics to compare with --topics.') from error


def _seconds(stamp: int) -> str:
    return f'{stamp // 10**9}.{stamp % 10**9:09d}'
