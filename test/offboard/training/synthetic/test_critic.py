# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The critic learns to tell new faces from photos."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from deid_ros.offboard.training.synthetic.critic import (  # noqa: E402
    Critic,
    adversarial_loss,
    critic_loss,
    jittered,
)


def _trained(steps, made):
    """Return a critic and its losses.

    :param made: returns photos, their labels, faces, and their labels.
    """
    torch.manual_seed(0)
    critic = Critic(1)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3)
    losses = []
    for _ in range(steps):
        loss = critic_loss(critic, *made())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    return critic, losses


def test_the_critic_learns_to_tell_photos():
    smooth, label = torch.linspace(-1, 1, 64).expand(16, 1, 64, 64), torch.ones(16, 1)

    def noisy():
        return smooth + 0.5 * torch.randn_like(smooth)

    critic, losses = _trained(40, lambda: (smooth, label, noisy(), label))
    for photo, face in zip(critic(smooth, label), critic(noisy(), label), strict=True):
        assert photo.mean() > 0.5 > -0.5 > face.mean()
    assert losses[-1] < 0.5 * losses[0]
    assert adversarial_loss(critic(smooth, label)) < adversarial_loss(critic(noisy(), label))


def test_the_critic_learns_what_photos_show():
    labels = torch.tensor([[-1.0], [1.0]]).repeat(8, 1)
    # What has the label is bright above.
    photos = torch.full((16, 1, 64, 64), -0.5)
    photos[1::2, :, :32] = 0.5
    critic, _ = _trained(60, lambda: (photos, labels, photos, -labels))
    right, wrong = (adversarial_loss(critic(photos, each)) for each in (labels, -labels))
    assert right < wrong - 0.3


def test_a_steep_critic_is_wrong():
    class Brightness(torch.nn.Module):
        factor = 0.0

        def forward(self, faces, labels):
            return self.factor * faces.flatten(2).mean(2), torch.zeros(len(labels))

    dark, label, critic = torch.zeros(2, 1, 64, 64), torch.zeros(2, 1), Brightness()
    losses = []
    for critic.factor in (0.0, 64.0):
        losses.append(critic_loss(critic, dark, label, dark, label).item())
    # Its output changes by 1 with the norm of what it sees.
    assert losses == pytest.approx([2 * np.log(2), 2 * np.log(2) + 0.15], rel=1e-4)


def test_jittered_faces_are_moved_a_little():
    faces = torch.zeros(50, 1, 64, 64)
    faces[:, :, 30:34, 18:22] = 1
    moved = jittered(faces, np.random.default_rng(0))
    assert moved.shape == faces.shape
    mass = moved[:, 0].numpy() / moved[:, 0].sum((1, 2), keepdim=True).numpy()
    down = (mass.sum(axis=2) * np.arange(64)).sum(axis=1)
    right = (mass.sum(axis=1) * np.arange(64)).sum(axis=1)
    assert np.abs(down - 31.5).max() < 8
    mirrored = right > 31.5
    assert 10 < mirrored.sum() < 40
    assert np.abs(np.where(mirrored, 63 - right, right) - 19.5).max() < 8
    assert len(set(down.round(3))) > 40
