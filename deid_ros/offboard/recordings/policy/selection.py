# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What becomes of each topic: anonymized, copied or left out, and why.

Images are anonymized. What carries pictures that cannot be opened here is left out, unless the user
names it; and what cannot be told from its definition is taken for such a one.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mcap.records import Attachment

from deid_ros.core.errors import CodecError
from deid_ros.core.image_codec import open_image
from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.formats.recording import (
    CDR,
    FILE,
    IMAGE_TYPES,
    ROS1,
    VIDEO,
    Channel,
    Recording,
)
from deid_ros.offboard.recordings.policy.definitions import Types, full_name, types_of
from deid_ros.offboard.recordings.policy.messages import (
    ImageMessage,
    Kind,
    standard_types,
)

ANONYMIZE, COPY, LEAVE_OUT = 'anonymize', 'copy', 'leave out'
#: The reason for a copy that the user has asked for.
KEPT = 'as it is, by --keep'

# Byte arrays that are no pictures, though their neighbours look like it.
_NO_PICTURES = {
    'sensor_msgs/msg/PointCloud2', 'nav_msgs/msg/OccupancyGrid', 'map_msgs/msg/OccupancyGridUpdate',
}
# What is nested deeper holds itself, which no message can.
_DEEPEST = 64
# Pictures, though nothing in their definition says so.
_VIDEO = {'theora_image_transport/msg/Packet'}
_BYTES = {'uint8', 'int8', 'byte', 'char', 'octet'}
_NUMBERS = _BYTES | {'uint16', 'int16', 'uint32', 'int32', 'float32'}
# Beside a byte array, a field of this name tells how to read it.
_FORMATS = re.compile(r'format(?!ion)|encoding|codec|compression|pix_?fmt|mime|media_type', re.I)
_SIZES = re.compile(r'(?:image|img|frame|video|camera)?_?(width|height|rows|cols)(?:_?px|_pixels)?',
                    re.I)
_PICTURE_WORDS = re.compile(
    r'image|img|picture|photo|video|frame_?data|thumbnail|jpe?g|png|webp|h26[45]|hevc|av1|pixels?|'
    r'texture|screenshot', re.I)
# Files that show something, or in which others may be that do.
_PICTURE_FILES = re.compile(
    r'\.(jpe?g|png|webp|bmp|tiff?|gif|svg|hei[cf]|avif|mp4|m4v|mkv|avi|mov|webm|pdf|'
    r'mcap|db3|bag|zip|tar|t?gz|t?bz2|t?xz|7z|rar|zst|lz4)$', re.I)
_PICTURE_STARTS = re.compile(
    rb'\xff\xd8\xff|\x89PNG|RIFF|BM|GIF8|II\*\x00|MM\x00\*|....ftyp|\x1a\x45\xdf\xa3|%PDF|'
    rb'\x89MCAP|SQLite format 3|#ROSBAG|PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|'
    rb'\x28\xb5\x2f\xfd|\x04\x22\x4d\x18', re.S)
# What gives pictures and videos away among other bytes: the starts of JPEG, PNG, WebP and MP4
# files, and of streams of H.264 and H.265.
_PICTURE_WITHIN = re.compile(
    rb'\xff\xd8\xff[\xc0-\xfe]|\x89PNG\r\n\x1a\n|RIFF....WEBP|ftyp(?:avif|hei|iso|mp4|qt)|'
    rb'\x00\x00\x00\x01(?:[\x27\x47\x67]|[\x40\x42]\x01)', re.S)


class Rules(NamedTuple):
    """What the user wants of the topics; patterns must match a topic's whole name."""

    topics: str = ''
    exclude: str = ''
    #: Names of topics and attachments to copy, whatever they show.
    keep: frozenset[str] = frozenset()


class Decision(NamedTuple):
    """What becomes of a channel, and why."""

    action: str
    reason: str = ''


def decide(recording: Recording, rules: Rules) -> list[Decision]:
    """Return what becomes of each channel of a recording.

    :raises BagError: a rule is no pattern, or fits nothing.
    """
    names = {channel.topic for channel in recording.channels}
    wanted, unwanted = _pattern('--topics', rules.topics), _pattern('--exclude', rules.exclude)
    for option, pattern in (('--topics', wanted), ('--exclude', unwanted)):
        if pattern and not any(pattern.fullmatch(name) for name in names):
            raise BagError(f'{option} {pattern.pattern!r} matches no topic. There are: '
                           f'{", ".join(sorted(names))}. A pattern must match the whole name.')
    decisions = []
    for index, channel in enumerate(recording.channels):
        if wanted and not wanted.fullmatch(channel.topic):
            decisions.append(Decision(LEAVE_OUT, 'not matched by --topics'))
        elif unwanted and unwanted.fullmatch(channel.topic):
            decisions.append(Decision(LEAVE_OUT, 'matched by --exclude'))
        elif channel.topic in rules.keep:
            decisions.append(Decision(COPY, KEPT))
        else:
            decisions.append(_by_content(recording, index))
    return decisions


def check_kept(names: Iterable[str], channels: Sequence[Channel], attachments: Iterable[str]
               ) -> None:
    """Check that every name to keep is that of a topic or attachment.

    :raises BagError: one is not.
    """
    unknown = set(names) - {channel.topic for channel in channels} - set(attachments)
    if unknown:
        raise BagError(f'--keep: the recording has no topic or attachment named '
                       f'{", ".join(sorted(unknown))}.')


def is_picture(attachment: Attachment) -> bool:
    """Tell whether an attachment may show something, by its type, its name or its first bytes.

    Archives and recordings may, as nobody looks into them here.
    """
    return (attachment.media_type.lower().startswith(('image/', 'video/'))
            or bool(_PICTURE_FILES.search(attachment.name))
            or bool(_PICTURE_STARTS.match(attachment.data)))


def kind_of(channel: Channel) -> Kind:
    """Return how the image messages of a channel are serialized."""
    return Kind(full_name(channel.type), channel.encoding)


def _pattern(option: str, text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise BagError(f'{option} {text!r} is no regular expression: {error}.') from error


def _by_content(recording: Recording, index: int) -> Decision:
    channel = recording.channels[index]
    if channel.encoding in (FILE, VIDEO):
        return Decision(ANONYMIZE)
    if channel.encoding not in (CDR, ROS1):
        return Decision(LEAVE_OUT, f'messages encoded as {channel.encoding or "nothing known"} '
                                   'cannot be looked into')
    name = full_name(channel.type)
    if name in _VIDEO:
        return Decision(LEAVE_OUT, 'video, which cannot be opened')
    types = types_of(channel)
    if types is None:
        return Decision(LEAVE_OUT, f'what a {name} holds is not known: neither the '
                                   'recording nor ROS defines it')
    if name in IMAGE_TYPES:
        return _image(recording, index, types)
    place = picture_in(name, types)
    if place:
        return Decision(LEAVE_OUT, f'its field {place} may be a picture, which cannot be opened')
    place = bytes_in(name, types)
    if not place:
        return Decision(COPY)
    message = recording.first(index)
    if message is not None and _PICTURE_WITHIN.search(message.data):
        return Decision(LEAVE_OUT, f'the bytes in its field {place} look like a picture')
    return Decision(COPY, f'what the bytes in {place} mean, its definition does not say')


def _image(recording: Recording, index: int, types: Types) -> Decision:
    channel = recording.channels[index]
    standard = {name: [name for name, _ in fields] for name, (_, fields)
                in standard_types(channel.encoding).fielddefs.items()}
    name = full_name(channel.type)
    if [field.name for field in types[name]] != standard[name]:
        return Decision(LEAVE_OUT, f'its {name} is not that of ROS')
    message = recording.first(index)
    if message is not None:
        try:
            open_image(ImageMessage(kind_of(channel), message.data).fields)
        except CodecError as error:
            if error.reason == 'encoding':
                return Decision(LEAVE_OUT, str(error))
            # Only this one is damaged, it may be; each frame is looked at by itself.
    return Decision(ANONYMIZE)


def picture_in(name: str, types: Types, path: str = '') -> str:
    """Return where a type may hold a picture, as the path of a field; empty where it does not.

    It may where it holds an image message, or an array of bytes whose neighbours or name say so:
    a field named like a format, or a width and a height.
    """
    if name in _NO_PICTURES:
        return ''
    if (name in IMAGE_TYPES or name in _VIDEO or name not in types
            or path.count('.') > _DEEPEST):
        return path or '.'
    fields = types[name]
    has_format = any('/' not in field.type and _FORMATS.search(field.name) for field in fields)
    sizes = {match[1].lower() for field in fields if (match := _SIZES.fullmatch(field.name))}
    has_size = {'width', 'height'} <= sizes or {'rows', 'cols'} <= sizes
    for field in fields:
        here = f'{path}.{field.name}' if path else field.name
        if field.is_array and field.type in _NUMBERS:
            is_bytes = field.type in _BYTES
            words = _PICTURE_WORDS.search(field.name) or _PICTURE_WORDS.search(name.split('/')[-1])
            if has_size or (is_bytes and (has_format or words)):
                return here
        elif '/' in field.type:
            below = picture_in(field.type, types, here)
            if below:
                return below
    return ''


def bytes_in(name: str, types: Types, path: str = '') -> str:
    """Return where a type holds an array of bytes, as the path of a field; empty where nowhere."""
    if name in _NO_PICTURES:
        return ''
    for field in types.get(name, []):
        here = f'{path}.{field.name}' if path else field.name
        if field.is_array and field.type in _BYTES:
            return here
        below = bytes_in(field.type, types, here) if '/' in field.type else ''
        if below:
            return below
    return ''
