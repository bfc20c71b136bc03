# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fixes the input size written in an ONNX file, without the package `onnx`.

OpenCV 4 refuses a network whose input size is dynamic, although it runs one whose file names a
fixed size at any size. ONNX files are Protocol Buffers: a message is a sequence of fields, each a
tag (number × 8 + wire type) and a value.
"""

from typing import Callable, Iterator, List, Sequence, Tuple

# Wire types: a number in groups of 7 bits; 8 bytes; a length and so many bytes; 4 bytes.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# onnx.proto: ModelProto.graph, GraphProto.input, ValueInfoProto.type, TypeProto.tensor_type,
# TypeProto.Tensor.shape, TensorShapeProto.dim, and the number in a dimension.
GRAPH, INPUT, TYPE, TENSOR_TYPE, SHAPE, DIM, DIM_VALUE = 7, 11, 2, 1, 2, 1, 1


def with_fixed_input(content: bytes, shape: Sequence[int]) -> bytes:
    """Return the ONNX file `content` with its inputs of `len(shape)` dimensions fixed to `shape`.

    Everything else stays byte for byte.

    :raises ValueError: the content is not a Protocol Buffers message.
    """
    dimensions = b''.join(_field(DIM, _varint(DIM_VALUE << 3 | VARINT) + _varint(size))
                          for size in shape)

    def fixed(old: bytes) -> bytes:
        return dimensions if len(list(_fields(old))) == len(shape) else old

    return _edited(content, (GRAPH, INPUT, TYPE, TENSOR_TYPE, SHAPE), fixed)


def _edited(message: bytes, path: Tuple[int, ...], edit: Callable[[bytes], bytes]) -> bytes:
    """Return the message with `edit` applied to each submessage at `path`."""
    if not path:
        return edit(message)
    parts: List[bytes] = []
    for number, raw, payload in _fields(message):
        parts.append(_field(number, _edited(payload, path[1:], edit))
                     if number == path[0] else raw)
    return b''.join(parts)


def _fields(message: bytes) -> Iterator[Tuple[int, bytes, bytes]]:
    """Yield number, all bytes, and content (of a BYTES field) of each field."""
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


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
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
