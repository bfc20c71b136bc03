# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Losses on the descriptors of new faces."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('dlib')

from deid_ros.offboard.training.synthetic.losses import (  # noqa: E402
    BatchLabels,
    Margins,
    attribute_classifier,
    identity_loss,
    reidentification_loss,
)


def _described(*positions: float) -> 'torch.Tensor':
    """Return descriptors on a line."""
    result = torch.zeros(len(positions), 128)
    result[:, 0] = torch.tensor(positions)
    return result


_MARGINS = Margins(0.35, 0.95)
# Two identities, each with the attributes of two photos of another person.
_TWO = BatchLabels(torch.tensor([0, 0, 1, 1]), torch.arange(4), torch.tensor([0, 0, 1, 1]),
             torch.zeros(4, 4, dtype=torch.bool))


def test_distinct_identities_cost_nothing():
    assert identity_loss(_described(0, 0.3, 2, 2.3), _TWO, _MARGINS) == 0


def test_what_is_confused_costs():
    # Faces of one identity are 0.45 instead of 0.35 apart, for two identities.
    assert identity_loss(_described(0, 0.45, 5, 5.45), _TWO, _MARGINS) == pytest.approx(
        2 * 0.1 ** 2, rel=1e-4)
    # Pairs of different identities: 0.6, 1.05, 0.5 and 0.95 apart, each counted twice; and the
    # faces of one identity, 0.45 apart.
    assert identity_loss(_described(0, 0.1, 0.6, 1.05), _TWO, _MARGINS) == pytest.approx(
        (0.35 ** 2 + 0.45 ** 2) / 4 + 2 * 0.1 ** 2 / 2, rel=1e-4)


def test_pairs_of_one_photo_count_as_much_as_all_others():
    same_photos = _TWO._replace(photos=torch.tensor([0, 1, 0, 1]))
    described = _described(0, 0.3, 0.5, 5)
    alone = identity_loss(described, _TWO, _MARGINS)
    # 0 and 0.5 have one photo's attributes, 0.3 and 5 another's.
    assert identity_loss(described, same_photos, _MARGINS) - alone == pytest.approx(0.45 ** 2 / 2,
                                                                            rel=1e-4)


def test_new_faces_are_to_be_far_from_their_photos():
    photos = _described(9, 9.3, -9, -9.3)
    assert reidentification_loss(_described(0, 0, 0, 0), photos, _TWO, _MARGINS) == 0
    photos[0] = _described(0.475)[0]
    assert reidentification_loss(_described(0, 0, 0, 0), photos, _TWO, _MARGINS) == pytest.approx(
        0.475 ** 2 / 4, rel=1e-4)


def test_new_faces_are_no_nearer_to_their_people_than_to_others_like_these():
    alike = _TWO._replace(alike=torch.ones(4, 4, dtype=torch.bool))
    photos = _described(3, 3, -3, -3)
    nearer = reidentification_loss(_described(1, 1, -1, -1), photos, alike, _MARGINS)
    farther = reidentification_loss(_described(-1, -1, 1, 1), photos, alike, _MARGINS)
    assert nearer > farther == 0
    # Without people who are alike, nothing is asked.
    assert reidentification_loss(_described(1, 1, -1, -1), photos, _TWO, _MARGINS) == 0


def test_new_faces_of_one_person_are_no_nearer_to_each_other_than_to_others_like_these():
    # Two photos of each of two people who are alike, shown as two identities each.
    four = torch.arange(4).repeat_interleave(2)
    labels = BatchLabels(four, torch.tensor([0, 1, 0, 1, 2, 3, 2, 3]), four // 2,
                  torch.ones(8, 8, dtype=torch.bool))
    photos = torch.zeros(8, 128)
    photos[:, 1] = 5
    by_person = _described(1, 1, 1, 1, -1, -1, -1, -1)
    by_identity = _described(1, 1, -1, -1, 1, 1, -1, -1)
    linked = reidentification_loss(by_person, photos, labels, _MARGINS)
    unlinked = reidentification_loss(by_identity, photos, labels, _MARGINS)
    # Others are 2 away, those of the same person 0.
    assert linked - unlinked == pytest.approx(0.2 * (2 + 0.03 * 0.95), rel=1e-4)
    # That one photo leads to the same new face with another identity is no worse.
    of_one_photo = labels._replace(photos=torch.zeros(8, dtype=torch.long))
    assert reidentification_loss(by_person, photos, of_one_photo, _MARGINS) == unlinked


def test_attributes_are_classified_by_descriptors():
    random = np.random.default_rng(0)
    described = random.normal(size=(300, 128))
    labels = np.stack([described[:, 5] > 0, described[:, 7] < 0.5])
    odds = attribute_classifier(described, labels)(torch.from_numpy(described).float()).numpy()
    assert ((odds.T > 0) == labels).mean() > 0.95
