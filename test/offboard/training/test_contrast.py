# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain for synthetic identities: what it is taught, and what comes of it."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('dlib')

from deid_ros.offboard.training import contrast  # noqa: E402
from deid_ros.offboard.training.contrast import (  # noqa: E402
    Maker,
    SmoothLinear,
    told_apart,
)


def _described(*positions: float) -> 'torch.Tensor':
    """Return descriptors on a line."""
    result = torch.zeros(len(positions), 128)
    result[:, 0] = torch.tensor(positions)
    return result


_FAR_AWAY = torch.full((4, 128), 9.0)


def test_people_who_are_told_apart_cost_nothing():
    described = _described(0, 0.3, 2, 2.3)
    assert told_apart(described, torch.tensor([0, 0, 1, 1]), _FAR_AWAY) == 0


def test_what_is_confused_costs():
    subjects = torch.tensor([0, 0, 1, 1])
    # Looks of one person 0.45 instead of 0.35 apart, of two people.
    assert told_apart(_described(0, 0.45, 5, 5.45), subjects, _FAR_AWAY) == pytest.approx(
        2 * 0.1 ** 2, rel=1e-4)
    # One pair in four of different people 0.5 apart instead of 0.95; each is met twice.
    assert told_apart(_described(0, 0.1, 0.6, 1.05), subjects, _FAR_AWAY) == pytest.approx(
        2 * (0.35 ** 2 + 0.45 ** 2) / 4 + 2 * 0.1 ** 2 / 2, rel=1e-4)
    # Half as far from the photo as it should be, one of four.
    photos = _FAR_AWAY.clone()
    photos[0] = _described(0.475)[0]
    assert told_apart(_described(0, 0.3, 2, 2.3), subjects, photos) == pytest.approx(
        0.475 ** 2 / 4, rel=1e-4)


def _learned(layer: SmoothLinear) -> SmoothLinear:
    torch.manual_seed(1)
    with torch.no_grad():
        for each in layer.parameters():
            if each.requires_grad:
                each.normal_()
    return layer


def test_a_smooth_layer_starts_as_it_was_and_merges():
    base = torch.nn.Linear(5, 4096)
    values = torch.randn(3, 5)
    expected = base(values)
    layer = SmoothLinear(base)
    assert torch.equal(layer(values), expected)
    assert torch.allclose(_learned(layer).merged()(values), layer(values), atol=1e-4)


def test_a_smooth_layer_learns_what_is_smooth():
    base = torch.nn.Linear(5, 4096)
    before = base.weight.detach().clone()
    merged = _learned(SmoothLinear(base)).merged()
    learned = (merged.weight - before).detach().reshape(64, 64, 5)
    neighbours = (learned[:, 1:] - learned[:, :-1]).square().mean() / learned.square().mean()
    assert neighbours < 0.6  # of noise: 2
    assert torch.equal(base.weight, before)


def test_a_maker_stores_what_it_makes():
    torch.manual_seed(0)
    decoder = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 4096),
                                  torch.nn.Unflatten(1, (1, 64, 64)))
    maker = Maker(torch.nn.Sequential(torch.nn.Linear(3, 4)), decoder,
                  torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1)))
    for each in maker.decoder_parameters():
        with torch.no_grad():
            each.add_(0.1 * torch.randn_like(each))
    codes, identities = torch.randn(2, 3), torch.randn(2, 4)
    stored = torch.nn.Sequential(*maker.merged_decoder(), *maker.finish)
    assert torch.allclose(stored(maker.tail(codes) + identities), maker(codes, identities),
                          atol=1e-4)


def test_the_critic_learns_to_tell_photos():
    torch.manual_seed(0)
    critic = contrast.make_critic()
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3)
    smooth = torch.linspace(-1, 1, 64).expand(16, 1, 64, 64)
    for _ in range(40):
        noisy = smooth + 0.5 * torch.randn_like(smooth)
        loss = (1 - critic(smooth)).relu().mean() + (1 + critic(noisy)).relu().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert critic(smooth).mean() > 0.5 > -0.5 > critic(noisy).mean()
    assert np.isfinite(loss.item())
