# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Chains of random weights, small enough to be quick."""

import numpy as np

from deid_ros.core.deidentification import networks
from deid_ros.core.deidentification.chain import Chain, RuntimeShift
from deid_ros.core.deidentification.weights import Network

_RANDOM = np.random.default_rng(0)


def _network(layers, random):
    arrays = {}
    for index, layer in enumerate(layers):
        if layer[0] in ('dense', 'conv'):
            inputs, outputs = layer[1:]
            kernel = (3, 3) if layer[0] == 'conv' else ()
            fan_in = inputs * (9 if kernel else 1)
            arrays[f'{index}.weight'] = random.normal(
                0, (2 / fan_in) ** 0.5, (outputs, inputs) + kernel).astype(np.float32)
            arrays[f'{index}.bias'] = random.normal(0, 0.1, outputs).astype(np.float32)
    return Network(layers, arrays)


def _shift(kind, size):
    if kind is None:
        return None
    if kind.startswith('synthetic'):
        random = np.random.default_rng(0)
        arrays = {'identities': random.normal(0, 1, (6, size)).astype(np.float32)}
        if kind == 'synthetic, k':
            arrays['centres'] = random.normal(0, 1, (40, size)).astype(np.float32)
        return RuntimeShift('synthetic', 1, arrays)
    centres = _RANDOM.normal(0, 1, (4, 40, size // 4) if kind == 'cell' else (40, size))
    return RuntimeShift(kind, 5, {'centres': centres.astype(np.float32),
                                  'mean': np.zeros(size, np.float32)})


def identities_for(backend, count):
    """Return an identity for each face, where the chain has any."""
    return np.arange(count) % backend.identity_count if backend.identity_count else None


def small_chain(family, kind, key):
    color = family == 'convolutional color'
    channels = 3 if color else 1
    if family == 'fully connected':
        coders = [networks.fully_connected_encoder((48, 32)),
                  networks.fully_connected_decoder((48, 32))]
        size = 32
    else:
        widths = (4, 4, 6, 6, 8)
        coders = [networks.convolutional_encoder(channels, widths),
                  networks.convolutional_decoder(channels, widths)]
        size = 32
    layers = coders + [networks.deblurrer(channels, 4), networks.smoothener(channels, 4)]
    random = _RANDOM
    if kind and kind.startswith('synthetic'):
        layers = [coders[0], networks.generating_decoder((size, 12, 6, 4, 4))]
        random = np.random.default_rng(0)
    return Chain('test', color, [_network(part, random) for part in layers], _shift(kind, size),
                 0.7, key, {})
