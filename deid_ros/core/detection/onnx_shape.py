# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fixes the input size written in an ONNX file, without the package `onnx`.

OpenCV 4 refuses a network whose input size is dynamic, although it runs one whose file names a
fixed size at any size.
"""

from typing import Callable, List, Sequence, Tuple

from deid_ros.core.protobuf import field, fields, number_field

# onnx.proto: ModelProto.graph, GraphProto.input, ValueInfoProto.type, TypeProto.tensor_type,
# TypeProto.Tensor.shape, TensorShapeProto.dim, and the number in a dimension.
GRAPH, INPUT, TYPE, TENSOR_TYPE, SHAPE, DIM, DIM_VALUE = 7, 11, 2, 1, 2, 1, 1


def with_fixed_input(content: bytes, shape: Sequence[int]) -> bytes:
    """Return the ONNX file `content` with its inputs of `len(shape)` dimensions fixed to `shape`.

    Everything else stays byte for byte.

    :raises ValueError: the content is not a Protocol Buffers message.
    """
    dimensions = b''.join(field(DIM, number_field(DIM_VALUE, size)) for size in shape)

    def fixed(old: bytes) -> bytes:
        return dimensions if len(list(fields(old))) == len(shape) else old

    return _edited(content, (GRAPH, INPUT, TYPE, TENSOR_TYPE, SHAPE), fixed)


def _edited(message: bytes, path: Tuple[int, ...], edit: Callable[[bytes], bytes]) -> bytes:
    """Return the message with `edit` applied to each submessage at `path`."""
    if not path:
        return edit(message)
    parts: List[bytes] = []
    for number, raw, payload in fields(message):
        parts.append(field(number, _edited(payload, path[1:], edit))
                     if number == path[0] else raw)
    return b''.join(parts)
