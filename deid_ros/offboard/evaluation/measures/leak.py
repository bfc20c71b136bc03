# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""LEAK: whether new faces show real people of the training set.

A new face should look like none of them, least of all like those it was made of. The distance
between a face and a training identity is the distance to the nearest face of that identity.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

from deid_ros.offboard.common.recognition import SAME_PERSON
from deid_ros.offboard.common.training_people import CLOSE_QUANTILE
from deid_ros.offboard.evaluation.measures.figures import Figure, mean, share, statistic


def contributor_leak(to_people: np.ndarray, contributors: Sequence[np.ndarray]
                     ) -> dict[str, Figure]:
    """Return how often a new face shows a person that it was made of, in percent.

    `LEAK near`: within 0.6 of a training identity that contributed to the face's own target.
    `LEAK near by chance`: the same for as many identities, drawn from all.
    `LEAK rank-1`: the nearest of all training identities contributed.
    `LEAK rank-1 by chance`: the same, were every identity as likely to be the nearest.

    :param to_people: (M, P) distances, see `TrainingPeople.distances`.
    :param contributors: for each of the M faces, the indices of the people (0…P-1) that
        contributed; repeated ones count once.
    """
    people = to_people.shape[1]
    sets = [np.unique(each) for each in contributors]
    sizes = np.array([len(each) for each in sets])
    near = np.array([row[each].min(initial=np.inf) <= SAME_PERSON
                     for row, each in zip(to_people, sets)])
    nearest = to_people.argmin(axis=1)
    first = np.array([index in each for index, each in zip(nearest, sets)])
    within = (to_people <= SAME_PERSON).sum(axis=1)
    return {
        'LEAK near': share(near),
        'LEAK near by chance': mean(100 * _some_drawn(people, within, sizes), '%'),
        'LEAK rank-1': share(first),
        'LEAK rank-1 by chance': mean(100 * sizes / people, '%'),
    }


def crowd_leak(to_people: np.ndarray, unseen_to_people: np.ndarray) -> dict[str, Figure]:
    """Return how often a new face is unusually close to a person of the training set.

    `LEAK crowd`: the share of new faces, in percent, that are nearer to their nearest training
    identity than 95 % of unseen real people are to theirs. It is 5 % by chance. The quantiles of
    the distances of unseen people (1 %, 5 %, 50 %) are returned, too.

    :param to_people: (M, P) distances of the new faces, see `TrainingPeople.distances`.
    :param unseen_to_people: (U, P) distances of real faces of people who are not in the training
        set, cropped and colored as the new faces are.
    """
    nearest = np.sort(unseen_to_people.min(axis=1))

    def quantile(level: float) -> Figure:
        return statistic(lambda weights: _quantile(nearest, weights, level), len(nearest))

    quantiles = {f'LEAK crowd: unseen people, {100 * level:g} % quantile': quantile(level)
                 for level in (0.01, CLOSE_QUANTILE, 0.5)}
    limit = np.quantile(nearest, CLOSE_QUANTILE)
    return {'LEAK crowd': share(to_people.min(axis=1) < limit), **quantiles}


def _some_drawn(people: int, marked: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return the chance that `drawn` of `people` hold one of those `marked` (hypergeometric)."""
    free = people - marked
    none = np.where(drawn <= free, np.exp(
        gammaln(free + 1) - gammaln(np.maximum(free - drawn, 0) + 1)
        - gammaln(people + 1) + gammaln(people - drawn + 1)), 0.0)
    return 1 - none


def _quantile(ordered: np.ndarray, weights: np.ndarray, level: float) -> float:
    """Return a quantile of sorted values, each of which counts `weights` (whole numbers) times."""
    return float(np.quantile(np.repeat(ordered, weights.astype(int)), level))
