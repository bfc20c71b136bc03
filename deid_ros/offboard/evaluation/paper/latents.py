# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Latents of faces, and k-Same of them."""

import numpy as np
import torch
from torch import nn

from deid_ros.core.backends.torch_layers import load_arrays, module_of
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.deidentification.weights import Network
from deid_ros.offboard.evaluation.paper.baselines import k_same


def encoded(faces: np.ndarray, encoder: Network) -> np.ndarray:
    """Return the float32 latents of (N, 64, 64) uint8 luminance."""
    with torch.no_grad():
        return _module(encoder)(torch.from_numpy(faces[:, None]).float() / 127.5 - 1).numpy()


def k_same_latents(faces: np.ndarray, k: int, chain: Chain) -> np.ndarray:
    """Return the faces that k-Same of the latents decodes to.

    :param faces: (N, 64, 64) uint8 luminance.
    :param chain: a chain with a plain encoder.
    """
    latents = encoded(faces, chain.networks[0])
    means = k_same(latents.reshape(len(latents), -1), k).reshape(latents.shape)
    rest = nn.Sequential(*map(_module, chain.networks[1:]))
    with torch.no_grad():
        result = rest(torch.from_numpy(means))[:, 0].clamp(-1, 1).numpy()
    return np.rint((result + 1) * 127.5).astype(np.uint8)


def _module(network: Network) -> nn.Sequential:
    module = module_of(network.layers)
    load_arrays(module, network.arrays)
    return module.eval()
