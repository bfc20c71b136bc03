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
# Of a whole face, as many tell the critic what it shows.
_FEATURES = 256
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
    say: who is sought among those should not be found more often than by chance. Nor is that person
    to be found by new faces that were made of other photos of that person for another identity.

    :param described: (N, D) descriptors of new faces; `photos` (N, D) of what they take after.
    """
    between = _distances(described, photos)
    own = _equal(shown.people)
    other_identity = ~_equal(shown.subjects)
    return (functional.relu(margins.other - between.diagonal()).square().mean()
            + _FINDABLE * (_found(between, own, shown.alike & ~own, margins)
                           + _found(_distances(described, described),
                                    own & other_identity & ~_equal(shown.photos),
                                    shown.alike & ~own & other_identity, margins)))


def _found(between: torch.Tensor, own: torch.Tensor, others: torch.Tensor, margins: Margins
           ) -> torch.Tensor:
    """Return how much nearer faces are to those of their own person than to those of others."""
    nearer = (_mean(between, others) - _mean(between, own))[own.any(dim=1) & others.any(dim=1)]
    return functional.relu(nearer + _UNFOUND * margins.other).sum() / len(between)


def _distances(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.cdist(one, other, compute_mode='donot_use_mm_for_euclid_dist')


def _equal(numbers: torch.Tensor) -> torch.Tensor:
    return numbers[:, None] == numbers[None]


def _mean(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return the mean of the chosen ones in each row."""
    return (values * chosen).sum(dim=1) / chosen.sum(dim=1).clamp(min=1)


class Critic(nn.Module):
    """A network that judges whether faces are photos, and of what they are said to show.

    It looks at patches of a face and at the whole. That a whole face is natural and that it shows
    what it should are told from the same features, after T. Miyato and M. Koyama, "cGANs with
    projection discriminator", 2018.

    :param labels: how many numbers say what a face shows.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((1, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.2)]
        self._layers = nn.Sequential(*layers)
        self._patches = nn.Conv2d(128, 1, 4)
        self._features = nn.Sequential(nn.Conv2d(128, 256, 4, 2, 1), nn.LeakyReLU(0.2),
                                       nn.Conv2d(256, _FEATURES, 4), nn.LeakyReLU(0.2),
                                       nn.Flatten())
        self._natural = nn.Linear(_FEATURES, 1)
        self._shown = nn.Linear(labels, _FEATURES, bias=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, faces: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return judgements of patches, (N, 25), and of the whole, (N,): above 0, it is a photo.

        :param faces: (N, 1, 64, 64); `labels` (N, L) what they are to show.
        """
        seen = self._layers(faces)
        features = self._features(seen)
        whole = self._natural(features)[:, 0] + (self._shown(labels) * features).mean(dim=1)
        return self._patches(seen).flatten(1).float(), whole.float()


def critic_error(critic: Critic, photos: torch.Tensor, of_photos: torch.Tensor,
                 faces: torch.Tensor, of_faces: torch.Tensor) -> torch.Tensor:
    """Return how badly a critic tells new faces from photos, (N, 1, 64, 64) each.

    That is the logistic loss with a penalty on its gradients at photos, R1 of L. Mescheder et al.,
    "Which training methods for GANs do actually converge?", 2018.

    :param of_photos: (N, L) what the photos show; `of_faces` what the new faces are to show.
    """
    photos = photos.detach().requires_grad_()
    judged = critic(photos, of_photos)
    gradients, = torch.autograd.grad(torch.stack([
        each.reshape(len(photos), -1).mean(1).sum() for each in judged]).sum(), photos,
        create_graph=True)
    return (unnatural(judged) + unnatural(tuple(-each for each in critic(faces, of_faces)))
            + _STEEPNESS / 2 * gradients.square().sum((1, 2, 3)).mean())


def unnatural(judged: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return how little what a critic judges seems a photo to it: the logistic loss."""
    return torch.stack([functional.softplus(-each).mean() for each in judged]).mean()


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
