# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The shift at run time in TensorRT's own layers, as a converter for torch2trt.

torch2trt has no converters for `cdist`, `argmin`, `topk` and indexing by a tensor. TensorRT has
layers for all of it, so this module converts `ShiftModule` as a whole, and the chain stays one
engine. What is nearest is decided in fp32 whatever the engine's precision: rounded distances would
draw faces to other centres than the reference does.
"""

from typing import Any, Sequence

import numpy as np
import tensorrt as trt
from torch2trt import tensorrt_converter

from deid_ros.core.deidentification.chain import SYNTHETIC
from deid_ros.core.errors import ConfigurationError

# TensorRT names an axis by a bit.
_AXIS_1 = 1 << 1


class _Layers:
    """Layers in the making; every method returns the tensor of what it made."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def constant(self, values: np.ndarray) -> Any:
        values = np.ascontiguousarray(values, np.float32)
        return self._exact(self._network.add_constant(values.shape, values))

    def index(self, value: int) -> Any:
        return self._network.add_constant((1,), np.array([value], np.int32)).get_output(0)

    def combined(self, one: Any, operation: Any, other: Any) -> Any:
        return self._exact(self._network.add_elementwise(one, other, operation))

    def reshaped(self, tensor: Any, shape: Sequence[int]) -> Any:
        """Return the tensor in another shape; 0 keeps a size, −1 is what is left."""
        layer = self._network.add_shuffle(tensor)
        layer.reshape_dims = tuple(shape)
        return layer.get_output(0)

    def gathered(self, tensor: Any, indices: Any, axis: int, batched: bool = False) -> Any:
        """Return entries along an axis; if `batched`, each row by its own row of indices."""
        layer = self._network.add_gather(tensor, indices, axis)
        if batched:
            layer.num_elementwise_dims = 1
        return layer.get_output(0)

    def joined(self, tensors: Sequence[Any], axis: int) -> Any:
        layer = self._network.add_concatenation(list(tensors))
        layer.axis = axis
        return layer.get_output(0)

    def least(self, values: Any, count: int) -> Any:
        """Return the (N, count) int32 indices of the least values of each row, in order."""
        layer = self._network.add_topk(values, trt.TopKOperation.MIN, count, _AXIS_1)
        self._exact(layer)
        return layer.get_output(1)

    def nearest(self, latents: Any, centres: np.ndarray, count: int) -> Any:
        """Return the (N, count) indices of the nearest centres, by |c|² − 2 x·c."""
        layer = self._network.add_matrix_multiply(
            latents, trt.MatrixOperation.NONE, self.constant(-2 * centres.T),
            trt.MatrixOperation.NONE)
        squares = self.constant(np.square(centres).sum(axis=1)[None])
        return self.least(self.combined(self._exact(layer), trt.ElementWiseOperation.SUM, squares),
                          count)

    def rows(self, centres: np.ndarray, chosen: Any) -> Any:
        """Return (N, D): the centres that (N, 1) indices name."""
        return self.reshaped(self.gathered(self.constant(centres), chosen, 0),
                             (-1, centres.shape[1]))

    def cell_targets(self, latents: Any, centres: np.ndarray, n: int) -> Any:
        cells, _, channels = centres.shape
        by_cell = self.reshaped(latents, (0, channels, cells))
        targets = []
        for index in range(cells):
            cell = self.reshaped(self.gathered(by_cell, self.index(index), 2), (0, channels))
            nth = self.gathered(self.nearest(cell, centres[index], n), self.index(n - 1), 1)
            targets.append(self.reshaped(self.rows(centres[index], nth), (0, channels, 1)))
        return self.joined(targets, 2)

    def _exact(self, layer: Any) -> Any:
        layer.precision = trt.float32
        layer.set_output_type(0, trt.float32)
        return layer.get_output(0)


@tensorrt_converter('deid_ros.core.backends.torch_backend.ShiftModule.forward')
def convert_shift(ctx: Any) -> None:
    """Add the layers of one `ShiftModule`; torch2trt calls it while it traces a chain."""
    module, latents, control = ctx.method_args
    layers = _Layers(ctx.network)
    values = latents._trt
    centres: Any = module.centres.detach().cpu().numpy() if module.has_centres else None
    if module.kind == SYNTHETIC:
        if module.has_centres:
            values = layers.rows(centres, layers.nearest(values, centres, 1))
        ctx.method_return._trt = layers.combined(values, trt.ElementWiseOperation.SUM,
                                                 control._trt)
        return
    flat = values if latents.dim() == 2 else layers.reshaped(values, (0, -1))
    if module.kind == 'cell':
        targets = layers.cell_targets(values, centres, module.n)
    elif module.kind == 'cluster':
        targets = layers.rows(centres, layers.nearest(flat, centres, 1))
    elif module.kind == 'neighbour':
        near = layers.nearest(flat, centres, module.n)
        from_mean = layers.constant(module.from_mean.detach().cpu().numpy())
        best = layers.least(layers.gathered(from_mean, near, 0), 1)
        targets = layers.rows(centres, layers.gathered(near, best, 1, batched=True))
    else:
        raise ConfigurationError('the backend tensorrt cannot shift by {!r} at run time'.format(
            module.kind))
    if latents.dim() == 4:
        # Spelled out from the layers' facts, as is every shape that depends on no batch.
        targets = layers.reshaped(targets, (0,) + tuple(int(side) for side in latents.size()[1:]))
    strength = layers.reshaped(control._trt, (1,) * latents.dim())
    way = layers.combined(targets, trt.ElementWiseOperation.SUB, values)
    step = layers.combined(way, trt.ElementWiseOperation.PROD, strength)
    ctx.method_return._trt = layers.combined(values, trt.ElementWiseOperation.SUM, step)
