# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Candidate identities of people who do not exist: signed sums of three identities."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from deid_ros.offboard.training.common.runs import TABLE
from deid_ros.offboard.training.synthetic.generator import load_people

#: People that a candidate is made of.
CONTRIBUTORS = 3
#: Distance of candidates from the mean identity, in mean distances of people.
DISTANCE = 2.0


class Identities(NamedTuple):
    """Identities, learned or made of others.

    `vectors`: (S, D) float32. `people`: (S, P) int, the numbers of the people that each is made of;
    see `people_with_identity`.
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
    :raises ValueError: it is no table of a gallery.
    """
    with np.load(path, allow_pickle=False) as arrays:
        if not {'identities', 'contributors'} <= set(arrays):
            raise ValueError(f'{path} holds {", ".join(arrays)}; the table of a gallery has '
                             'identities and contributors')
        return Identities(arrays['identities'].astype(np.float32),
                          arrays['contributors'].astype(int))


def of_start(runs: Path, start: str) -> Identities:
    """Return the identities of the gallery that was built with a recipe.

    :param start: name of the recipe.
    :raises FileNotFoundError: no gallery was built.
    """
    path = runs / start / f'{TABLE}.npz'
    if not path.exists():
        raise FileNotFoundError(f'{path} is missing: run build_gallery with the recipe {start} '
                                'first')
    return of_table(path)


def rescaled(identities: Identities) -> Identities:
    """Return identities of a gallery at the distance of people, so that they can be mixed."""
    return identities._replace(vectors=identities.vectors / DISTANCE)


def mixed(identities: Identities, count: int, random: np.random.Generator) -> Identities:
    """Return candidates, each made of three identities.

    :raises ValueError: there are fewer than three.
    """
    chosen = draw_contributors(len(identities.vectors), count, random)
    return Identities(signed_sums(identities.vectors, chosen, random),
                      identities.people[chosen].reshape(count, -1))


def draw_contributors(people: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Return (count, 3) numbers of three different people for each candidate.

    :param people: number of people, see `people_with_identity`.
    :raises ValueError: there are fewer than three.
    """
    if people < CONTRIBUTORS:
        raise ValueError(f'identities are made of {CONTRIBUTORS} people with two images, '
                         f'not of {people}')
    return np.stack([random.choice(people, CONTRIBUTORS, replace=False) for _ in range(count)])


def signed_sums(identities: np.ndarray, chosen: np.ndarray, random: np.random.Generator
                ) -> np.ndarray:
    """Return the (C, D) float32 candidates: sums with random signs, scaled to `DISTANCE`.

    :param identities: (P, D) of people; `chosen` (C, 3) numbers of them.
    """
    signs = random.choice([-1, 1], chosen.shape).astype(np.float32)
    sums = (signs[:, :, None] * identities[chosen]).sum(axis=1)
    distance = DISTANCE * np.linalg.norm(identities, axis=1).mean()
    return (distance * sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)
