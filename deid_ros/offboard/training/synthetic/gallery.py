# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`build_gallery`: identities of people who do not exist, each one verified.

A candidate is made of the identities of three people, each added or taken away, and pushed away
from the mean of all, as those were with which the chain was taught. A chain that was taught to
tell apart those of a gallery has these as its candidates; or mixes of them, which it tells apart as
well. And as identities of people are not given away, such mixes are how to make a gallery of one's
own.

The more there are, the fewer people share one. Among many who do, those who look alike are nearest
to each other, so that new faces of one person are found by her other ones.

Each is shown in several poses, expressions and so on, and comes into the gallery only if, in each
of them,

- dlib's neural detector finds a face;
- no person of the training data is nearer to it than strangers are to theirs (the 5 % quantile of
  the distance between a training face and the nearest other person);
- none of the people that it is made of is within 0.6 of it;
- and if hardly anybody of the training data is within 0.6 of it on average.

Of those that pass, the ones are taken that are least confused with each other, both as they are and
small in a frame, where the same hair and clothes are around all of them.
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
from deid_ros.offboard.common.training_people import CROWD_QUANTILE, TrainingPeople, people_of
from deid_ros.offboard.training.common import framing, views
from deid_ros.offboard.training.common.data import TrainingData
from deid_ros.offboard.training.common.recipe import Recipe, load_recipe
from deid_ros.offboard.training.common.runs import TABLE, encode, load_run
from deid_ros.offboard.training.synthetic import candidates
from deid_ros.offboard.training.synthetic.candidates import Identities
from deid_ros.offboard.training.synthetic.generator import people_with_identity

REPORT = 'gallery.json'
CANDIDATES = 2048
#: As many as half precision, in which tables are kept, can number exactly.
MOST_PEOPLE = 2048
# Looks in which each candidate is shown.
_LOOKS = 8
# Height, in pixels, at which they are shown in frames: tracks seldom have smaller new faces.
_SMALL = 32
# Share of the training people who may be within 0.6 of a candidate, on average over its looks.
_MOST_ALIKE = 0.015
#: Numbers of people that may be indistinguishable to the chain; see `populated_centres`.
LEVELS = (10, 25, 50, 100)


class Verified(NamedTuple):
    """What was found out about each of the candidates.

    `described`: (C, L, 128) descriptors in each look. The others are (C,) bool.
    """

    described: np.ndarray
    is_face: np.ndarray
    is_stranger: np.ndarray
    is_no_contributor: np.ndarray
    is_like_nobody: np.ndarray

    @property
    def passed(self) -> np.ndarray:
        """Return (C,) bool: which candidates may come into the gallery."""
        return (self.is_face & self.is_stranger & self.is_no_contributor & self.is_like_nobody)


def confusions(described: np.ndarray) -> np.ndarray:
    """Return (C, C) float32: in what share of the looks two candidates are taken for one person.

    :param described: (C, L, 128) descriptors.
    """
    result = np.zeros((len(described),) * 2, np.float32)
    for look in described.swapaxes(0, 1):
        result += pairwise_distances(look) <= SAME_PERSON
    np.fill_diagonal(result, 0)
    return result / described.shape[1]


def least_confused(confused: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of `count` candidates, or fewer, that are seldom taken for each other.

    The one that is confused most with those that are left is dropped, again and again.

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
    """Return (K, D) centres of which each is the nearest one to faces of `least` people or more.

    :param latents: (N, D) of training faces; `identities` (N,) whose they are.
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
        # Its faces go to other centres, which may help those.
        centres = np.delete(centres, populations.argmin(), axis=0)


def made_for(recipe: Recipe, runs: Path, table: Path | None) -> Identities:
    """Return the candidates for a recipe.

    :param table: of a gallery to make them of; None for that which the recipe is for, or people.
    """
    if table is not None:
        ingredients = candidates.near(candidates.of_table(table))
    elif recipe.gallery:
        assert recipe.start is not None
        taught = candidates.of_start(runs, recipe.start)
        if not recipe.remixed:
            return taught
        ingredients = candidates.near(taught)
    else:
        ingredients = candidates.of_people(runs / recipe.name)
    return candidates.mixed(ingredients, CANDIDATES, np.random.default_rng(recipe.seed))


class Gallery:
    """The networks and the training faces that a gallery is made with.

    :param recipe: of the chain, of the stage `contrast`.
    :param faces: the training faces, (N, 96, 96, 3) with context.
    :param made: the candidates.
    :raises ValueError: they are of others than the training faces.
    """

    def __init__(self, recipe: Recipe, faces: Faces, made: Identities, runs: Path, store: Store
                 ) -> None:
        self._store, self._seed = store, recipe.seed
        self._faces = faces
        self._names, _ = people_with_identity(
            faces.identities, ~TrainingData(faces, {}).held_out)
        if not made.people.max() < len(self._names) <= MOST_PEOPLE:
            raise ValueError(f'the identities are of people up to number {made.people.max()}, of '
                             f'whom the training data has {len(self._names)}; it has to be that '
                             f'which they come from, and of {MOST_PEOPLE} people at most')
        self._decoder = load_run(runs, recipe.name, 'decoder', recipe)
        self._crowd = people_of(faces, store)
        self.candidates = made
        encoder = load_run(runs, recipe.name, 'encoder', recipe)
        photos = views.view(views.planes(faces.pixels, color=False), None, 0)
        self.latents = encode(encoder, photos, torch.device('cpu'))
        centres = KMeans(_LOOKS, n_init=1, random_state=recipe.seed).fit(
            self.latents).cluster_centers_
        # Those of photos: an average of looks is blurred, and in it everybody looks alike.
        looks = pairwise_distances_argmin(centres, self.latents)
        self._looks, self._photos = self.latents[looks], photos[looks]

    def _shown(self, numbers: np.ndarray) -> Iterator[torch.Tensor]:
        """Give (looks, 1, 64, 64) faces of each of the candidates that have these numbers."""
        with torch.no_grad():
            for number in numbers:
                yield self._decoder(torch.from_numpy(self.candidates.vectors[number] + self._looks))

    def described_in_frames(self, numbers: np.ndarray) -> np.ndarray:
        """Return (N, looks, 128) descriptors of candidates that are seen small, in frames.

        :param numbers: (N,) which candidates.
        """
        left = framing.surroundings(views.pixels(self._photos))
        around = torch.from_numpy(left[:, None]).float() / 127.5 - 1
        framed = np.concatenate([
            views.pixels(framing.at_size(framing.in_frame(faces, self._photos, around), _SMALL))
            for faces in self._shown(numbers)])
        return face_networks.descriptors(framed, self._store).reshape(len(numbers), _LOOKS, -1)

    def verify(self) -> Verified:
        """Look at all candidates."""
        shown = np.concatenate([views.pixels(faces)
                                for faces in self._shown(np.arange(len(self.candidates.vectors)))])
        described = face_networks.descriptors(shown, self._store)
        to_people = self._crowd.distances(described)
        limit = np.quantile(self._to_others(), CROWD_QUANTILE)
        by_candidate = (len(self.candidates.vectors), _LOOKS)
        codes = np.searchsorted(self._crowd.people, self._names)[self.candidates.people]
        own = np.take_along_axis(to_people, np.repeat(codes, _LOOKS, axis=0), axis=1).min(axis=1)
        is_stranger = (to_people.min(axis=1) >= limit).reshape(by_candidate).all(axis=1)
        is_no_contributor = (own > SAME_PERSON).reshape(by_candidate).all(axis=1)
        alike = (to_people <= SAME_PERSON).mean(axis=1).reshape(by_candidate).mean(axis=1)
        is_like_nobody = alike <= _MOST_ALIKE
        # The slowest last, for those that are left.
        left = is_stranger & is_no_contributor & is_like_nobody
        is_face = np.zeros(len(left), bool)
        if left.any():
            pictures = shown.reshape(by_candidate + shown.shape[1:])[left]
            is_face[left] = face_networks.detected(pictures.reshape(-1, *shown.shape[1:]),
                                              self._store).reshape(-1, _LOOKS).all(axis=1)
        return Verified(described.reshape(by_candidate + (-1,)), is_face, is_stranger,
                        is_no_contributor, is_like_nobody)

    def _to_others(self) -> np.ndarray:
        """Return (N,) the distance of each training face to the nearest other person."""
        described = face_networks.descriptors(tight(self._faces, color=False).pixels,
                                         self._store)
        return nearest_others(self._crowd, described)

    def table(self, chosen: np.ndarray) -> dict[str, np.ndarray]:
        """Return what the shift at run time needs.

        `identities`: (M, D). `contributors`: (M, P) numbers of the people each is made of, see
        `people_with_identity`. `centres_K`: see `populated_centres`.
        """
        return {'identities': self.candidates.vectors[chosen],
                'contributors': self.candidates.people[chosen].astype(np.float32),
                **{f'centres_{level}': populated_centres(self.latents, self._faces.identities,
                                                         level, self._seed)
                   for level in tqdm(LEVELS, desc='k-anonymity', unit='level')}}


def nearest_others(crowd: TrainingPeople, described: np.ndarray) -> np.ndarray:
    """Return (N,) the distance of each face of the crowd to the nearest person who is another.

    :param described: (N, 128) descriptors of the crowd's own faces, in the order of its `codes`.
    """
    result = np.empty(len(described), np.float32)
    for start in range(0, len(described), 1024):
        part = slice(start, start + 1024)
        to_people = crowd.distances(described[part])
        to_people[np.arange(len(to_people)), crowd.codes[part]] = np.inf
        result[part] = to_people.min(axis=1)
    return result


def _beyond(confused: np.ndarray) -> float:
    """Return the share of pairs that are beyond 0.6 from each other, in percent."""
    pairs = len(confused) * (len(confused) - 1)
    return round(100 * (1 - float(confused.sum()) / max(pairs, 1)), 2)


def _report(verified: Verified, confused: np.ndarray, in_frames: np.ndarray) -> dict[str, object]:
    """Return what was found out.

    :param confused: `confusions` of those that were chosen; `in_frames` likewise, small in frames.
    """
    return {
        'candidates': len(verified.passed),
        'a face in all looks (of those that pass the rest)': int(verified.is_face.sum()),
        'no nearer to anybody than strangers are': int(verified.is_stranger.sum()),
        'none of its contributors': int(verified.is_no_contributor.sum()),
        'hardly anybody within 0.6': int(verified.is_like_nobody.sum()),
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
                         help='of the stage contrast, which has been trained')
    command.add_argument('--data', required=True, type=Path,
                         help='tar or folder that it was trained on')
    command.add_argument('--table', type=Path, metavar='TABLE.npz',
                         help='of a gallery, to make candidates of; by default, people of the run '
                         'are taken, or the gallery that the recipe is for')
    command.add_argument('--seed', type=int,
                         help="draws the candidates (default: the recipe's)")
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
                          made_for(recipe, options.runs, options.table), options.runs,
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
