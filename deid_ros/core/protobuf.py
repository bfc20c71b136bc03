# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The wire format of Protocol Buffers, as far as ONNX files need it.

A message is a sequence of fields, each a tag (number × 8 + wire type) and a value. Reading and
writing these few files so takes a package less on the robot.
"""

from typing import Iterator, Tuple

# Wire types: a number in groups of 7 bits; 8 bytes; a length and so many bytes; 4 bytes.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(message: bytes) -> Iterator[Tuple[int, bytes, bytes]]:
    """Yield number, all bytes, and content (of a field with a length) of each field.

    :raises ValueError: the message is none.
    """
    position = 0
    while position < len(message):
        start = position
        tag, position = _read_varint(message, position)
        wire_type = tag & 7
        content = position
        if wire_type == VARINT:
            _, position = _read_varint(message, position)
        elif wire_type == BYTES:
            length, content = _read_varint(message, position)
            position = content + length
        elif wire_type in (FIXED32, FIXED64):
            position += 4 if wire_type == FIXED32 else 8
        else:
            raise ValueError(f'not an ONNX file: wire type {wire_type} at byte {start}')
        if position > len(message):
            raise ValueError(f'the ONNX file is cut off: a field at byte {start} has no end')
        yield tag >> 3, message[start:position], message[content:position]


def field(number: int, content: bytes) -> bytes:
    """Return a field with a length: a text in UTF-8, bytes, or another message."""
    return field_head(number, len(content)) + content


def field_head(number: int, length: int) -> bytes:
    """Return what stands before the content of a field with a length."""
    return _varint(number << 3 | BYTES) + _varint(length)


def number_field(number: int, value: int) -> bytes:
    """Return a field that holds an integer."""
    return _varint(number << 3 | VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF  # negative ones are written as 64 bits
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _read_varint(message: bytes, position: int) -> Tuple[int, int]:
    """Return the number at `position` and the position behind it."""
    value = shift = 0
    while position < len(message):
        value |= (message[position] & 0x7F) << shift
        shift += 7
        position += 1
        if message[position - 1] < 0x80:
            return value, position
    raise ValueError('the ONNX file is cut off inside a number')
