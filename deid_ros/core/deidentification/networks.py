# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The networks of the paper as lists of layers: data from which every backend builds its own.

Describing a network once, as data, keeps torch (training, CUDA), ONNX and TensorRT the same by
construction, and lets `models.json` carry the architecture of the weights beside it. All layers are
ones that torch2trt converts exactly: the decoders upsample and then convolve, there is no
transposed convolution, and every shape is known beforehand.

Images enter and leave a network as (N, C, 64, 64) float32 in −1…1, C = 1 (luminance) or 3 (BGR).
"""

from typing import List, Sequence, Tuple, Union

#: Side of the square faces that the networks take and give, in pixels.
FACE_SIZE = 64
#: Side of the grid of latent cells of the convolutional autoencoder.
GRID = 2

#: A layer: its kind and what it needs. Kinds: ('flatten',) · ('unflatten', channels, side) ·
#: ('dense', inputs, outputs) · ('conv', inputs, outputs), 3×3, zero padded to keep the size ·
#: ('relu',) · ('tanh',) · ('pool',), 2×2 maximum, stride 2 · ('upsample',), ×2, nearest.
Layer = Tuple[Union[str, int], ...]
Layers = List[Layer]

#: The encoders of Table 1, without the 4096 inputs; the paper chooses 1024-768-512.
FULLY_CONNECTED_WIDTHS = ((2048,), (1024,), (512,), (1024, 768), (1024, 768, 512),
                          (2048, 1024, 762, 512))
#: Channels after each of the five convolutions that lead to 2×2×256 (section 4.3.2).
CONVOLUTIONAL_WIDTHS = (16, 32, 96, 256, 256)
# Channels after each of the convolutions that lead to the attributes, and values around those.
_ATTRIBUTE_WIDTHS = (12, 24, 48, 96)
_HIDDEN = 160


def fully_connected_encoder(widths: Sequence[int]) -> Layers:
    """Return the layers from a gray face to a latent of `widths[-1]` values (eq. 1–2)."""
    layers = [('flatten',)]  # type: Layers
    sizes = [FACE_SIZE * FACE_SIZE] + list(widths)
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [('dense', inputs, outputs), ('relu',)]
    return layers[:-1]  # the latent is linear, so that shifting it can lead anywhere


def fully_connected_decoder(widths: Sequence[int]) -> Layers:
    """Return the mirror of `fully_connected_encoder`: from the latent to a gray face."""
    layers = []  # type: Layers
    sizes = list(widths)[::-1] + [FACE_SIZE * FACE_SIZE]
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [('dense', inputs, outputs), ('relu',)]
    return layers[:-1] + [('unflatten', 1, FACE_SIZE)]


def attribute_network(attributes: int) -> Layers:
    """Return the layers from a gray face to so many numbers within −1 and 1 that describe it.

    Pose, expression, light and the like, but not who it is: see
    `deid_ros.offboard.training.synthetic.attributes`.
    """
    layers = []  # type: Layers
    sizes = (1,) + _ATTRIBUTE_WIDTHS
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [('conv', inputs, outputs), ('relu',), ('pool',)]
    side = FACE_SIZE >> len(_ATTRIBUTE_WIDTHS)
    return layers + [('flatten',), ('dense', sizes[-1] * side * side, _HIDDEN), ('relu',),
                     ('dense', _HIDDEN, attributes), ('tanh',)]


def attribute_decoder(attributes: int, latent: int) -> Layers:
    """Return the layers from the numbers of `attribute_network` to a latent of so many values."""
    return [('dense', attributes, _HIDDEN), ('relu',), ('dense', _HIDDEN, latent)]


def generating_decoder(widths: Sequence[int]) -> Layers:
    """Return the layers from a latent to a gray face, whose ends are convolutions.

    Dense ones place the parts of a face in a coarse grid, convolutions draw them; so they need
    neither deblurrer nor smoothener.

    :param widths: of the latent, of what follows it, then channels at 8, 16, 32 and 64 pixels.
    """
    latent, hidden, *channels = widths
    side = FACE_SIZE >> len(channels) - 1
    layers = [('dense', latent, hidden), ('relu',), ('dense', hidden, channels[0] * side * side),
              ('relu',), ('unflatten', channels[0], side)]  # type: Layers
    for inputs, outputs in zip(channels, channels[1:]):
        layers += [('upsample',), ('conv', inputs, outputs), ('relu',)]
    return layers + [('conv', channels[-1], 1)]


def convolutional_encoder(channels: int, widths: Sequence[int] = CONVOLUTIONAL_WIDTHS) -> Layers:
    """Return the layers from a face to a (widths[-1], 2, 2) latent (eq. 3)."""
    layers = []  # type: Layers
    sizes = [channels] + list(widths)
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [('conv', inputs, outputs), ('relu',), ('pool',)]
    return layers[:-2] + layers[-1:]  # a linear latent, as above


def convolutional_decoder(channels: int, widths: Sequence[int] = CONVOLUTIONAL_WIDTHS) -> Layers:
    """Return the mirror of `convolutional_encoder`: from the latent to a face."""
    layers = []  # type: Layers
    sizes = list(widths)[::-1] + [channels]
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [('upsample',), ('conv', inputs, outputs), ('relu',)]
    return layers[:-1]


def deblurrer(channels: int, width: int = 16) -> Layers:
    """Return four convolutions without downsampling, which turn blurred faces into sharp ones."""
    return [('conv', channels, width), ('relu',), ('conv', width, width), ('relu',),
            ('conv', width, width), ('relu',), ('conv', width, channels)]


def smoothener(channels: int, width: int = 16) -> Layers:
    """Return a shallow autoencoder of faces, which takes away the artifacts of the deblurrer."""
    return [('conv', channels, width), ('relu',), ('pool',), ('conv', width, 2 * width), ('relu',),
            ('upsample',), ('conv', 2 * width, channels)]
