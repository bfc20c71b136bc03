# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The critic: a discriminator that learns to tell new faces from photos."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# Weight of the gradient penalty in `critic_loss`.
_GRADIENT_PENALTY = 0.3
# Size of the features of a whole face.
_FEATURES = 256
# Largest shift and change of scale of `jittered` faces.
_SHIFT, _SCALE = 0.08, 0.06


class Critic(nn.Module):
    """A discriminator that is conditioned on labels.

    It has an output for each patch of a face and one for the whole. The output for the whole is a
    projection discriminator: T. Miyato and M. Koyama, "cGANs with projection discriminator", 2018.

    :param labels: the number of labels of a face.
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
        self._whole = nn.Linear(_FEATURES, 1)
        self._projection = nn.Linear(labels, _FEATURES, bias=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, faces: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return logits for patches, (N, 25), and for whole faces, (N,); above 0 for photos.

        :param faces: (N, 1, 64, 64); `labels` (N, L) of these.
        """
        values = self._layers(faces)
        features = self._features(values)
        whole = self._whole(features)[:, 0] + (self._projection(labels) * features).mean(dim=1)
        return self._patches(values).flatten(1).float(), whole.float()


def critic_loss(critic: Critic, photos: torch.Tensor, of_photos: torch.Tensor,
                faces: torch.Tensor, of_faces: torch.Tensor) -> torch.Tensor:
    """Return the loss of the critic on photos and new faces, (N, 1, 64, 64) each.

    It is the logistic loss with the R1 penalty on gradients at photos: L. Mescheder et al., "Which
    training methods for GANs do actually converge?", 2018.

    :param of_photos: (N, L) labels of the photos; `of_faces` of the new faces.
    """
    photos = photos.detach().requires_grad_()
    logits = critic(photos, of_photos)
    gradients, = torch.autograd.grad(torch.stack([
        each.reshape(len(photos), -1).mean(1).sum() for each in logits]).sum(), photos,
        create_graph=True)
    return (adversarial_loss(logits)
            + adversarial_loss(tuple(-each for each in critic(faces, of_faces)))
            + _GRADIENT_PENALTY / 2 * gradients.square().sum((1, 2, 3)).mean())


def adversarial_loss(logits: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return the logistic loss of faces that the critic should take for photos."""
    return torch.stack([functional.softplus(-each).mean() for each in logits]).mean()


def jittered(faces: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Return (N, 1, 64, 64) faces moved and scaled a little, some mirrored.

    So a network that sees them cannot be fooled by single pixels.
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
