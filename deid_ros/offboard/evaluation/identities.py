# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Crops without a track through a chain: each gets an identity of its own, by its pixels."""

import numpy as np

from deid_ros.core.backends.backend import Backend
from deid_ros.core.deidentification.identities import IdentityChooser

#: Figures must come out the same again; a node draws its own.
KEY = 'evaluate'


def identities_of(faces: np.ndarray, count: int, key: str = KEY) -> np.ndarray:
    """Return (N,) int64: which of `count` synthetic identities each face gets."""
    chooser = IdentityChooser(count, key)
    return np.array([chooser.of(face.tobytes()) for face in faces], np.int64)


def new_faces_of(faces: np.ndarray, backend: Backend, key: str = KEY) -> np.ndarray:
    """Return what a chain makes of faces; see `Backend.run`."""
    count = backend.identity_count
    return backend.run(faces, identities_of(faces, count, key) if count else None)
