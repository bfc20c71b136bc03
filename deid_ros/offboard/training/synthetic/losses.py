# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Losses on the descriptors of new faces: of their identities, and of re-identification."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional

# Weight of `_retrieval_loss`, and its margin as a share of `Margins.other`.
_RETRIEVAL_WEIGHT, _RETRIEVAL_MARGIN = 0.2, 0.03


class Margins(NamedTuple):
    """Distances of descriptors: below `same` is surely one person, above `other` surely two."""

    same: float
    other: float


class BatchLabels(NamedTuple):
    """For each face of a batch: its synthetic identity, and the photo with its attributes.

    :ivar identities: (N,) numbers of the synthetic identities.
    :ivar photos: (N,) numbers of the photos whose attributes the new faces have.
    :ivar people: (N,) numbers of the people in these photos.
    :ivar alike: (N, N) bool: whether the people of two photos have the same soft biometrics.
    """

    identities: torch.Tensor
    photos: torch.Tensor
    people: torch.Tensor
    alike: torch.Tensor


def identity_loss(described: torch.Tensor, labels: BatchLabels, margins: Margins) -> torch.Tensor:
    """Return a contrastive loss: faces of one synthetic identity are near, others far apart.

    Pairs of two identities with the attributes of one photo weigh as much as all pairs of two
    identities together.

    :param described: (N, D) descriptors of new faces.
    """
    between = _distances(described, described)
    same = _equal(labels.identities)
    itself = torch.eye(len(described), dtype=torch.bool, device=described.device)
    same_photo = between[_equal(labels.photos) & ~same]
    return (2 * functional.relu(between[same & ~itself] - margins.same).square().mean()
            + sum(functional.relu(margins.other - apart).square().mean()
                  for apart in (between[~same], same_photo) if len(apart)))


def reidentification_loss(described: torch.Tensor, photos: torch.Tensor, labels: BatchLabels,
                          margins: Margins) -> torch.Tensor:
    """Return how well new faces identify the people whose attributes they have.

    A new face should be far from the photo with its attributes. It should not be nearer to photos
    of that person than to photos of people with the same soft biometrics, so that a search among
    these finds the person by chance only. The same holds for the distance to new faces that were
    made of other photos of that person for another identity.

    :param described: (N, D) descriptors of new faces; `photos` (N, D) of the photos with their
        attributes.
    """
    between = _distances(described, photos)
    own = _equal(labels.people)
    other_identity = ~_equal(labels.identities)
    return (functional.relu(margins.other - between.diagonal()).square().mean()
            + _RETRIEVAL_WEIGHT * (
                _retrieval_loss(between, own, labels.alike & ~own, margins)
                + _retrieval_loss(_distances(described, described),
                                  own & other_identity & ~_equal(labels.photos),
                                  labels.alike & ~own & other_identity, margins)))


def _retrieval_loss(between: torch.Tensor, own: torch.Tensor, others: torch.Tensor,
                    margins: Margins) -> torch.Tensor:
    """Return how much nearer faces are to their own person than to others, on average."""
    nearer = (_mean(between, others) - _mean(between, own))[own.any(dim=1) & others.any(dim=1)]
    return functional.relu(nearer + _RETRIEVAL_MARGIN * margins.other).sum() / len(between)


def _distances(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.cdist(one, other, compute_mode='donot_use_mm_for_euclid_dist')


def _equal(numbers: torch.Tensor) -> torch.Tensor:
    return numbers[:, None] == numbers[None]


def _mean(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return the mean of the chosen values in each row."""
    return (values * chosen).sum(dim=1) / chosen.sum(dim=1).clamp(min=1)


def attribute_classifier(described: np.ndarray, labels: np.ndarray) -> nn.Linear:
    """Return a layer from descriptors to the log odds of attributes: logistic regression.

    :param described: (N, 128) descriptors of photos; `labels` (A, N) bool.
    """
    found = [LogisticRegression(max_iter=1000).fit(described, label) for label in labels]
    layer = nn.Linear(described.shape[1], len(found))
    layer.load_state_dict({
        'weight': torch.from_numpy(np.concatenate([each.coef_ for each in found])),
        'bias': torch.from_numpy(np.concatenate([each.intercept_ for each in found]))})
    return layer.requires_grad_(False)
