# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`build_gallery`: builds a gallery of verified identities of people who do not exist.

A candidate is a signed sum of the identities of three people, scaled up, as in the training of the
chain. For a chain that was trained with a gallery, the candidates are the identities of that
gallery, or mixes of them. The identities of people are not shipped, so users build their own
gallery of such mixes.

With more identities fewer people share one. Sharing makes people easier to find: among those who
share an identity, new faces of one person are most alike.

Each candidate is rendered with several sets of attributes (pose, expression and so on). It is
accepted only if, with each of them,

- dlib's neural detector finds a face;
- no person of the training data is unusually near: nearer than the 5 % quantile of the distance
  between a training face and the nearest other person;
- none of the people that it is made of is within 0.6;
- and, on average, hardly anybody of the training data is within 0.6.

Of the accepted ones, those are chosen that are confused least with each other, both alone and small
in a frame, where hair and clothes around all of them are the same.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin
from tqdm import tqdm

from deid_ros.core.deidentification.weights import save_arrays
from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.datasets import Faces, tight, training_faces
from deid_ros.offboard.common.recognition import SAME_PERSON
from deid_ros.offboard.common.store import Store
from deid_ros.offboard.common.training_people import CLOSE_QUANTILE, TrainingPeople, people_of
from deid_ros.offboard.training.common import augmentation, compositing
from deid_ros.offboard.training.common.data import TrainingData
from deid_ros.offboard.training.common.recipe import Recipe, load_recipe
from deid_ros.offboard.training.common.runs import TABLE, encode, load_run
from deid_ros.offboard.training.synthetic import candidates
from deid_ros.offboard.training.synthetic.candidates import Identities
from deid_ros.offboard.training.synthetic.generator import people_with_identity

REPORT = 'gallery.json'
CANDIDATES = 2048
#: Tables are in half precision, which holds integers up to this number exactly.
MOST_PEOPLE = 2048
# Sets of attributes that each candidate is rendered with.
_ATTRIBUTE_SETS = 8
# Height in pixels of faces in frames; smaller new faces are rare.
_SMALL = 32
# Largest share of the training people within 0.6 of a candidate, on average over its renderings.
_MOST_ALIKE = 0.015
#: The k for which tables have centres; see `populated_centres`.
LEVELS = (10, 25, 50, 100)


class Verified(NamedTuple):
    """The results of the checks of all candidates.

    `described`: (C, A, 128) descriptors with each set of attributes. The others are (C,) bool.
    """

    described: np.ndarray
    is_face: np.ndarray
    is_far_from_people: np.ndarray
    is_no_contributor: np.ndarray
    is_distinct: np.ndarray

    @property
    def passed(self) -> np.ndarray:
        """Return (C,) bool: which candidates passed all checks."""
        return (self.is_face & self.is_far_from_people & self.is_no_contributor
                & self.is_distinct)


def confusions(described: np.ndarray) -> np.ndarray:
    """Return (C, C) float32: how often two candidates are taken for one person, as a share.

    :param described: (C, A, 128) descriptors with each set of attributes.
    """
    result = np.zeros((len(described),) * 2, np.float32)
    for each in described.swapaxes(0, 1):
        result += pairwise_distances(each) <= SAME_PERSON
    np.fill_diagonal(result, 0)
    return result / described.shape[1]


def least_confused(confused: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of at most `count` candidates that are confused least with each other.

    Greedy: the candidate that is confused most with those left is dropped, until `count` are left.

    :param confused: (C, C), see `confusions`.
    """
    left = np.ones(len(confused), bool)
    total = confused.sum(axis=1)
    while left.sum() > count:
        worst = int(np.where(left, total, -1).argmax())
        left[worst] = False
        total -= confused[worst]
    return np.flatnonzero(left)


def populated_centres(latents: np.ndarray, identities: np.ndarray, least: int, seed: int
                      ) -> np.ndarray:
    """Return (K, D) centres, each the nearest one to faces of at least `least` people.

    :param latents: (N, D) of training faces; `identities` (N,) the people in them.
    """
    people = np.unique(identities, return_inverse=True)[1]
    k = max(1, (people.max() + 1) // (2 * least))
    centres = KMeans(k, n_init=1, random_state=seed).fit(latents).cluster_centers_
    while True:
        nearest = pairwise_distances_argmin(latents, centres)
        populations = np.array([len(np.unique(people[nearest == index]))
                                for index in range(len(centres))])
        if populations.min() >= least or len(centres) == 1:
            return centres.astype(np.float32)
        # The faces of the dropped centre go to others.
        centres = np.delete(centres, populations.argmin(), axis=0)


def candidates_for(recipe: Recipe, runs: Path, table: Path | None) -> Identities:
    """Return the candidates for a recipe.

    :param table: of a gallery whose identities are mixed. If None, those of the gallery that the
        recipe trains with are used or mixed, or else those of people are mixed.
    """
    if table is not None:
        parents = candidates.rescaled(candidates.of_table(table))
    elif recipe.gallery:
        assert recipe.start is not None
        of_gallery = candidates.of_start(runs, recipe.start)
        if not recipe.mixed_gallery:
            return of_gallery
        parents = candidates.rescaled(of_gallery)
    else:
        parents = candidates.of_people(runs / recipe.name)
    return candidates.mixed(parents, CANDIDATES, np.random.default_rng(recipe.seed))


class Gallery:
    """Builds a gallery with the networks of a chain and its training faces.

    :param recipe: of the chain, of the stage `contrast`.
    :param faces: the training faces, (N, 96, 96, 3) with context.
    :param made: the candidates.
    :raises ValueError: the candidates are made of people who are not in the training faces.
    """

    def __init__(self, recipe: Recipe, faces: Faces, made: Identities, runs: Path, store: Store
                 ) -> None:
        self._store, self._seed = store, recipe.seed
        self._faces = faces
        self._names, _ = people_with_identity(
            faces.identities, ~TrainingData(faces, {}).held_out)
        if not made.people.max() < len(self._names) <= MOST_PEOPLE:
            raise ValueError(f'the identities are of people up to number {made.people.max()}, but '
                             f'the training data has {len(self._names)}; it must be the data '
                             f'they come from, with {MOST_PEOPLE} people at most')
        self._decoder = load_run(runs, recipe.name, 'decoder', recipe)
        self._people = people_of(faces, store)
        self.candidates = made
        encoder = load_run(runs, recipe.name, 'encoder', recipe)
        photos = augmentation.view(augmentation.planes(faces.pixels, color=False), None, 0)
        self.latents = encode(encoder, photos, torch.device('cpu'))
        centres = KMeans(_ATTRIBUTE_SETS, n_init=1, random_state=recipe.seed).fit(
            self.latents).cluster_centers_
        # Latents of photos: those of averages give blurred faces that are all alike.
        nearest = pairwise_distances_argmin(centres, self.latents)
        self._attribute_latents, self._photos = self.latents[nearest], photos[nearest]

    def _rendered(self, numbers: np.ndarray) -> Iterator[torch.Tensor]:
        """Yield the (A, 1, 64, 64) faces of each of the candidates with these numbers."""
        with torch.no_grad():
            for number in numbers:
                yield self._decoder(torch.from_numpy(
                    self.candidates.vectors[number] + self._attribute_latents))

    def described_in_frames(self, numbers: np.ndarray) -> np.ndarray:
        """Return (N, A, 128) descriptors of small faces of candidates in frames.

        :param numbers: (N,) of the candidates.
        """
        blurred = compositing.backgrounds(augmentation.pixels(self._photos))
        backgrounds = torch.from_numpy(blurred[:, None]).float() / 127.5 - 1
        framed = np.concatenate([
            augmentation.pixels(compositing.at_size(
                compositing.in_frame(faces, self._photos, backgrounds), _SMALL))
            for faces in self._rendered(numbers)])
        described = face_networks.descriptors(framed, self._store)
        return described.reshape(len(numbers), _ATTRIBUTE_SETS, -1)

    def verify(self) -> Verified:
        """Check all candidates."""
        count = len(self.candidates.vectors)
        faces = np.concatenate([augmentation.pixels(each)
                                for each in self._rendered(np.arange(count))])
        described = face_networks.descriptors(faces, self._store)
        to_people = self._people.distances(described)
        limit = np.quantile(self._to_others(), CLOSE_QUANTILE)
        by_candidate = (count, _ATTRIBUTE_SETS)
        codes = np.searchsorted(self._people.people, self._names)[self.candidates.people]
        own = np.take_along_axis(to_people, np.repeat(codes, _ATTRIBUTE_SETS, axis=0),
                                 axis=1).min(axis=1)
        is_far_from_people = (to_people.min(axis=1) >= limit).reshape(by_candidate).all(axis=1)
        is_no_contributor = (own > SAME_PERSON).reshape(by_candidate).all(axis=1)
        alike = (to_people <= SAME_PERSON).mean(axis=1).reshape(by_candidate).mean(axis=1)
        is_distinct = alike <= _MOST_ALIKE
        # The slowest check is the last one, for the candidates that are left.
        left = is_far_from_people & is_no_contributor & is_distinct
        is_face = np.zeros(len(left), bool)
        if left.any():
            of_left = faces.reshape(by_candidate + faces.shape[1:])[left]
            is_face[left] = face_networks.detected(
                of_left.reshape(-1, *faces.shape[1:]), self._store).reshape(
                    -1, _ATTRIBUTE_SETS).all(axis=1)
        return Verified(described.reshape(by_candidate + (-1,)), is_face, is_far_from_people,
                        is_no_contributor, is_distinct)

    def _to_others(self) -> np.ndarray:
        """Return (N,) the distance of each training face to the nearest other person."""
        described = face_networks.descriptors(tight(self._faces, color=False).pixels,
                                              self._store)
        return nearest_others(self._people, described)

    def table(self, chosen: np.ndarray) -> dict[str, np.ndarray]:
        """Return the table of the shift at run time.

        `identities`: (M, D). `contributors`: (M, P) numbers of the people that each is made of, see
        `people_with_identity`. `centres_K`: see `populated_centres`.
        """
        return {'identities': self.candidates.vectors[chosen],
                'contributors': self.candidates.people[chosen].astype(np.float32),
                **{f'centres_{level}': populated_centres(self.latents, self._faces.identities,
                                                         level, self._seed)
                   for level in tqdm(LEVELS, desc='k-anonymity', unit='level')}}


def nearest_others(people: TrainingPeople, described: np.ndarray) -> np.ndarray:
    """Return (N,) the distance of each training face to the nearest other person.

    :param described: (N, 128) descriptors of the training faces, in the order of `people.codes`.
    """
    result = np.empty(len(described), np.float32)
    for start in range(0, len(described), 1024):
        part = slice(start, start + 1024)
        to_people = people.distances(described[part])
        to_people[np.arange(len(to_people)), people.codes[part]] = np.inf
        result[part] = to_people.min(axis=1)
    return result


def _beyond(confused: np.ndarray) -> float:
    """Return the share of pairs that are beyond 0.6 from each other, in percent."""
    pairs = len(confused) * (len(confused) - 1)
    return round(100 * (1 - float(confused.sum()) / max(pairs, 1)), 2)


def _report(verified: Verified, confused: np.ndarray, in_frames: np.ndarray) -> dict[str, object]:
    """Return how many candidates passed each check, and how the chosen ones are confused.

    :param confused: `confusions` of the chosen candidates; `in_frames` those of small faces in
        frames.
    """
    return {
        'candidates': len(verified.passed),
        'a face in all looks (of those that pass the rest)': int(verified.is_face.sum()),
        'no nearer to anybody than strangers are': int(verified.is_far_from_people.sum()),
        'none of its contributors': int(verified.is_no_contributor.sum()),
        'hardly anybody within 0.6': int(verified.is_distinct.sum()),
        'passed': int(verified.passed.sum()),
        'chosen': len(confused),
        'pairs of chosen beyond 0.6 in the same look, percent': _beyond(confused),
        'the same, small in a frame': _beyond(in_frames),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    command = argparse.ArgumentParser(
        prog='build_gallery', description=str(__doc__).split('\n')[0].replace('`', ''))
    command.add_argument('recipe', type=Path, metavar='RECIPE.yaml',
                         help='of the stage contrast; it must have been trained')
    command.add_argument('--data', required=True, type=Path,
                         help='tar or folder of its training data')
    command.add_argument('--table', type=Path, metavar='TABLE.npz',
                         help='of a gallery whose identities are mixed to candidates (default: the '
                         'gallery that the recipe trains with, or people of the run)')
    command.add_argument('--seed', type=int,
                         help="of the random candidates (default: the recipe's)")
    command.add_argument('--runs', type=Path, default=Path('runs'))
    command.add_argument('--count', type=int, default=320,
                         help='identities at most (default: 320)')
    command.add_argument('--cache', type=Path, default=Path.home() / '.cache' / 'deid_ros')
    options = command.parse_args(arguments)
    try:
        recipe = load_recipe(options.recipe)
        if recipe.stage != 'contrast':
            raise ValueError(f'{options.recipe} is of the stage {recipe.stage}, not contrast')
        if options.seed is not None:
            recipe = dataclasses.replace(recipe, seed=options.seed)
        run = options.runs / recipe.name
        gallery = Gallery(recipe, training_faces(options.data, options.cache),
                          candidates_for(recipe, options.runs, options.table), options.runs,
                          Store(options.cache))
        verified = gallery.verify()
        passed = np.flatnonzero(verified.passed)
        if not len(passed):
            raise ValueError(f'none of {len(verified.passed)} candidates passes: the generator '
                             'needs more epochs or other data')
        confused = confusions(verified.described[passed])
        in_frames = confusions(gallery.described_in_frames(passed))
        kept = least_confused(confused + in_frames, options.count)
        chosen = passed[kept]
        report = _report(verified, *(each[np.ix_(kept, kept)] for each in (confused, in_frames)))
    except (FileNotFoundError, ValueError) as error:
        command.exit(1, f'build_gallery: {error}\n')
    save_arrays(str(run / f'{TABLE}.npz'), gallery.table(chosen))
    (run / REPORT).write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    print(json.dumps(report, indent=1))


if __name__ == '__main__':
    main()
