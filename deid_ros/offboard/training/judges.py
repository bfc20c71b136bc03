# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is said of new faces while a chain learns to make them."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional

# What the penalty of `critic_error` weighs.
_STEEPNESS = 0.3
# What it weighs that people are found more often than by chance, and the share of the margin by
# which they should be farther than others who are alike.
_FINDABLE, _UNFOUND = 0.2, 0.03
# How far `jittered` faces are moved, and by how much they are scaled, at most.
_SHIFT, _SCALE = 0.08, 0.06


class Margins(NamedTuple):
    """Distances of descriptors: nearer than `same` is surely one person, beyond `other` another."""

    same: float
    other: float


class Shown(NamedTuple):
    """Which of some new faces are of one made-up person, and which photo each takes after.

    :ivar subjects: (N,) whose the new faces are; `photos` (N,) whose attributes they have.
    :ivar people: (N,) whose photos these are.
    :ivar alike: (N, N) bool: the person of one photo cannot be told from that of another by lasting
        attributes, as gender.
    """

    subjects: torch.Tensor
    photos: torch.Tensor
    people: torch.Tensor
    alike: torch.Tensor


def told_apart(described: torch.Tensor, shown: Shown, margins: Margins) -> torch.Tensor:
    """Return how badly made-up people are told from each other.

    Rivals, who have the attributes of one photo, count as much as all others together.

    :param described: (N, D) descriptors of new faces.
    """
    between = _distances(described, described)
    same = _equal(shown.subjects)
    itself = torch.eye(len(described), dtype=torch.bool, device=described.device)
    rivals = between[_equal(shown.photos) & ~same]
    return (2 * functional.relu(between[same & ~itself] - margins.same).square().mean()
            + sum(functional.relu(margins.other - apart).square().mean()
                  for apart in (between[~same], rivals) if len(apart)))


def unrecognized(described: torch.Tensor, photos: torch.Tensor, shown: Shown, margins: Margins
                 ) -> torch.Tensor:
    """Return how much new faces tell of the people whose attributes they have.

    They are to be far from these, and no nearer than to people who are as like as attributes can
    say: who is sought among those should not be found more often than by chance.

    :param described: (N, D) descriptors of new faces; `photos` (N, D) of what they take after.
    """
    between = _distances(described, photos)
    own = _equal(shown.people)
    others = shown.alike & ~own
    nearer = (_mean(between, others) - _mean(between, own))[others.any(dim=1)]
    return (functional.relu(margins.other - between.diagonal()).square().mean()
            + _FINDABLE * functional.relu(nearer + _UNFOUND * margins.other).sum() / len(described))


def _distances(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.cdist(one, other, compute_mode='donot_use_mm_for_euclid_dist')


def _equal(numbers: torch.Tensor) -> torch.Tensor:
    return numbers[:, None] == numbers[None]


def _mean(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return the mean of the chosen ones in each row."""
    return (values * chosen).sum(dim=1) / chosen.sum(dim=1).clamp(min=1)


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
