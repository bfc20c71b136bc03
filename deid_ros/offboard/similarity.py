# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Turn, scale and shift that bring points to where they should be."""

import numpy as np


def similarities(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the (..., 2, 3) maps that bring points nearest to targets (least squares).

    :param points: (..., K, 2), on the scale of which the maps are; `targets` likewise, and as many
        or one set for all.
    """
    # As complex numbers, a turn with a scale is a factor: target ≈ factor · point + offset.
    before, after = (part[..., 0] + 1j * part[..., 1] for part in (points, targets))
    before_mean, after_mean = (part.mean(axis=-1, keepdims=True) for part in (before, after))
    centred = before - before_mean
    factor = (((after - after_mean) * centred.conj()).sum(axis=-1)
              / np.square(np.abs(centred)).sum(axis=-1))
    offset = after_mean[..., 0] - factor * before_mean[..., 0]
    return np.stack([np.stack([factor.real, -factor.imag, offset.real], axis=-1),
                     np.stack([factor.imag, factor.real, offset.imag], axis=-1)], axis=-2)
