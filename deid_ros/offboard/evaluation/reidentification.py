# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Re-identification: an attacker with a gallery of known people looks for new faces in it.

Gallery and probes are different images of the same people. The plain attacker's gallery holds
originals. The *parrot* has the same tool: its gallery was de-identified, too.
"""

import numpy as np

from deid_ros.offboard.evaluation.anonymity import distances
from deid_ros.offboard.evaluation.figures import SEED, Figure, ratio

#: False accept rates at which verification is measured.
FALSE_ACCEPT_RATES = (1e-2, 1e-3)


def split(identities: np.ndarray, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
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


def reidentification(gallery: np.ndarray, gallery_people: np.ndarray, probes: np.ndarray,
                     probe_people: np.ndarray, prefix: str = 're-id') -> dict[str, Figure]:
    """Return how well probes are identified and verified, in percent.

    `rank-1`: the nearest image of the gallery is of the probe's own person; `rank-1 by chance`:
    an image drawn at random is. `TAR at FAR f`: pairs of the same person that are nearer than the
    distance that lets a share f of the pairs of different people pass; f by chance. It is left out
    where there are fewer than 1/f such pairs. The bootstrap draws people, as images of one person
    are alike.

    :param gallery: (G, 128) descriptors; `gallery_people` (G,) names.
    :param probes: (N, 128) descriptors; `probe_people` (N,) names, all of them in the gallery.
    :param prefix: of the names of the measures.
    :raises ValueError: a probe's person is not in the gallery.
    """
    strangers = set(probe_people) - set(gallery_people)
    if strangers:
        raise ValueError(f'{len(strangers)} people of the probes are not in the gallery')
    apart = distances(probes, gallery)
    same = probe_people[:, None] == gallery_people[None, :]
    hits = gallery_people[apart.argmin(axis=1)] == probe_people
    codes = np.unique(probe_people, return_inverse=True)[1]

    def over_people(values: np.ndarray, trials: np.ndarray) -> Figure:
        totals = [np.bincount(codes, part) for part in (100.0 * values, trials)]
        figure = ratio(totals[0], totals[1], '%')
        return Figure(figure.value, figure.low, figure.high, len(probes), '%')

    ones = np.ones(len(probes))
    figures = {f'{prefix} rank-1': over_people(hits, ones),
               f'{prefix} rank-1 by chance': over_people(same.mean(axis=1), ones)}
    impostors = np.sort(apart[~same])
    for rate in FALSE_ACCEPT_RATES:
        if rate * len(impostors) < 1:
            continue  # too few pairs of different people to tell
        # The largest distance at which no more than that share of impostors is strictly nearer.
        limit = impostors[int(rate * len(impostors))]
        accepted = ((apart < limit) & same).sum(axis=1)
        figures[f'{prefix} TAR at FAR {rate:g}'] = over_people(accepted, same.sum(axis=1))
    return figures
