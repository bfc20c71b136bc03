# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is said of new faces while a chain for synthetic identities learns to make them."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('dlib')

from deid_ros.offboard.training.synthetic.judges import (  # noqa: E402
    Critic,
    Margins,
    Shown,
    critic_error,
    jittered,
    lasting_attributes,
    told_apart,
    unnatural,
    unrecognized,
)


def _described(*positions: float) -> 'torch.Tensor':
    """Return descriptors on a line."""
    result = torch.zeros(len(positions), 128)
    result[:, 0] = torch.tensor(positions)
    return result


_MARGINS = Margins(0.35, 0.95)
# Two people, each with the attributes of two photos, of others.
_TWO = Shown(torch.tensor([0, 0, 1, 1]), torch.arange(4), torch.tensor([0, 0, 1, 1]),
             torch.zeros(4, 4, dtype=torch.bool))


def test_people_who_are_told_apart_cost_nothing():
    assert told_apart(_described(0, 0.3, 2, 2.3), _TWO, _MARGINS) == 0


def test_what_is_confused_costs():
    # Looks of one person 0.45 instead of 0.35 apart, of two people.
    assert told_apart(_described(0, 0.45, 5, 5.45), _TWO, _MARGINS) == pytest.approx(
        2 * 0.1 ** 2, rel=1e-4)
    # Pairs of different people: 0.6, 1.05, 0.5 and 0.95 apart, each met twice; and one person's
    # looks, 0.45 apart.
    assert told_apart(_described(0, 0.1, 0.6, 1.05), _TWO, _MARGINS) == pytest.approx(
        (0.35 ** 2 + 0.45 ** 2) / 4 + 2 * 0.1 ** 2 / 2, rel=1e-4)


def test_rivals_count_as_much_as_all_others():
    rivals = _TWO._replace(photos=torch.tensor([0, 1, 0, 1]))
    described = _described(0, 0.3, 0.5, 5)
    alone = told_apart(described, _TWO, _MARGINS)
    # 0 and 0.5 have one photo's attributes, 0.3 and 5 another's.
    assert told_apart(described, rivals, _MARGINS) - alone == pytest.approx(0.45 ** 2 / 2,
                                                                            rel=1e-4)


def test_new_faces_are_to_be_far_from_their_photos():
    photos = _described(9, 9.3, -9, -9.3)
    assert unrecognized(_described(0, 0, 0, 0), photos, _TWO, _MARGINS) == 0
    photos[0] = _described(0.475)[0]
    assert unrecognized(_described(0, 0, 0, 0), photos, _TWO, _MARGINS) == pytest.approx(
        0.475 ** 2 / 4, rel=1e-4)


def test_new_faces_are_no_nearer_to_their_people_than_to_others_like_these():
    alike = _TWO._replace(alike=torch.ones(4, 4, dtype=torch.bool))
    photos = _described(3, 3, -3, -3)
    nearer = unrecognized(_described(1, 1, -1, -1), photos, alike, _MARGINS)
    farther = unrecognized(_described(-1, -1, 1, 1), photos, alike, _MARGINS)
    assert nearer > farther == 0
    # Where nobody is alike, nothing is asked.
    assert unrecognized(_described(1, 1, -1, -1), photos, _TWO, _MARGINS) == 0


def test_new_faces_of_one_person_are_no_nearer_to_each_other_than_to_others_like_these():
    # Two photos of each of two people who are alike, shown as two identities each.
    four = torch.arange(4).repeat_interleave(2)
    shown = Shown(four, torch.tensor([0, 1, 0, 1, 2, 3, 2, 3]), four // 2,
                  torch.ones(8, 8, dtype=torch.bool))
    photos = torch.zeros(8, 128)
    photos[:, 1] = 5
    linked = unrecognized(_described(1, 1, 1, 1, -1, -1, -1, -1), photos, shown, _MARGINS)
    unlinked = unrecognized(_described(1, 1, -1, -1, 1, 1, -1, -1), photos, shown, _MARGINS)
    # Others are 2 away, those of the same person 0.
    assert linked - unlinked == pytest.approx(0.2 * (2 + 0.03 * 0.95), rel=1e-4)
    # That one photo leads to the same new face with another identity is no worse.
    of_one_photo = shown._replace(photos=torch.zeros(8, dtype=torch.long))
    assert unrecognized(_described(1, 1, 1, 1, -1, -1, -1, -1), photos, of_one_photo, _MARGINS
                        ) == unlinked


def _taught(steps, made):
    """Return a critic and its errors.

    :param made: returns photos, what they show, faces, and what these should show.
    """
    torch.manual_seed(0)
    critic = Critic(1)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3)
    errors = []
    for _ in range(steps):
        error = critic_error(critic, *made())
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert np.isfinite(errors).all()
    return critic, errors


def test_the_critic_learns_to_tell_photos():
    smooth, label = torch.linspace(-1, 1, 64).expand(16, 1, 64, 64), torch.ones(16, 1)

    def noisy():
        return smooth + 0.5 * torch.randn_like(smooth)

    critic, errors = _taught(40, lambda: (smooth, label, noisy(), label))
    for photo, face in zip(critic(smooth, label), critic(noisy(), label), strict=True):
        assert photo.mean() > 0.5 > -0.5 > face.mean()
    assert errors[-1] < 0.5 * errors[0]
    assert unnatural(critic(smooth, label)) < unnatural(critic(noisy(), label))


def test_the_critic_learns_what_photos_show():
    labels = torch.tensor([[-1.0], [1.0]]).repeat(8, 1)
    # What has the label is bright above.
    photos = torch.full((16, 1, 64, 64), -0.5)
    photos[1::2, :, :32] = 0.5
    critic, _ = _taught(60, lambda: (photos, labels, photos, -labels))
    assert unnatural(critic(photos, labels)) < unnatural(critic(photos, -labels)) - 0.3


def test_a_steep_critic_is_wrong():
    class Brightness(torch.nn.Module):
        factor = 0.0

        def forward(self, faces, labels):
            return self.factor * faces.flatten(2).mean(2), torch.zeros(len(labels))

    dark, label, critic = torch.zeros(2, 1, 64, 64), torch.zeros(2, 1), Brightness()
    errors = []
    for critic.factor in (0.0, 64.0):
        errors.append(critic_error(critic, dark, label, dark, label).item())
    # Its output changes by 1 with the norm of what it sees.
    assert errors == pytest.approx([2 * np.log(2), 2 * np.log(2) + 0.15], rel=1e-4)


def test_lasting_attributes_are_told_from_descriptors():
    random = np.random.default_rng(0)
    described = random.normal(size=(300, 128))
    labels = np.stack([described[:, 5] > 0, described[:, 7] < 0.5])
    odds = lasting_attributes(described, labels)(torch.from_numpy(described).float()).numpy()
    assert ((odds.T > 0) == labels).mean() > 0.95


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
