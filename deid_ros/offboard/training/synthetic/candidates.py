# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Identities of people who do not exist: three others each, added or taken away."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from deid_ros.offboard.training.common.runs import TABLE
from deid_ros.offboard.training.synthetic.generator import load_people

#: People that a candidate is made of.
CONTRIBUTORS = 3
#: How far candidates are from the mean of all, where people are 1 from it on average.
FAR = 2.0


class Identities(NamedTuple):
    """Some identities.

    `vectors`: (S, D) float32. `people`: (S, P) int, whose each of them is or is made of; see
    `people_with_identity`.
    """

    vectors: np.ndarray
    people: np.ndarray


def of_people(run: Path) -> Identities:
    """Return the identities of people that a run has learned."""
    vectors = load_people(run)
    return Identities(vectors, np.arange(len(vectors))[:, None])


def of_table(path: Path) -> Identities:
    """Return the identities of a gallery.

    :param path: of its table, see `Gallery.table`.
    :raises ValueError: it is the table of something else.
    """
    with np.load(path, allow_pickle=False) as arrays:
        if not {'identities', 'contributors'} <= set(arrays):
            raise ValueError(f'{path} holds {", ".join(arrays)}; the table of a gallery has '
                             'identities and contributors')
        return Identities(arrays['identities'].astype(np.float32),
                          arrays['contributors'].astype(int))


def of_start(runs: Path, start: str) -> Identities:
    """Return the identities of the gallery that was built with a recipe.

    :param start: its name.
    :raises FileNotFoundError: none was built.
    """
    path = runs / start / f'{TABLE}.npz'
    if not path.exists():
        raise FileNotFoundError(f'{path} is missing: run build_gallery with the recipe {start} '
                                'first')
    return of_table(path)


def near(made: Identities) -> Identities:
    """Return candidates as far from the mean of all as people are, to make others of them."""
    return made._replace(vectors=made.vectors / FAR)


def mixed(identities: Identities, count: int, random: np.random.Generator) -> Identities:
    """Return candidates, each made of three identities.

    :raises ValueError: there are fewer than three.
    """
    chosen = trios(len(identities.vectors), count, random)
    return Identities(made_of(identities.vectors, chosen, random),
                      identities.people[chosen].reshape(count, -1))


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
    mixed_ones = (signs[:, :, None] * identities[chosen]).sum(axis=1)
    far = FAR * np.linalg.norm(identities, axis=1).mean()
    return (far * mixed_ones / np.linalg.norm(mixed_ones, axis=1, keepdims=True)).astype(np.float32)
