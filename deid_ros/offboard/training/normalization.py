# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Batch normalization for training alone: it is folded into the convolutions that are shipped.

Ten convolutions in a row learn slowly without it, and the networks that run stay as the paper has
them: convolutions, ReLU, pooling.
"""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def normalized(module: nn.Sequential) -> nn.Sequential:
    """Return the module with batch normalization between each convolution and its ReLU."""
    layers: list[nn.Module] = []
    following: list[nn.Module | None] = [*list(module)[1:], None]
    for layer, after in zip(module, following, strict=True):
        layers.append(layer)
        if isinstance(layer, nn.Conv2d) and isinstance(after, nn.ReLU):
            layers.append(nn.BatchNorm2d(layer.out_channels))
    return nn.Sequential(*layers)


def folded(module: nn.Sequential) -> nn.Sequential:
    """Return the module without batch normalization, giving the same in evaluation mode."""
    layers: list[nn.Module] = []
    with torch.no_grad():
        for layer in module.eval():
            if isinstance(layer, nn.BatchNorm2d):
                convolution = layers.pop()
                assert isinstance(convolution, nn.Conv2d)
                layers.append(fuse_conv_bn_eval(convolution, layer))
            else:
                layers.append(layer)
    return nn.Sequential(*layers)
