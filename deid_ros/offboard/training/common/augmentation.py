# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Augmentation of training faces, and their conversion to tensors."""

import math

import cv2
import numpy as np
import torch
from torch.nn import functional

from deid_ros.core.deidentification.networks import FACE_SIZE
from deid_ros.offboard.common.datasets import CONTEXT
from deid_ros.offboard.training.common.compositing import at_size
from deid_ros.offboard.training.common.recipe import Augmentation

_CHUNK = 1024


def planes(pixels: np.ndarray, color: bool) -> torch.Tensor:
    """Return (N, H, W, 3) uint8 BGR faces as (N, C, H, W) uint8: BGR planes or luminance."""
    if color:
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    gray = np.stack([cv2.cvtColor(face, cv2.COLOR_BGR2GRAY) for face in pixels])
    return torch.from_numpy(gray[:, None])


def view(faces: torch.Tensor, augmentation: Augmentation | None, seed: int) -> torch.Tensor:
    """Return one augmented view of the faces: moved, scaled, turned, some mirrored.

    :param faces: (N, C, 96, 96) uint8, crops with context.
    :param augmentation: None for the tight boxes without changes.
    :param seed: the same seed gives the same view.
    :return: (N, C, 64, 64) float32 in −1…1.
    """
    change = augmentation or Augmentation(flip=False)
    generator = torch.Generator().manual_seed(seed)

    def even(limit: float) -> torch.Tensor:
        return (2 * torch.rand(len(faces), generator=generator) - 1) * limit

    angle = even(math.radians(change.rotation))
    scale = (1 + even(change.scale)) / CONTEXT
    # In the units of affine_grid, the crop with context is 2 wide.
    x, y = even(change.shift) * 2 / CONTEXT, even(change.shift) * 2 / CONTEXT
    mirror = torch.ones(len(faces))
    if change.flip:
        mirror -= 2 * torch.randint(0, 2, (len(faces),), generator=generator)
    affine = torch.stack([
        torch.stack([mirror * scale * angle.cos(), -scale * angle.sin(), x], 1),
        torch.stack([mirror * scale * angle.sin(), scale * angle.cos(), y], 1)], 1)
    result = torch.empty(len(faces), faces.shape[1], FACE_SIZE, FACE_SIZE)
    for start in range(0, len(faces), _CHUNK):
        part = slice(start, start + _CHUNK)
        pixels = faces[part].float() / 127.5 - 1
        grid = functional.affine_grid(
            affine[part], [len(pixels), faces.shape[1], FACE_SIZE, FACE_SIZE], align_corners=False)
        result[part] = functional.grid_sample(pixels, grid, padding_mode='border',
                                              align_corners=False)
    return result


def with_light_jitter(faces: torch.Tensor, augmentation: Augmentation | None, seed: int
                      ) -> torch.Tensor:
    """Return faces with other contrast and brightness, half of them with less detail.

    :param faces: (N, 1, 64, 64) float32 in −1…1, as the result.
    :param augmentation: None for the faces without changes.
    """
    if augmentation is None:
        return faces
    generator = torch.Generator().manual_seed(seed)
    contrast, brightness = augmentation.light * torch.randn(2, len(faces), 1, 1, 1,
                                                            generator=generator)
    lit = (faces * contrast.exp() + brightness).clamp(-1, 1)
    # Each size is used for the same number of faces.
    sides = range(augmentation.detail, FACE_SIZE)
    coarse = torch.randperm(len(faces), generator=generator)[:len(faces) // 2]
    for side, chosen in zip(sides, coarse.tensor_split(max(len(sides), 1)), strict=False):
        lit[chosen] = at_size(lit[chosen], side)
    return lit


def pixels(faces: torch.Tensor) -> np.ndarray:
    """Return (N, 1, 64, 64) float32 faces in −1…1 as (N, 64, 64) uint8 luminance."""
    values = (faces[:, 0].clamp(-1, 1) + 1) * 127.5
    return values.round().to(torch.uint8).cpu().numpy()


def blurred(faces: torch.Tensor, sigma_limit: float, seed: int) -> torch.Tensor:
    """Return the faces with Gaussian blurs, each with its own σ between 0 and the limit.

    :param faces: (N, C, H, W) float32.
    :param sigma_limit: in pixels.
    """
    sigmas = sigma_limit * torch.rand(len(faces), generator=torch.Generator().manual_seed(seed))
    result = torch.empty_like(faces)
    for face, target, sigma in zip(faces, result, sigmas.tolist(), strict=True):
        blurred_face = cv2.GaussianBlur(face.permute(1, 2, 0).numpy(), (0, 0), max(sigma, 0.05),
                                        borderType=cv2.BORDER_REPLICATE)
        target.copy_(torch.from_numpy(blurred_face.reshape(
            face.shape[1], face.shape[2], -1)).permute(2, 0, 1))
    return result
