# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""dlib's recognition network in torch, so that a generator can be trained with its gradients.

The network is `dlib_face_recognition_resnet_model_v1` by D. King (public domain), a residual
network of 29 convolutions. The affine layer after each is folded into it here.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from deid_ros.offboard.common.similarity import similarities

# Channels of the blocks, and whether a block halves the image's sides.
_BLOCKS = ((32, False),) * 3 + ((64, True),) + ((64, False),) * 3 + ((128, True),) + (
    (128, False),) * 2 + ((256, True),) + ((256, False),) * 2 + ((256, True),)
_CHANNELS, _DESCRIPTOR = 32, 128
_SIZE = 150
# Mean and scale of what the network was trained on, RGB.
_MEAN, _SCALE = (122.782, 117.001, 104.298), 256.0
# Where the corners of the eyes and the base of the nose lie in a face that dlib has aligned, as
# shares of the sides before a border of a quarter is added (dlib, `get_face_chip_details`); in the
# order of `FaceRecognizer.landmarks`.
_ALIGNED = np.array([[0.8595674595992, 0.2134981538014], [0.6460604764104, 0.2289674387677],
                     [0.1205750620789, 0.2137274526848], [0.3340850613712, 0.2290642403242],
                     [0.4901123135679, 0.6277975316475]])
_BORDER = 0.25
# The bytes before the parameters of a layer in dlib's files: the length of the name of its kind,
# and the name. For the fully connected layer, the numbers of outputs and inputs come in between.
_LAYER = re.compile(rb'\x01\x05con_4|\x01\x07affine_|\x01\x04fc_2')
_SIZED = b'fc_2'


class RecognitionNetwork(nn.Module):
    """Describes faces as `FaceRecognizer.describe` does; only the interpolation differs.

    :param path: of dlib's file.
    :raises ValueError: it holds another network.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        found = _parameters(path.read_bytes())
        try:
            self._first = _convolution(found, 3, _CHANNELS, 7, stride=2)
            blocks = []
            inputs = _CHANNELS
            for channels, halves in _BLOCKS:
                blocks.append(_Block(found, inputs, channels, halves))
                inputs = channels
            self._blocks = nn.Sequential(*blocks)
            last = torch.from_numpy(next(found).reshape(inputs, _DESCRIPTOR))
        except (StopIteration, IndexError, ValueError, RuntimeError) as error:
            raise ValueError(f'{path} does not hold the network '
                             'dlib_face_recognition_resnet_model_v1') from error
        self._last: torch.Tensor
        self._mean: torch.Tensor
        self.register_buffer('_last', last)
        self.register_buffer('_mean', torch.tensor(_MEAN).reshape(1, 3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    def forward(self, faces: torch.Tensor, alignments: torch.Tensor) -> torch.Tensor:
        """Return (N, 128) descriptors.

        :param faces: (N, 1, 64, 64) luminance in −1…1.
        :param alignments: of their landmarks, see `alignments_of`.
        """
        rgb = aligned(faces, alignments, _SIZE).expand(-1, 3, -1, -1)
        values = ((rgb - self._mean) / _SCALE).contiguous(memory_format=torch.channels_last)
        values = functional.max_pool2d(functional.relu(self._first(values)), 3, 2)
        return self._blocks(values).mean((2, 3)) @ self._last


class _Block(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(self, found: Iterator[np.ndarray], inputs: int, channels: int, halves: bool
                 ) -> None:
        super().__init__()
        self._halves = halves
        self._one = _convolution(found, inputs, channels, 3, stride=2 if halves else 1)
        self._other = _convolution(found, channels, channels, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        changed = self._other(functional.relu(self._one(values)))
        if self._halves:
            values = functional.avg_pool2d(values, 2, 2)
            # dlib pads the smaller shape with zeros.
            shape = [max(sizes) for sizes in zip(values.shape, changed.shape, strict=True)]
            values, changed = (_enlarged(part, shape) for part in (values, changed))
        return functional.relu(values + changed)


def _enlarged(values: torch.Tensor, shape: list[int]) -> torch.Tensor:
    margins: list[int] = []
    for size, wanted in zip(reversed(values.shape), reversed(shape), strict=True):
        margins += [0, wanted - size]
    return functional.pad(values, margins)


def _convolution(found: Iterator[np.ndarray], inputs: int, outputs: int, size: int,
                 stride: int = 1) -> nn.Conv2d:
    # dlib pads only convolutions of stride 1.
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2 if stride == 1 else 0)
    assert layer.bias is not None
    filters, offsets = np.split(next(found), [layer.weight.numel()])
    scales, more_offsets = np.split(next(found), 2)
    layer.load_state_dict({
        'weight': torch.from_numpy(filters.reshape(tuple(layer.weight.shape))
                                   * scales[:, None, None, None]),
        'bias': torch.from_numpy(offsets * scales + more_offsets)})
    return layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _parameters(data: bytes) -> Iterator[np.ndarray]:
    """Yield the float32 parameters of each layer, flat, in the order from the input."""
    at = 0
    while True:
        layer = _LAYER.search(data, at)
        if layer is None:
            return
        at = layer.end()
        shape = []
        # The version of the format comes before the shape, and is read as if it were a size.
        for _ in range((2 if layer.group().endswith(_SIZED) else 0) + 1 + 4):
            value, at = _integer(data, at)
            shape.append(value)
        count = int(np.prod(shape[-4:]))
        yield np.frombuffer(data, '<f4', count, at).copy()
        at += 4 * count


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """Return an integer as dlib packs it (a byte with its length, then its bytes), and its end."""
    end = at + 1 + (data[at] & 0x0F)
    return int.from_bytes(data[at + 1:end], 'little'), end


def aligned(faces: torch.Tensor, alignments: torch.Tensor, size: int) -> torch.Tensor:
    """Return (N, 1, size, size) aligned faces, the input of recognition networks, in 0…255.

    :param faces: (N, 1, 64, 64) in −1…1; `alignments` of these, see `alignments_of`.
    """
    grid = functional.affine_grid(alignments, [len(faces), 1, size, size], align_corners=False)
    return ((functional.grid_sample(faces, grid, mode='bicubic', padding_mode='border',
                                    align_corners=False) + 1) * 127.5).clamp(0, 255)


def alignments_of(landmarks: np.ndarray) -> torch.Tensor:
    """Return (N, 2, 3) float32: the `affine_grid` parameters that align each face as dlib does.

    :param landmarks: (N, 5, 2), see `FaceRecognizer.landmarks`.
    """
    places = 2 * (_BORDER + _ALIGNED) / (1 + 2 * _BORDER) - 1
    return torch.from_numpy(similarities(places, 2 * landmarks - 1).astype(np.float32))
