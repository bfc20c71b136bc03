# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is said of new faces while a chain learns to make them."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional

# Distances of descriptors: 0.6 with margins.
_SAME, _OTHER = 0.35, 0.95
# What the penalty of `critic_error` weighs.
_STEEPNESS = 0.3
# How far `jittered` faces are moved, and by how much they are scaled, at most.
_SHIFT, _SCALE = 0.08, 0.06


def told_apart(described: torch.Tensor, subjects: torch.Tensor, photos: torch.Tensor
               ) -> torch.Tensor:
    """Return how badly made-up people are told from each other and from people.

    :param described: (N, 128) descriptors of new faces; `subjects` (N,) whose they are.
    :param photos: (N, 128) descriptors of the faces that the attributes are of.
    """
    between = torch.cdist(described, described, compute_mode='donot_use_mm_for_euclid_dist')
    same = subjects[:, None] == subjects[None]
    others = between[~same]
    looks = between[same & ~torch.eye(len(subjects), dtype=torch.bool, device=same.device)]
    to_photos = (described - photos).norm(dim=1)
    return (2 * functional.relu(looks - _SAME).square().mean()
            + 2 * functional.relu(_OTHER - others).square().mean()
            + functional.relu(_OTHER - to_photos).square().mean())


def make_critic() -> nn.Sequential:
    """Return a network that judges patches of (N, 1, 64, 64) faces: above 0, they are photos."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.2)]
    critic = nn.Sequential(*layers, nn.Conv2d(128, 1, 4))
    return critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def critic_error(critic: nn.Module, photos: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Return how badly a critic tells new faces from photos, (N, 1, 64, 64) each.

    That is the logistic loss with a penalty on its gradients at photos, R1 of L. Mescheder et al.,
    "Which training methods for GANs do actually converge?", 2018.
    """
    photos = photos.detach().requires_grad_()
    judged = critic(photos).float()
    gradients, = torch.autograd.grad(judged.mean((1, 2, 3)).sum(), photos, create_graph=True)
    return (functional.softplus(-judged).mean() + functional.softplus(critic(faces).float()).mean()
            + _STEEPNESS / 2 * gradients.square().sum((1, 2, 3)).mean())


def lasting_attributes(described: np.ndarray, labels: np.ndarray) -> nn.Linear:
    """Return a layer from descriptors to the log odds of attributes that stay with a person.

    :param described: (N, 128) descriptors of photos; `labels` (A, N) bool.
    """
    found = [LogisticRegression(max_iter=1000).fit(described, label) for label in labels]
    layer = nn.Linear(described.shape[1], len(found))
    layer.load_state_dict({
        'weight': torch.from_numpy(np.concatenate([each.coef_ for each in found])),
        'bias': torch.from_numpy(np.concatenate([each.intercept_ for each in found]))})
    return layer.requires_grad_(False)


def jittered(faces: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Return (N, 1, 64, 64) faces moved and scaled a little, some mirrored.

    A judge that sees them so cannot be won over by single pixels.
    """
    count = len(faces)
    affine = np.zeros((count, 2, 3), np.float32)
    scale = 1 + random.uniform(-_SCALE, _SCALE, count)
    affine[:, 0, 0] = scale * random.choice([-1, 1], count)
    affine[:, 1, 1] = scale
    affine[:, :, 2] = random.uniform(-2 * _SHIFT, 2 * _SHIFT, (count, 2))
    grid = functional.affine_grid(torch.from_numpy(affine).to(faces.device), list(faces.shape),
                                  align_corners=False)
    return functional.grid_sample(faces, grid, padding_mode='border', align_corners=False)
