# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Differentiable compositing of new faces into frames.

It repeats what `AutoencoderAnonymizer` does to a frame, as far as a tight crop shows: the new face
gets the tone of the original and is blended into a blur of it. Unlike there, detail is removed by
`at_size`, not by the sharpness of the photo.
"""

import cv2
import numpy as np
import torch
from torch.nn import functional

from deid_ros.core.deidentification.alignment import GAINS
from deid_ros.core.deidentification.autoencoder import RING_SIGMA, face_weight, tone_weight
from deid_ros.core.deidentification.networks import FACE_SIZE

# Largest jitter of boxes: of their size as a share, and of their place in halves of it.
_BOX_JITTER = 0.06
# One gray level in −1…1, the least contrast that is divided by.
_LEAST_DEVIATION = 1 / 127.5


def backgrounds(faces: np.ndarray) -> np.ndarray:
    """Return (N, 64, 64) uint8: the blur of each face that a new face is blended into.

    :param faces: (N, 64, 64) uint8 luminance.
    """
    return np.stack([cv2.GaussianBlur(face, (0, 0), RING_SIGMA * FACE_SIZE,
                                      borderType=cv2.BORDER_REPLICATE) for face in faces])


def in_frame(faces: torch.Tensor, photos: torch.Tensor, backdrops: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, 64, 64) new faces, blended into photos.

    :param faces: (N, 1, 64, 64) in −1…1; `photos` the faces that they replace; `backdrops` the
        `backgrounds` of these.
    """
    weight, tone = (torch.from_numpy(each).to(faces.device)
                    for each in (face_weight(), tone_weight()))
    mean, deviation = _moments(faces, tone)
    wanted_mean, wanted_deviation = _moments(photos, tone)
    gain = (wanted_deviation / deviation).clamp(*GAINS)
    toned = ((faces - mean) * gain + wanted_mean).clamp(-1, 1)
    return backdrops + weight * (toned - backdrops)


def at_size(faces: torch.Tensor, size: int) -> torch.Tensor:
    """Return (N, 1, 64, 64) faces with the resolution of `size` pixels a side."""
    small = functional.interpolate(faces, size=(size, size), mode='bilinear', antialias=True,
                                   align_corners=False)
    return functional.interpolate(small, size=(FACE_SIZE, FACE_SIZE), mode='bicubic',
                                  align_corners=False)


def with_box_jitter(photos: torch.Tensor, alignments: torch.Tensor, smallest: int,
                    random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return photos with the jitter of detectors' boxes and less detail, and their alignments.

    :param photos: (N, 1, 64, 64); `alignments` (N, 2, 3) of these, see `alignments_of`.
    :param smallest: least size of faces in pixels; sizes are drawn up to 64.
    """
    count = len(photos)
    jitter = np.zeros((count, 2, 3), np.float32)
    jitter[:, 0, 0] = jitter[:, 1, 1] = 1 + random.uniform(-_BOX_JITTER, _BOX_JITTER, count)
    jitter[:, :, 2] = random.uniform(-_BOX_JITTER, _BOX_JITTER, (count, 2))
    moves = torch.from_numpy(jitter).to(photos.device)
    moved = functional.grid_sample(
        photos, functional.affine_grid(moves, list(photos.shape), align_corners=False),
        padding_mode='border', align_corners=False)
    # What a new face shows at u, the photo had at scale · u + shift.
    aligned = alignments.clone()
    aligned[:, :, 2] -= moves[:, :, 2]
    return (at_size(moved, int(random.integers(smallest, FACE_SIZE, endpoint=True))),
            aligned / moves[:, :1, :1])


def _moments(faces: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    share = weight / weight.sum()
    mean = (faces * share).sum((2, 3), keepdim=True)
    variance = ((faces - mean).square() * share).sum((2, 3), keepdim=True)
    return mean, variance.clamp(min=_LEAST_DEVIATION ** 2).sqrt()
