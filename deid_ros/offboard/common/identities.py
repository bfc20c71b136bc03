# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Crops without a track through a chain: each gets an identity of its own, by its pixels."""

import numpy as np

from deid_ros.core.backends.backend import Backend
from deid_ros.core.deidentification.identities import IdentityChooser

#: Figures must come out the same again; a node draws its own.
KEY = 'evaluate'
#: Of re-identification: it depends on the key who gets which identity, and so who is found.
KEYS = 4


def identities_of(faces: np.ndarray, count: int, key: str = KEY) -> np.ndarray:
    """Return (N,) int64: which of `count` synthetic identities each face gets."""
    chooser = IdentityChooser(count, key)
    return np.array([chooser.of(face.tobytes()) for face in faces], np.int64)


def new_faces_of(faces: np.ndarray, backend: Backend, key: str = KEY) -> np.ndarray:
    """Return what a chain makes of faces; see `Backend.run`."""
    count = backend.identity_count
    return backend.run(faces, identities_of(faces, count, key) if count else None)


def with_other_keys(faces: np.ndarray, backend: Backend, key: str = KEY) -> list[np.ndarray]:
    """Return the new faces with other keys, which make `KEYS` of them with the given one.

    There are none, if the chain chooses no identity.
    """
    return ([new_faces_of(faces, backend, f'{key} {number}') for number in range(2, KEYS + 1)]
            if backend.identity_count else [])
