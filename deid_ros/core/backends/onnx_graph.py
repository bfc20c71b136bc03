# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A chain as one ONNX model: scaling, encoder, shift, decoder, deblurrer, smoothener.

One graph means one session and one call per batch. It is made with `onnx.helper` from the layer
lists, so no torch is needed where it runs.
"""

from typing import Any, List, Sequence, Union

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deid_ros.core.deidentification.chain import SYNTHETIC, Chain, RuntimeShift
from deid_ros.core.deidentification.networks import FACE_SIZE, GRID, Layer
from deid_ros.core.deidentification.weights import Network

#: Old enough for the ONNX Runtime of Ubuntu 20.04's Python, new enough for all that is used.
OPSET = 13
_IR_VERSION = 7


# Which old row of weights (last axis) goes to which new one, for even and odd rows of the result.
_PHASES = np.array([[[1, 0, 0], [0, 1, 1], [0, 0, 0]],
                    [[0, 0, 0], [1, 1, 0], [0, 0, 1]]], np.float32)
# CPUs compute a convolution's channels eight or sixteen at once, also where there are fewer.
_FEW_CHANNELS = 3


def _is_fused(layer: Layer, following: Layer) -> bool:
    """Return whether two layers are made as one `upsampled_convolution`."""
    return (layer[0] == 'upsample' and following[0] == 'conv'
            and int(following[2]) <= _FEW_CHANNELS)


class _Graph:
    """Nodes and constants in the making; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes = []  # type: List[onnx.NodeProto]
        self.constants = []  # type: List[onnx.TensorProto]

    def constant(self, value: Any) -> str:
        name = f'constant_{len(self.constants)}'
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self.nodes_of(operator, inputs, 1, **attributes)[0]

    def nodes_of(self, operator: str, inputs: Sequence[str], outputs: int,
                 **attributes: Any) -> List[str]:
        names = [f'{operator}_{len(self.nodes)}_{index}' for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def network(self, network: Network, value: str) -> str:
        for index, layer in enumerate(network.layers):
            kind = layer[0]
            if kind == 'conv' and index and _is_fused(network.layers[index - 1], layer):
                value = self.upsampled_convolution(value, network.arrays[f'{index}.weight'],
                                                   network.arrays[f'{index}.bias'])
            elif kind in ('dense', 'conv'):
                weight = self.constant(network.arrays[f'{index}.weight'])
                bias = self.constant(network.arrays[f'{index}.bias'])
                value = (self.node('Gemm', value, weight, bias, transB=1) if kind == 'dense' else
                         self.node('Conv', value, weight, bias, kernel_shape=[3, 3],
                                   pads=[1, 1, 1, 1]))
            elif kind == 'relu':
                value = self.node('Relu', value)
            elif kind == 'tanh':
                value = self.node('Tanh', value)
            elif kind == 'pool':
                value = self.node('MaxPool', value, kernel_shape=[2, 2], strides=[2, 2])
            elif kind == 'upsample':
                if _is_fused(layer, network.layers[index + 1]):
                    continue
                scales = self.constant(np.array([1, 1, 2, 2], np.float32))
                value = self.node('Resize', value, '', scales, mode='nearest',
                                  coordinate_transformation_mode='asymmetric',
                                  nearest_mode='floor')
            elif kind == 'flatten':
                value = self.node('Flatten', value)
            elif kind == 'unflatten':
                shape = self.constant(np.array([-1, layer[1], layer[2], layer[2]], np.int64))
                value = self.node('Reshape', value, shape)
            else:
                raise ValueError(f'layer kind {kind!r} is unknown')
        return value

    def upsampled_convolution(self, value: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """Return the 3×3 convolution of the value upsampled, made without upsampling it.

        Of a doubled row, two neighbours are the same, so their weights add up, in one way for even
        and in another for odd rows and columns. The four are computed as channels and interleaved.
        """
        channels, inputs = weight.shape[:2]
        weights = np.einsum('pax,qby,oixy->opqiab', _PHASES, _PHASES, weight)
        value = self.node('Conv', value, self.constant(weights.reshape(4 * channels, inputs, 3, 3)),
                          self.constant(np.repeat(bias, 4)), kernel_shape=[3, 3],
                          pads=[1, 1, 1, 1])
        return self.node('DepthToSpace', value, blocksize=2, mode='CRD')

    def distances(self, latents: str, centres: np.ndarray) -> str:
        """Return |c|² − 2 x·c: squared distances but for |x|², which changes no order."""
        squares = self.constant(np.square(centres).sum(axis=1)[None])
        products = self.node('MatMul', latents, self.constant(
            np.ascontiguousarray(-2 * centres.T)))
        return self.node('Add', products, squares)

    def nearest(self, latents: str, centres: np.ndarray, n: int) -> str:
        """Return the (N, n) indices of the nearest centres, the nearest first."""
        count = self.constant(np.array([n], np.int64))
        return self.nodes_of('TopK', [self.distances(latents, centres), count], 2, axis=1,
                             largest=0)[1]

    def targets(self, latents: str, shift: RuntimeShift) -> str:
        centres = shift.arrays['centres']
        if shift.kind == 'cell':
            return self.cell_targets(latents, shift)
        flat = self.node('Flatten', latents)
        if shift.kind == 'cluster':
            return self.nearest_centres(flat, centres)
        near = self.nearest(flat, centres, shift.n)
        from_mean = np.square(centres - shift.arrays['mean']).sum(axis=1)
        best = self.node('ArgMin', self.node('Gather', self.constant(from_mean), near), axis=1)
        chosen = self.node('Squeeze', self.node('GatherElements', near, best, axis=1),
                           self.constant(np.array([1], np.int64)))
        return self.node('Gather', self.constant(centres), chosen)

    def nearest_centres(self, latents: str, centres: np.ndarray) -> str:
        """Return the (N, D) centres that are nearest to (N, D) latents."""
        return self.node('Gather', self.constant(centres), self.node(
            'ArgMin', self.distances(latents, centres), axis=1, keepdims=0))

    def cell_targets(self, latents: str, shift: RuntimeShift) -> str:
        cells, _, channels = shift.arrays['centres'].shape
        by_cell = self.node('Reshape', latents, self.constant(
            np.array([-1, channels, cells], np.int64)))
        targets = []
        for index, centres in enumerate(shift.arrays['centres']):
            cell = self.node('Gather', by_cell, self.constant(np.array(index, np.int64)), axis=2)
            nth = self.node('Gather', self.nearest(cell, centres, shift.n), self.constant(
                np.array(shift.n - 1, np.int64)), axis=1)
            target = self.node('Gather', self.constant(centres), nth)
            targets.append(self.node('Unsqueeze', target, self.constant(np.array([2], np.int64))))
        return self.node('Concat', *targets, axis=2)


def build_model(chain: Chain) -> onnx.ModelProto:
    """Return the model of a chain.

    Inputs: `faces`, (N, 64, 64) or (N, 64, 64, 3) float32 in 0…1, and, where the chain shifts at
    run time, `alpha`, (1, 1) float32, or, where it has synthetic identities, `offsets`, (N, D)
    float32: α times the chosen ones. Output: `result`, as `faces`.
    """
    graph = _Graph()
    side = FACE_SIZE
    channels = 3 if chain.color else 1
    scaled = graph.node('Sub', graph.node('Mul', 'faces', graph.constant(np.float32(2))),
                        graph.constant(np.float32(1)))
    if chain.color:
        value = graph.node('Transpose', scaled, perm=[0, 3, 1, 2])
    else:
        value = graph.node('Reshape', scaled, graph.constant(
            np.array([-1, channels, side, side], np.int64)))
    value = graph.network(chain.networks[0], value)
    shape: List[Union[str, int, None]] = ['N', side, side]
    if chain.color:
        shape.append(3)
    inputs = [helper.make_tensor_value_info('faces', TensorProto.FLOAT, shape)]
    if chain.shift is not None and chain.shift.kind == SYNTHETIC:
        inputs.append(helper.make_tensor_value_info(
            'offsets', TensorProto.FLOAT, ['N', chain.shift.control_size]))
        if 'centres' in chain.shift.arrays:
            value = graph.nearest_centres(value, chain.shift.arrays['centres'])
        value = graph.node('Add', value, 'offsets')
    elif chain.shift is not None:
        inputs.append(helper.make_tensor_value_info('alpha', TensorProto.FLOAT, [1, 1]))
        targets = graph.targets(value, chain.shift)
        convolutions = [layer for layer in chain.networks[0].layers if layer[0] == 'conv']
        if convolutions:
            targets = graph.node('Reshape', targets, graph.constant(
                np.array([-1, convolutions[-1][2], GRID, GRID], np.int64)))
        kept = graph.node('Mul', value, graph.node('Sub', graph.constant(np.float32(1)), 'alpha'))
        value = graph.node('Add', kept, graph.node('Mul', targets, 'alpha'))
    for network in chain.networks[1:]:
        value = graph.network(network, value)
    half = graph.constant(np.float32(0.5))
    value = graph.node('Clip', graph.node('Add', graph.node('Mul', value, half), half),
                       graph.constant(np.float32(0)), graph.constant(np.float32(1)))
    if chain.color:
        value = graph.node('Transpose', value, perm=[0, 2, 3, 1])
    else:
        value = graph.node('Reshape', value, graph.constant(np.array([-1, side, side], np.int64)))
    graph.nodes.append(helper.make_node('Identity', [value], ['result']))
    output = helper.make_tensor_value_info('result', TensorProto.FLOAT, shape)
    model = helper.make_model(
        helper.make_graph(graph.nodes, 'chain', inputs, [output], graph.constants),
        opset_imports=[helper.make_opsetid('', OPSET)])
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model)
    return model
