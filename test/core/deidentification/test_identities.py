# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who gets which synthetic identity."""

import numpy as np

from deid_ros.core.deidentification.identities import IdentityChooser, draw_key
from deid_ros.core.faces import Box, Face

_CROPS = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)


def _faces(tracks):
    return [Face(Box(0, 0, 64, 64), 1.0, track=track) for track in tracks]


def test_a_track_keeps_its_identity_whatever_its_pixels_are():
    chooser = IdentityChooser(256, 'key')
    chosen = chooser.choose(_faces([7] * 40), _CROPS)
    assert len(set(chosen)) == 1
    assert chosen.dtype == np.int64


def test_tracks_and_crops_get_different_identities_evenly():
    chooser = IdentityChooser(8, 'key')
    for faces, crops in ((_faces(range(2000)), [_CROPS[0]] * 2000),
                         (_faces([None] * 2000), [bytes_of(number) for number in range(2000)])):
        counts = np.bincount(chooser.choose(faces, crops), minlength=8)
        # Binomial: 250 on average with a deviation of 15.
        assert counts.min() > 175
        assert counts.max() < 325


def bytes_of(number):
    return np.full((2, 2), number, np.int32).view(np.uint8)


def test_equal_images_stay_equal():
    chooser = IdentityChooser(1000, 'key')
    twice = chooser.choose(_faces([None, None]), [_CROPS[3], _CROPS[3].copy()])
    assert twice[0] == twice[1]


def test_another_key_gives_other_identities():
    faces = _faces(range(40))
    same, again, other = (IdentityChooser(1000, key).choose(faces, _CROPS)
                          for key in ('one', 'one', 'two'))
    assert np.array_equal(same, again)
    assert (same == other).mean() < 0.1


def test_without_a_key_each_run_has_its_own():
    faces = _faces(range(40))
    one, other = (IdentityChooser(1000).choose(faces, _CROPS) for _ in range(2))
    assert (one == other).mean() < 0.1
    assert draw_key() != draw_key()


def test_the_key_cannot_be_read_from_the_chooser():
    assert 'secret words' not in repr(vars(IdentityChooser(10, 'secret words')))
