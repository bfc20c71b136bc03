# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The messages of an ONNX model, written without the package `onnx`.

Each function returns one message of onnx.proto as bytes, with its fields in the order of their
numbers, which are the first arguments below.
"""

from typing import List, Sequence, Union

import numpy as np

from deid_ros.core.protobuf import field, field_head, number_field

_IR_VERSION = 7
# TensorProto.DataType, by the names of numpy's.
_DATA_TYPES = {'float32': 1, 'int64': 7}
# AttributeProto.AttributeType.
_INT, _STRING, _INTS = 2, 3, 7


def tensor(name: str, value: np.ndarray) -> bytes:
    """Return the TensorProto of a constant, float32 or int64."""
    head = [number_field(1, size) for size in value.shape] + [
        number_field(2, _DATA_TYPES[value.dtype.name]), field(8, name.encode()),
        field_head(9, value.nbytes)]
    return b''.join(head + [value.astype(value.dtype.newbyteorder('<'), copy=False).tobytes()])


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str],
         **attributes: Union[int, str, List[int]]) -> bytes:
    """Return the NodeProto of an operator."""
    return b''.join([field(1, name.encode()) for name in inputs]
                    + [field(2, name.encode()) for name in outputs]
                    + [field(4, operator.encode())]
                    + [field(5, _attribute(name, attributes[name])) for name in sorted(attributes)])


def _attribute(name: str, value: Union[int, str, List[int]]) -> bytes:
    if isinstance(value, int):
        content, kind = number_field(3, value), _INT
    elif isinstance(value, str):
        content, kind = field(4, value.encode()), _STRING
    else:
        content, kind = b''.join(number_field(8, entry) for entry in value), _INTS
    return field(1, name.encode()) + content + number_field(20, kind)


def float_value(name: str, shape: Sequence[Union[str, int]]) -> bytes:
    """Return the ValueInfoProto of an input or output, float32; a size by name may vary."""
    dimensions = b''.join(
        field(1, number_field(1, size) if isinstance(size, int) else field(2, size.encode()))
        for size in shape)
    tensor_type = number_field(1, _DATA_TYPES['float32']) + field(2, dimensions)
    return field(1, name.encode()) + field(2, field(1, tensor_type))


def model(graph: str, opset: int, nodes: Sequence[bytes], constants: Sequence[bytes],
          inputs: Sequence[bytes], outputs: Sequence[bytes]) -> bytes:
    """Return the ModelProto, which is the content of an ONNX file.

    :param graph: the name of its graph.
    """
    content = []  # type: List[bytes]
    for number, messages in ((1, nodes), (2, [graph.encode()]), (5, constants), (11, inputs),
                             (12, outputs)):
        for message in messages:
            content += [field_head(number, len(message)), message]
    # Joined once: the weights are tens of megabytes.
    return b''.join([number_field(1, _IR_VERSION), field_head(7, sum(map(len, content)))] + content
                    + [field(8, field(1, b'') + number_field(2, opset))])
