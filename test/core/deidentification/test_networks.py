# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The architectures of the paper: shapes in, in the middle and out."""

import pytest

torch = pytest.importorskip('torch')

from deid_ros.core.backends.torch_layers import module_of  # noqa: E402
from deid_ros.core.deidentification import networks  # noqa: E402


@pytest.mark.parametrize('widths', networks.FULLY_CONNECTED_WIDTHS)
def test_autoencoders_of_table_1(widths):
    faces = torch.zeros(2, 1, 64, 64)
    latents = module_of(networks.fully_connected_encoder(widths))(faces)
    assert latents.shape == (2, widths[-1])
    assert module_of(networks.fully_connected_decoder(widths))(latents).shape == faces.shape


@pytest.mark.parametrize('channels', [1, 3])
def test_convolutional_autoencoder_has_four_cells(channels):
    faces = torch.zeros(2, channels, 64, 64)
    latents = module_of(networks.convolutional_encoder(channels))(faces)
    assert latents.shape == (2, 256, networks.GRID, networks.GRID)
    assert module_of(networks.convolutional_decoder(channels))(latents).shape == faces.shape


def test_a_generating_decoder_gives_faces():
    layers = networks.generating_decoder([10, 12, 6, 5, 4, 3])
    assert ('unflatten', 6, 8) in layers
    assert layers.count(('upsample',)) == 3
    assert module_of(layers)(torch.zeros(2, 10)).shape == (2, 1, 64, 64)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('make', [networks.deblurrer, networks.smoothener])
def test_finishing_networks_keep_the_shape(make, channels):
    faces = torch.zeros(2, channels, 64, 64)
    assert module_of(make(channels))(faces).shape == faces.shape


def test_latents_can_take_any_sign():
    faces = torch.randn(8, 1, 64, 64)
    for layers in (networks.fully_connected_encoder((16,)), networks.convolutional_encoder(1)):
        latents = module_of(layers)(faces)
        assert latents.min() < 0 < latents.max()
