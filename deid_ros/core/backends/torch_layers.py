# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Layer lists as torch modules, for training and for the torch backend (torch 1.10 and later)."""

from typing import Dict

import numpy as np
import torch
from torch import nn

from deid_ros.core.deidentification.networks import Layer, Layers


class Unflatten(nn.Module):
    """(N, channels · side · side) → (N, channels, side, side)."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.shape = (channels, side, side)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values in their new shape."""
        return values.view((-1,) + self.shape)


def _module(layer: Layer) -> nn.Module:
    kind, arguments = layer[0], [int(argument) for argument in layer[1:]]
    if kind == 'conv':
        return nn.Conv2d(arguments[0], arguments[1], kernel_size=3, padding=1)
    if kind == 'upsample':
        return nn.Upsample(scale_factor=2, mode='nearest')
    if kind == 'pool':
        return nn.MaxPool2d(kernel_size=2, stride=2)
    simple = {'flatten': nn.Flatten, 'unflatten': Unflatten, 'dense': nn.Linear, 'relu': nn.ReLU,
              'tanh': nn.Tanh}
    return simple[str(kind)](*arguments)


def module_of(layers: Layers) -> nn.Sequential:
    """Return a new module with the given layers; its state is `INDEX.weight`, `INDEX.bias`."""
    return nn.Sequential(*[_module(layer) for layer in layers])


def load_arrays(module: nn.Module, arrays: Dict[str, np.ndarray]) -> None:
    """Set the weights of a module.

    :param arrays: float16 or float32 arrays, named and shaped as in the module's state.
    :raises RuntimeError: when a name or a shape is not the module's.
    """
    module.load_state_dict({name: torch.from_numpy(np.asarray(array, np.float32))
                            for name, array in arrays.items()})
