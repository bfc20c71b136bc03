# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The training faces that contribute to a new face, for each shift mode.

The functions repeat the shift of a plain latent (see `deid_ros.offboard.training.paper.shifts`),
but return the training faces instead of their mean. `latents` are (M, D) float32 latents of new
faces, `training` (N, D) of training faces. The result holds, for each new face, an array of indices
into the training faces.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import pairwise_distances_argmin

from deid_ros.core.deidentification.chain import SYNTHETIC
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.offboard.common.datasets import Faces
from deid_ros.offboard.common.identities import KEY, identities_of
from deid_ros.offboard.training.common.recipe import Shift, load_recipe
from deid_ros.offboard.training.paper import shifts

if TYPE_CHECKING:
    import torch

Contributors = list[np.ndarray]

# Least share of a table's groups that must be found in the training faces.
_LEAST_FOUND = 0.9


def of_cluster(latents: np.ndarray, training: np.ndarray, centres: np.ndarray) -> Contributors:
    """Return the members of the cluster whose centre is nearest."""
    members = _members(training, centres)
    return [members[index] for index in pairwise_distances_argmin(latents, centres)]


def of_neighbour(latents: np.ndarray, training: np.ndarray, n: int, mean: np.ndarray
                 ) -> np.ndarray:
    """Return (M, 1): of the n nearest faces, the one that is nearest to the mean, eq. (11).

    :param mean: (D,) latent of the mean face.
    """
    sets = _nearest(latents, training, n)
    from_mean = np.square(training - mean).sum(axis=1)
    return np.take_along_axis(sets, from_mean[sets].argmin(axis=1)[:, None], axis=1)


def of_cell(latents: np.ndarray, training: np.ndarray, n: int) -> np.ndarray:
    """Return (M, 1): the n-th nearest face, in the latents of one cell."""
    return _nearest(latents, training, n)[:, -1:]


def of_attributes(latents: np.ndarray, training: np.ndarray, labels: Sequence[np.ndarray],
                  identities: np.ndarray, *, n: int, alpha: float, beta: float) -> np.ndarray:
    """Return (M, L · n): the attraction sets of all supervised shifts, in their order.

    A new face gets the labels of its nearest training face, as the fine-tuned encoder estimates
    them from the face.

    :param labels: L arrays (N,), in the order of application.
    """
    nearest = pairwise_distances_argmin(latents, training)
    sets = []
    for values in labels:
        own = values[nearest]
        attraction = np.empty((len(latents), n), np.int64)
        repulsion = np.empty((len(latents), n), np.int64)
        for value in np.unique(own):
            faces = np.flatnonzero(own == value)
            for found, columns in ((attraction, values == value), (repulsion, values != value)):
                found[faces] = _nearest(latents[faces], training, n, np.flatnonzero(columns))
        sets.append(attraction)
        # The next attribute starts from these targets of new faces and of training faces.
        targets = (1 - alpha) * latents + alpha * shifts.set_means(training, attraction)
        attracted = shifts.supervised_shift(training, [values], identities, n=n, alpha=alpha,
                                            beta=0.0)
        latents = (1 + beta) * targets - beta * shifts.set_means(attracted, repulsion)
        training = shifts.supervised_shift(training, [values], identities, n=n, alpha=alpha,
                                           beta=beta)
    return np.concatenate(sets, axis=1)


def _nearest(latents: np.ndarray, training: np.ndarray, n: int,
             columns: np.ndarray | None = None) -> np.ndarray:
    """Return (M, n) indices of the nearest training faces (among `columns`), the nearest first."""
    chosen = np.arange(len(training)) if columns is None else columns
    both = np.concatenate([latents, training])
    rows = np.arange(len(latents))
    return shifts.nearest(both, rows, len(latents) + chosen, n) - len(latents)


def _members(training: np.ndarray, centres: np.ndarray) -> Contributors:
    """Return the training faces nearest to each of the (K, D) centres."""
    nearest = pairwise_distances_argmin(training, centres)
    return [np.flatnonzero(nearest == index) for index in range(len(centres))]


def _groups(training: np.ndarray, identities: np.ndarray, centres: np.ndarray, seed: int
            ) -> Contributors:
    """Return the training faces of which each of the (K, D) centres is the mean."""
    groups = shifts.small_groups(training, identities, count=len(centres),
                                 size=shifts.GROUP_SIZE, seed=seed)
    # Weights and centres are stored in half precision, so a few near ties are decided otherwise.
    same = np.isclose(shifts.set_means(training, groups), centres, rtol=0.02, atol=0.02).all(axis=1)
    if same.mean() < _LEAST_FOUND:
        raise ValueError('the table of groups of faces was not made from these training faces')
    return list(groups)


class _Encoder:
    """The plain encoder of a mode; the latents of training faces are cached on disk.

    :param name: of the encoder in the store.
    :param training: (N, 96, 96, 3) faces with context.
    :param cache: folder for the latents; None for no cache.
    """

    def __init__(self, store: ModelStore, name: str, color: bool, training: Faces,
                 cache: Path | None) -> None:
        self._network = store.network(name)
        self._hash = store.entries[name]['sha256']
        self._color = color
        self._training = training
        self._cache = cache

    def latents(self, faces: np.ndarray) -> np.ndarray:
        """Return the latents of (M, 64, 64) luminance or (M, 64, 64, 3) BGR faces, uint8."""
        import torch

        planes = faces[:, None] if faces.ndim == 3 else faces.transpose(0, 3, 1, 2)
        return self._encoded(torch.from_numpy(planes.astype(np.float32)) / 127.5 - 1)

    def of_training(self, mirrored: bool) -> np.ndarray:
        """Return the latents of the training faces, or of their mirror images."""
        from deid_ros.offboard.training.common import augmentation

        path = self._path(mirrored)
        if path is not None and path.exists():
            return np.load(path, allow_pickle=False)
        planes = augmentation.planes(self._training.pixels, self._color)
        result = self._encoded(augmentation.view(planes.flip(-1) if mirrored else planes, None, 0))
        if path is not None:
            # Written to a temporary file and renamed, as another run may read it at the same time.
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix='.npy', delete=False) as file:
                np.save(file, result, allow_pickle=False)
            Path(file.name).rename(path)
        return result

    def _path(self, mirrored: bool) -> Path | None:
        if self._cache is None:
            return None
        faces = hashlib.sha256(self._training.pixels.tobytes()).hexdigest()
        key = hashlib.sha256(f'{self._hash} {faces} {self._color} {mirrored}'.encode()).hexdigest()
        return self._cache / f'latents-{key[:16]}.npy'

    def _encoded(self, inputs: 'torch.Tensor') -> np.ndarray:
        # Only contributors need torch.
        import torch

        from deid_ros.core.backends.torch_layers import load_arrays, module_of
        from deid_ros.offboard.training.common.runs import encode

        module = module_of(self._network.layers)
        load_arrays(module, self._network.arrays)
        return encode(module.eval(), inputs, torch.device('cpu'))


def of_gallery(people: np.ndarray, faces: np.ndarray, training: Faces, key: str = KEY
               ) -> Contributors:
    """Return all training faces of the people that each face's synthetic identity is made of.

    :param people: (M, P) numbers of the people of each identity: `contributors` in the table of a
        gallery, see `deid_ros.offboard.training.synthetic.gallery`.
    """
    from deid_ros.offboard.training.common.data import TrainingData
    from deid_ros.offboard.training.synthetic.generator import people_with_identity

    names, numbers = people_with_identity(training.identities, ~TrainingData(training, {}).held_out)
    images = [np.flatnonzero(numbers == number) for number in range(len(names))]
    return [np.concatenate([images[int(person)] for person in np.unique(people[identity])])
            for identity in identities_of(faces, len(people), key)]


def of_mode(store: ModelStore, recipes: Path, mode: str, apply: str, faces: np.ndarray,
            training: Faces, labels: Path | None, cache: Path | None = None, key: str = KEY
            ) -> Contributors | None:
    """Return the contributors of faces under a shipped mode; None for a mode that does not shift.

    :param recipes: folder with the training recipes of the mode's networks.
    :param apply: `finetuned` or `runtime`.
    :param faces: (M, 64, 64) luminance or (M, 64, 64, 3) BGR, uint8: the input of the networks.
    :param training: the training faces, (N, 96, 96, 3) crops with context.
    :param labels: the CSV of attributes that an encoder was fine-tuned with.
    :param cache: folder for the latents of training faces, which take a minute or two.
    :param key: the key that chose the synthetic identities.
    :raises ValueError: the labels are needed and missing, or a recipe or file is wrong.
    """
    variant = store.modes[mode]['apply'][apply]
    name = variant['encoder']
    recipe = load_recipe(recipes / store.entries[name]['recipe'])
    if 'shift' in variant and variant['shift']['kind'] == SYNTHETIC:
        return of_gallery(store.arrays(variant['shift']['table'])['contributors'], faces, training,
                          key)
    if 'shift' in variant:
        table = variant['shift']
        encoder = _Encoder(store, name, recipe.color, training, cache)
        seed = load_recipe(recipes / store.entries[table['table']]['recipe']).seed
        return of_table(table['kind'], int(table['n']), store.arrays(table['table']),
                        encoder.latents(faces), encoder.of_training(False),
                        encoder.of_training(True), training.identities, seed)
    if recipe.shift is None:
        return None
    encoder = _Encoder(store, f'{recipe.base}/encoder', recipe.color, training, cache)
    if recipe.shift.mode == 'cluster':
        return of_table('cluster', 1, store.arrays(f'{recipe.name}/table'), encoder.latents(faces),
                        encoder.of_training(False), encoder.of_training(True), training.identities,
                        recipe.seed)
    if recipe.shift.mode == 'attribute' and labels is None:
        raise ValueError(f'the mode {mode} needs --training-labels: the CSV of attributes that '
                         'its encoder was fine-tuned with')
    return of_shift(recipe.shift, encoder.latents(faces), encoder.of_training(False), training,
                    labels)


def of_shift(shift: Shift, latents: np.ndarray, trained: np.ndarray, training: Faces,
             labels: Path | None) -> Contributors:
    """Return the contributors to the targets that an encoder was fine-tuned with.

    :param shift: of mode `cell`, `neighbour` or `attribute`.
    :param latents: plain latents of the new faces, (M, …); `trained` those of training faces.
    """
    if shift.mode == 'cell':
        return list(np.concatenate([of_cell(one, other, shift.n) for one, other
                                    in zip(_cells(latents), _cells(trained))], axis=1))
    latents, trained = _flat(latents), _flat(trained)
    if shift.mode == 'neighbour':
        return list(of_neighbour(latents, trained, shift.n, trained.mean(axis=0)))
    assert labels is not None
    from deid_ros.offboard.training.common.data import read_labels

    indexed = Faces(np.arange(len(training)), training.names, training.identities)
    data = read_labels(labels, indexed, shift.attributes)
    known = data.faces.pixels
    sets = of_attributes(latents, trained[known], [data.labels[name] for name in shift.attributes],
                         data.faces.identities, n=shift.n, alpha=shift.alpha, beta=shift.beta)
    return list(known[sets])


def of_table(kind: str, n: int, arrays: dict[str, np.ndarray], latents: np.ndarray,
             trained: np.ndarray, mirrored: np.ndarray, identities: np.ndarray, seed: int
             ) -> Contributors:
    """Return the contributors of a shift with a table: members of the chosen clusters or groups.

    :param kind: see `RuntimeShift`, as `n` and `arrays`.
    :param latents: plain latents of the new faces, (M, …); `trained` and `mirrored` those of
        training faces and of their mirror images, all of which the table was made from.
    :param identities: (N,) the people in the training faces.
    :param seed: of the table's recipe.
    :raises ValueError: the table was made from other faces.
    """
    both = np.concatenate([trained, mirrored])
    if kind == 'cell':
        cells = [_of_chosen(_members(other, centres), of_cell(one, centres, n)) for one, other,
        centres
                 in zip(_cells(latents), _cells(both), arrays['centres'])]
        found = [np.concatenate(parts) for parts in zip(*cells)]
    elif kind == 'neighbour':
        centres = arrays['centres']
        found = _of_chosen(_groups(_flat(both), np.tile(identities, 2), centres, seed),
                       of_neighbour(_flat(latents), centres, n, arrays['mean']))
    else:
        found = of_cluster(_flat(latents), _flat(both), arrays['centres'])
    return [each % len(trained) for each in found]


def _of_chosen(members: Contributors, chosen: np.ndarray) -> Contributors:
    return [members[int(index)] for index in chosen[:, 0]]


def _flat(latents: np.ndarray) -> np.ndarray:
    return latents.reshape(len(latents), -1)


def _cells(latents: np.ndarray) -> list[np.ndarray]:
    """Return the (N, C) latents of each cell of (N, C, h, w), row by row."""
    flat = latents.reshape(*latents.shape[:2], -1)
    return [np.ascontiguousarray(flat[:, :, cell]) for cell in range(flat.shape[2])]
