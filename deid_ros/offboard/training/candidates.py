# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Identities of people who do not exist: three people each, added or taken away."""

import numpy as np

#: People that a candidate is made of.
CONTRIBUTORS = 3
#: How far candidates are from the mean of all, where people are 1 from it on average.
FAR = 2.0


def trios(people: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Return (count, 3) numbers of different people, those that each candidate is made of.

    :param people: how many there are, see `people_with_identity`.
    :raises ValueError: there are fewer than three.
    """
    if people < CONTRIBUTORS:
        raise ValueError(f'identities are made of {CONTRIBUTORS} people with two images, '
                         f'not of {people}')
    return np.stack([random.choice(people, CONTRIBUTORS, replace=False) for _ in range(count)])


def made_of(identities: np.ndarray, chosen: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the (C, D) float32 candidates.

    :param identities: (P, D) of people; `chosen` (C, 3) numbers of them.
    """
    signs = random.choice([-1, 1], chosen.shape).astype(np.float32)
    mixed = (signs[:, :, None] * identities[chosen]).sum(axis=1)
    far = FAR * np.linalg.norm(identities, axis=1).mean()
    return (far * mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)
