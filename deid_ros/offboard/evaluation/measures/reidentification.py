# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Re-identification: an attacker with a gallery of known people looks for new faces in it.

Gallery and probes are different images of the same people. The plain attacker's gallery holds
originals. The *parrot* has the same tool: its gallery was de-identified, too.

Who is found by chance depends on which images are in the gallery, so it is drawn several times;
and, where a secret says which new face is whose, on that secret, so there may be several of them.
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
    """Descriptors of images, (N, D) each.

    :ivar known: as the attacker has the images when they are in the gallery.
    :ivar described: as they are when they are probes.
    """

    known: np.ndarray
    described: np.ndarray


def plain(originals: np.ndarray, described: Sequence[np.ndarray]) -> list[Attack]:
    """Return what an attacker does who has the originals, (N, D).

    :param described: K times (N, D) of the new faces, with another secret each time.
    """
    return [Attack(originals, each) for each in described]


def parrot(described: Sequence[np.ndarray]) -> list[Attack]:
    """Return what an attacker does who has the tool, too, but not the secret.

    :param described: K times (N, D) of the new faces, with another secret each time. Once, where
        no secret has a part in them.
    """
    return ([Attack(*each) for each in permutations(described, 2)] if len(described) > 1
            else [Attack(described[0], described[0])])


def split(identities: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of gallery and probes: half of each person's images, at random, each.

    People of whom there is one image are left out, as nobody could find them.

    :param identities: (N,) whose image each is.
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

    `rank-1`: the nearest image of the gallery is of the probe's own person; `rank-1 by chance`:
    an image drawn at random is. `TAR at FAR f`: pairs of the same person that are nearer than the
    distance that lets a share f of the pairs of different people pass; f by chance. It is left out
    where there are fewer than 1/f such pairs.

    :param apart: (N, G) distances between probes and gallery.
    :param same: (N, G) bool, whether they are of one person.
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
    :param people: (N,) who is in each image.
    :param prefix: of the names of the measures.
    :raises ValueError: fewer than two people have two images.
    """
    names, whose = np.unique(people, return_inverse=True)
    same = whose[:, None] == whose[None, :]
    splits = [split(people, seed) for seed in range(SPLITS)]
    totals: dict[str, np.ndarray] = {}
    for attack in attacks:
        apart = distances(attack.described, attack.known)
        for gallery, probes in splits:
            pairs = np.ix_(probes, gallery)
            for name, counts in attempts(apart[pairs], same[pairs]).items():
                total = totals.setdefault(name, np.zeros((len(names), 2)))
                np.add.at(total, whose[probes], counts)
    figures = {}
    for name, total in totals.items():
        hits, trials = total[total[:, 1] > 0].T  # Nobody looks for those with one image.
        figures[f'{prefix} {name}'] = replace(ratio(100 * hits, trials, '%'), count=len(probes))
    return figures
