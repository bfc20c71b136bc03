# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Figure 2: latents in two dimensions, before and after shifts (section 3.2 of the paper)."""

import csv
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from deid_ros.offboard.common.datasets import Faces, tight
from deid_ros.offboard.evaluation.paper.inputs import EvaluationInputs

#: Points in a panel.
POINTS = 300
_N, _ALPHA, _BETA, _K = 20, 0.71, 0.5, 10
_SEED = 0


@dataclass(frozen=True)
class Panel:
    """One scatter plot: `points` are (N, 2); `female` and `young` are (N,) bool.

    People who are young are not white; people who are not young are white.
    """

    title: str
    points: np.ndarray
    female: np.ndarray
    young: np.ndarray


def panels(training: Faces, inputs: EvaluationInputs) -> list[Panel]:
    """Return the panels: the latents of the plain encoder, and three shifts of them.

    :param training: see `training_faces`.
    """
    # Only a new figure needs scikit-learn and torch.
    from sklearn.decomposition import PCA

    from deid_ros.offboard.evaluation.paper.latents import encoded
    from deid_ros.offboard.training.common.data import read_labels
    from deid_ros.offboard.training.paper import shifts

    data = read_labels(inputs.training_labels, training, ('gender', 'Young', 'ethnicity'))
    young, white = data.labels['Young'] == '1', data.labels['ethnicity'] == 'white'
    one_of_both = young != white
    faces = tight(data.faces, color=False).pixels[one_of_both]
    people = data.faces.identities[one_of_both]
    young, female = young[one_of_both], (data.labels['gender'] == 'Woman')[one_of_both]
    groups = 2 * female + young
    latents = encoded(faces, inputs.models.network('fc/encoder'))

    centres = shifts.cluster_centres(latents, _K, _SEED)
    shifted = {
        'encoded': latents,
        'to the group\'s centre': _to_centres(latents, groups),
        'to neighbours of the group': shifts.supervised_shift(
            latents, [groups], people, n=_N, alpha=_ALPHA, beta=_BETA),
        'to the k-means centre': shifts.cluster_shift(latents, centres, _ALPHA),
    }
    plane = PCA(2, random_state=_SEED).fit(latents)
    chosen = np.random.default_rng(_SEED).permutation(len(latents))[:POINTS]
    return [Panel(title, plane.transform(each[chosen]), female[chosen], young[chosen])
            for title, each in shifted.items()]


def _to_centres(latents: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return eq. (7)–(10) with the whole group as attraction set and all others as repulsion."""
    targets = latents.copy()
    for group in np.unique(groups):
        own = groups == group
        targets[own] = (1 - _ALPHA) * latents[own] + _ALPHA * latents[own].mean(axis=0)
    result = targets.copy()
    for group in np.unique(groups):
        own = groups == group
        result[own] = (1 + _BETA) * targets[own] - _BETA * targets[~own].mean(axis=0)
    return result


def write(path: Path, content: list[Panel]) -> None:
    """Write a line for each point."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['panel', 'x', 'y', 'female', 'young'])
        for panel in content:
            for (x, y), female, young in zip(panel.points, panel.female, panel.young):
                writer.writerow([panel.title, f'{x:.3f}', f'{y:.3f}', int(female), int(young)])


def read(path: Path) -> list[Panel]:
    """Return the panels of a file that `write` wrote."""
    with open(path, newline='', encoding='utf-8') as file:
        lines = list(csv.DictReader(file))
    result = []
    for title, group in groupby(lines, lambda line: line['panel']):
        points = list(group)
        result.append(Panel(title, np.array([[float(point['x']), float(point['y'])]
                                             for point in points]),
                            np.array([point['female'] == '1' for point in points]),
                            np.array([point['young'] == '1' for point in points])))
    return result
