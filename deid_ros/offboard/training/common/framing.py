# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""New faces as they are seen in a frame, with gradients.

They have the tone of the face that was there, lie over what is left of it, and are small. This is
what `AutoencoderAnonymizer` does to a frame, for as much of it as a tight crop shows; but detail is
lost to `at_size`, not to how sharp the photo is.
"""

import cv2
import numpy as np
import torch
from torch.nn import functional

from deid_ros.core.deidentification.alignment import GAINS
from deid_ros.core.deidentification.autoencoder import RING_SIGMA, face_weight, tone_weight
from deid_ros.core.deidentification.networks import FACE_SIZE

# By how much boxes waver, at most: their sizes as a share, and their places in halves of them.
_WAVERING = 0.06
# A step of luminance in −1…1: less contrast than this is none.
_LEAST_DEVIATION = 1 / 127.5


def surroundings(faces: np.ndarray) -> np.ndarray:
    """Return (N, 64, 64) uint8: what of each face is left where the new one does not reach.

    :param faces: (N, 64, 64) uint8 luminance.
    """
    return np.stack([cv2.GaussianBlur(face, (0, 0), RING_SIGMA * FACE_SIZE,
                                      borderType=cv2.BORDER_REPLICATE) for face in faces])


def in_frame(faces: torch.Tensor, photos: torch.Tensor, around: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, 64, 64) new faces as they are laid over photos.

    :param faces: (N, 1, 64, 64) in −1…1; `photos` those that they replace; `around` the
        `surroundings` of those.
    """
    weight, tone = (torch.from_numpy(each).to(faces.device)
                    for each in (face_weight(), tone_weight()))
    mean, deviation = _moments(faces, tone)
    wanted_mean, wanted_deviation = _moments(photos, tone)
    gain = (wanted_deviation / deviation).clamp(*GAINS)
    toned = ((faces - mean) * gain + wanted_mean).clamp(-1, 1)
    return around + weight * (toned - around)


def at_size(faces: torch.Tensor, size: int) -> torch.Tensor:
    """Return (N, 1, 64, 64) faces with the detail that they have at `size` pixels a side."""
    small = functional.interpolate(faces, size=(size, size), mode='bilinear', antialias=True,
                                   align_corners=False)
    return functional.interpolate(small, size=(FACE_SIZE, FACE_SIZE), mode='bicubic',
                                  align_corners=False)


def seen_again(photos: torch.Tensor, alignments: torch.Tensor, smallest: int,
               random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return photos as other frames may show them, and how they are aligned then.

    Each is moved and scaled as detectors' boxes waver, and all have less detail.

    :param photos: (N, 1, 64, 64); `alignments` (N, 2, 3) of these, see `alignments_of`.
    :param smallest: size of faces in pixels from which they are, up to 64.
    """
    count = len(photos)
    wavering = np.zeros((count, 2, 3), np.float32)
    wavering[:, 0, 0] = wavering[:, 1, 1] = 1 + random.uniform(-_WAVERING, _WAVERING, count)
    wavering[:, :, 2] = random.uniform(-_WAVERING, _WAVERING, (count, 2))
    moves = torch.from_numpy(wavering).to(photos.device)
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
