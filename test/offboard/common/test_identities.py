# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which synthetic identities crops get that have no track."""

from types import SimpleNamespace

import numpy as np

from deid_ros.offboard.common.identities import (
    KEYS,
    identities_of,
    new_faces_of,
    with_other_keys,
)


def test_faces_get_the_same_identities_again_and_others_with_another_key():
    faces = np.random.default_rng(0).integers(0, 256, (200, 64, 64), np.uint8)
    one, again, other = (identities_of(faces, 10, key) for key in ('one', 'one', 'other'))
    assert np.array_equal(one, again)
    assert set(one) == set(other) == set(range(10))
    # By chance, a tenth are the same.
    assert (one == other).mean() < 0.25


def test_only_where_identities_are_chosen_other_keys_give_others():
    faces = np.zeros((20, 64, 64), np.uint8) + np.arange(20, dtype=np.uint8)[:, None, None]
    chain = SimpleNamespace(identity_count=10, run=lambda faces, identities: identities)
    made = [new_faces_of(faces, chain), *with_other_keys(faces, chain)]
    assert len(made) == KEYS
    assert len({tuple(each) for each in made}) == KEYS
    plain = SimpleNamespace(identity_count=0, run=lambda faces, identities: faces)
    assert with_other_keys(faces, plain) == []
