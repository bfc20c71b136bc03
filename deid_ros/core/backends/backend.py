# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What every backend does the same: check the faces that go in and the faces that come out."""

from typing import Optional

import numpy as np

from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.deidentification.networks import FACE_SIZE
from deid_ros.core.errors import AnonymizationError

#: A face whose values (in 0…1) differ by less than this everywhere is no face.
_FLAT = 2 / 255


class Backend:
    """Runs a chain. Set `alpha` at any time: it is the strength of a shift at run time.

    :ivar identity_count: how many synthetic identities the chain has; 0 where it has none.
    """

    #: As the parameter `backend.type` has it.
    name = ''
    #: Where it runs, for reports: `cpu` or `cuda`.
    device = 'cpu'
    #: What else reports should tell of it, such as the result of its self-test.
    note = ''
    #: Why it runs in the place of another one, for a warning; empty where it does not.
    stands_in = ''

    def __init__(self, chain: Chain) -> None:
        self.color = chain.color
        self.alpha = chain.alpha
        self._shifts = chain.shift is not None
        self._identities = chain.shift.identities if chain.shift is not None else None
        self.identity_count = 0 if self._identities is None else len(self._identities)

    def run(self, faces: np.ndarray, identities: Optional[np.ndarray] = None) -> np.ndarray:
        """Replace faces by new ones.

        :param faces: (N, 64, 64) luminance, or (N, 64, 64, 3) BGR where the chain is for color;
            uint8, or float32 in 0…1. N may be 0.
        :param identities: (N,) integers within 0 and `identity_count` − 1, the new identity of each
            face, where the chain has synthetic ones; else None.
        :return: the new faces, in the same shape, type and range.
        :raises AnonymizationError: when the engine fails, gives another number of faces, or gives a
            face that is not finite or without any structure.
        """
        expected = (FACE_SIZE, FACE_SIZE, 3) if self.color else (FACE_SIZE, FACE_SIZE)
        if faces.shape[1:] != expected or faces.dtype not in (np.uint8, np.float32):
            raise AnonymizationError(
                f'faces are {faces.dtype} {faces.shape}, not uint8 or float32 of (N,) + {expected}')
        control = self._control(len(faces), identities)
        if len(faces) == 0:
            return faces.copy()
        is_uint8 = faces.dtype == np.uint8
        pixels = faces.astype(np.float32) / 255 if is_uint8 else faces
        try:
            result = self._infer(pixels, control)
        except Exception as error:
            raise AnonymizationError(f'the chain failed: {error}') from error
        if result.shape != faces.shape:
            raise AnonymizationError(
                f'the chain gave {result.shape} for faces of {faces.shape}')
        flat = result.reshape(len(result), -1)
        if not np.isfinite(flat).all():
            raise AnonymizationError('the chain gave values that are not finite')
        if (np.ptp(flat, axis=1) < _FLAT).any():
            raise AnonymizationError('the chain gave a face without structure')
        return np.rint(result * 255).astype(np.uint8) if is_uint8 else result

    def _control(self, count: int, identities: Optional[np.ndarray]) -> Optional[np.ndarray]:
        """Return what steers the shift at run time: α, or what is added to each latent."""
        if self._identities is None:
            if identities is not None:
                raise AnonymizationError('the chain has no synthetic identities to choose from')
            return np.full((1, 1), self.alpha, np.float32) if self._shifts else None
        chosen = np.asarray(-1 if identities is None else identities)
        if (chosen.shape != (count,) or chosen.dtype.kind not in 'iu'
                or (count and not 0 <= chosen.min() <= chosen.max() < len(self._identities))):
            raise AnonymizationError(
                f'identities are {chosen.dtype} {chosen.shape}, not one integer within 0 and '
                f'{len(self._identities) - 1} for each of {count} faces')
        return np.float32(self.alpha) * self._identities[chosen]

    def _infer(self, faces: np.ndarray, control: Optional[np.ndarray]) -> np.ndarray:
        """Return the new faces: float32 in 0…1 in, the same shape out, clipped to 0…1.

        :param control: float32; α, (1, 1), or, in a chain with synthetic identities, what is added
            to each latent, (N, D). None where nothing is shifted at run time.
        """
        raise NotImplementedError
