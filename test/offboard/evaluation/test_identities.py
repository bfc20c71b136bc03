# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which synthetic identities crops get that have no track."""

import numpy as np

from deid_ros.offboard.evaluation.identities import identities_of


def test_faces_get_the_same_identities_again_and_others_with_another_key():
    faces = np.random.default_rng(0).integers(0, 256, (200, 64, 64), np.uint8)
    one, again, other = (identities_of(faces, 10, key) for key in ('one', 'one', 'other'))
    assert np.array_equal(one, again)
    assert set(one) == set(other) == set(range(10))
    # By chance, a tenth are the same.
    assert (one == other).mean() < 0.25
