# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which synthetic identity a face gets: a secret, and the same one along a track.

The choice is a keyed pseudo-random function: without the key, the identity of a new face tells
neither who is behind it nor whether another track is of the same person. Tracks of two cameras that
have the same number share an identity.
"""

import hashlib
import os
from typing import Sequence

import numpy as np

from deid_ros.core.faces import Face

# Of a drawn key: more than can ever be tried out.
_KEY_BYTES = 32


def draw_key() -> str:
    """Return a new secret key, as hexadecimal digits."""
    return os.urandom(_KEY_BYTES).hex()


class IdentityChooser:
    """Chooses one of `count` identities for each face.

    :param key: the secret; empty to draw one. It is not kept in a form that is printed or logged.
    """

    def __init__(self, count: int, key: str = '') -> None:
        # blake2b takes keys of up to 64 bytes.
        self._key = hashlib.sha256((key or draw_key()).encode()).digest()
        self._count = count

    def choose(self, faces: Sequence[Face], crops: Sequence[np.ndarray]) -> np.ndarray:
        """Return (N,) int64: the identity of each face.

        It is that of its track. A face without a track gets one by its pixels, so that equal
        images stay equal; the same person then has another one in each image.

        :param crops: the pixels of each face, uint8.
        """
        return np.array([self.of(
            crop.tobytes() if face.track is None else b'track %d' % face.track)
            for face, crop in zip(faces, crops)], np.int64)

    def of(self, subject: bytes) -> int:
        """Return the identity of whatever is named by these bytes."""
        digest = hashlib.blake2b(subject, key=self._key, digest_size=8).digest()
        return int.from_bytes(digest, 'little') % self._count
