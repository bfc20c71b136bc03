# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Re-identification: an attacker searches for new faces in a gallery of known people.

Gallery and probes are different images of the same people. In the *naive* attack the gallery holds
originals. In the *parrot* attack the attacker has the same tool, and de-identifies the gallery, too
(after E. Newton et al., 2005).

The result depends on which images are in the gallery, so it is drawn several times. Where a key
decides who gets which new face, the result depends on the key, too, so there may be several keys.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

import numpy as np

from deid_ros.offboard.evaluation.measures.anonymity import distances
from deid_ros.offboard.evaluation.measures.figures import Figure, ratio

#: False accept rates at which verification is measured.
FALSE_ACCEPT_RATES = (1e-2, 1e-3)
#: How often images are split into gallery and probes.
SPLITS = 20


class Attack(NamedTuple):
    """Descriptors of the same N images, (N, D) each.

    :ivar gallery: of the images as the attacker has them in the gallery.
    :ivar probes: of the images as the attacker searches for them.
    """

    gallery: np.ndarray
    probes: np.ndarray


def naive(originals: np.ndarray, described: Sequence[np.ndarray]) -> list[Attack]:
    """Return the attacks of someone who has the originals, (N, D).

    :param described: K times (N, D) descriptors of the new faces, each time with another key.
    """
    return [Attack(originals, each) for each in described]


def parrot(described: Sequence[np.ndarray]) -> list[Attack]:
    """Return the attacks of someone who has the tool, but not the key.

    :param described: K times (N, D) descriptors of the new faces, each time with another key; once
        for a method without a key.
    """
    return ([Attack(*each) for each in permutations(described, 2)] if len(described) > 1
            else [Attack(described[0], described[0])])


def split(identities: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of gallery and probes: half of each person's images, at random, each.

    People with a single image are left out: they cannot be in both.

    :param identities: (N,) the person in each image.
    :raises ValueError: fewer than two people have two images.
    """
    random = np.random.default_rng(seed)
    gallery: list[int] = []
    probes: list[int] = []
    people, counts = np.unique(identities, return_counts=True)
    if (counts > 1).sum() < 2:
        raise ValueError('re-identification needs two people or more with two images each')
    for person in people[counts > 1]:
        images = random.permutation(np.flatnonzero(identities == person))
        gallery += list(images[:len(images) // 2])
        probes += list(images[len(images) // 2:])
    return np.sort(gallery), np.sort(probes)


def attempts(apart: np.ndarray, same: np.ndarray) -> dict[str, np.ndarray]:
    """Return hits and trials of each probe, (N, 2), by measure.

    `rank-1`: the nearest image of the gallery shows the probe's person. `rank-1 by chance`: a
    random image of the gallery does. `TAR at FAR f`: the share of pairs of one person that are
    accepted at the threshold at which a share f of the pairs of different people are; by chance it
    is f. It is left out where there are fewer than 1/f pairs of different people.

    :param apart: (N, G) distances between probes and gallery.
    :param same: (N, G) bool, whether probe and gallery image show one person.
    """
    ones = np.ones(len(apart))
    nearest = np.take_along_axis(same, apart.argmin(axis=1)[:, None], axis=1)[:, 0]
    result = {'rank-1': np.stack([nearest, ones], axis=1),
              'rank-1 by chance': np.stack([same.mean(axis=1), ones], axis=1)}
    impostors = apart[~same]
    for rate in FALSE_ACCEPT_RATES:
        number = int(rate * len(impostors))
        if number < 1:
            continue  # too few pairs of different people to tell
        # The largest distance at which no more than that share of impostors is strictly nearer.
        limit = np.partition(impostors, number)[number]
        result[f'TAR at FAR {rate:g}'] = np.stack(
            [((apart < limit) & same).sum(axis=1), same.sum(axis=1)], axis=1)
    return result


def reidentification(attacks: Sequence[Attack], people: np.ndarray, prefix: str = 're-id'
                     ) -> dict[str, Figure]:
    """Return how well people are identified and verified, in percent, over all attacks.

    The bootstrap draws people, as images of one person are alike. See `attempts`.

    :param attacks: see `Attack`, of the same N images each.
    :param people: (N,) the person in each image.
    :param prefix: of the names of the measures.
    :raises ValueError: fewer than two people have two images.
    """
    names, whose = np.unique(people, return_inverse=True)
    same = whose[:, None] == whose[None, :]
    splits = [split(people, seed) for seed in range(SPLITS)]
    totals: dict[str, np.ndarray] = {}
    for attack in attacks:
        apart = distances(attack.probes, attack.gallery)
        for gallery, probes in splits:
            pairs = np.ix_(probes, gallery)
            for name, counts in attempts(apart[pairs], same[pairs]).items():
                total = totals.setdefault(name, np.zeros((len(names), 2)))
                np.add.at(total, whose[probes], counts)
    figures = {}
    for name, total in totals.items():
        hits, trials = total[total[:, 1] > 0].T  # People with one image are no probes.
        figures[f'{prefix} {name}'] = replace(ratio(100 * hits, trials, '%'), count=len(probes))
    return figures
