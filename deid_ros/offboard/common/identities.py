# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""New faces for crops without tracks: the identity of each is chosen by its pixels."""

import numpy as np

from deid_ros.core.backends.backend import Backend
from deid_ros.core.deidentification.identities import IdentityChooser

#: A fixed key, so that figures can be reproduced; a node draws a random one.
KEY = 'evaluate'
#: Number of keys for re-identification, whose figures depend on the key.
KEYS = 4


def identities_of(faces: np.ndarray, count: int, key: str = KEY) -> np.ndarray:
    """Return (N,) int64: the number of each face's synthetic identity, below `count`."""
    chooser = IdentityChooser(count, key)
    return np.array([chooser.of(face.tobytes()) for face in faces], np.int64)


def new_faces_of(faces: np.ndarray, backend: Backend, key: str = KEY) -> np.ndarray:
    """Return the new faces of a chain; see `Backend.run`."""
    count = backend.identity_count
    return backend.run(faces, identities_of(faces, count, key) if count else None)


def with_other_keys(faces: np.ndarray, backend: Backend, key: str = KEY) -> list[np.ndarray]:
    """Return new faces with `KEYS` − 1 other keys; none if the chain chooses no identities."""
    return ([new_faces_of(faces, backend, f'{key} {number}') for number in range(2, KEYS + 1)]
            if backend.identity_count else [])
