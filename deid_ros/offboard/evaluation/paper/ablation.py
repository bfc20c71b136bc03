# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The networks of the tables that vary what the shipped recipes fix, trained where they lack."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.deidentification.weights import ModelStore, Network
from deid_ros.core.resources import sha256_of
from deid_ros.offboard.common.datasets import training_faces
from deid_ros.offboard.evaluation.paper.methods import Ablation, Workshop
from deid_ros.offboard.training.common.data import TrainingData, read_labels
from deid_ros.offboard.training.common.recipe import Recipe
from deid_ros.offboard.training.stages import train


def trained_chain(ablation: Ablation, workshop: Workshop) -> Chain:
    """Return the chain of an ablation; it is trained first where it lacks, or goes on.

    Plain autoencoders come without deblurrer and smoothener, as in the paper's Tables 1 and 2. A
    fine-tuned encoder is followed by its base's decoder and by both.

    :raises FileNotFoundError: when it must be trained and the training data is missing.
    :raises ValueError: when there is no face in it, or the labels lack a column.
    """
    recipe = _named_by_content(ablation.resolved(workshop.recipes), workshop.models)
    run = workshop.runs / recipe.name
    if not (run / 'encoder.npz').exists():
        _train(recipe, workshop)
    networks = [Network(layers, _arrays(run / f'{role}.npz'))
                for role, layers in recipe.networks().items()]
    if recipe.base:
        kind = 'color' if recipe.color else 'gray'
        networks += [workshop.models.network(name)
                     for name in (f'{recipe.base}/decoder', f'deblurrer_{kind}/deblurrer',
                                  f'smoothener_{kind}/smoothener')]
    return Chain(recipe.name, recipe.color, networks, None, 1.0, recipe.name, {})


def _named_by_content(recipe: Recipe, models: ModelStore) -> Recipe:
    """Return the recipe under a name that tells its content and its base's.

    So the run of a recipe that has changed since is not taken for that of the new one.
    """
    base = models.entries[f'{recipe.base}/encoder']['sha256'] if recipe.base else ''
    digest = hashlib.sha256(repr((recipe, base)).encode()).hexdigest()
    return replace(recipe, name=f'{recipe.name}-{digest[:8]}')


def _train(recipe: Recipe, workshop: Workshop) -> None:
    faces = training_faces(workshop.training_data, workshop.cache)
    attributes = recipe.shift.attributes if recipe.shift else ()
    data = (read_labels(workshop.training_labels, faces, attributes) if attributes
            else TrainingData(faces, {}))
    if recipe.base:
        _provide_base(recipe.base, workshop)
    train(recipe, data, workshop.runs, device=torch.device('cpu'), runtime=False)


def _provide_base(base: str, workshop: Workshop) -> None:
    """Put the shipped encoder where the training looks for the run that an encoder starts from."""
    name = f'{base}/encoder'
    path = workshop.runs / base / 'encoder.npz'
    if not path.exists() or (sha256_of(path.read_bytes())
                             != workshop.models.entries[name]['sha256']):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(workshop.models.directory) / workshop.models.entries[name]['file'],
                        path)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}
