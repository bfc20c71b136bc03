# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Networks of ablations: shipped recipes with other values, trained if they are missing."""

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
from deid_ros.offboard.evaluation.paper.inputs import EvaluationInputs
from deid_ros.offboard.training.common.data import TrainingData, read_labels
from deid_ros.offboard.training.common.recipe import Recipe
from deid_ros.offboard.training.stages import train


def trained_chain(recipe: Recipe, inputs: EvaluationInputs) -> Chain:
    """Return the chain of a recipe; it is trained first if it is missing.

    A training that was interrupted goes on. Plain autoencoders come without deblurrer and
    smoothener, as in the paper's Tables 1 and 2. A fine-tuned encoder is followed by its base's
    decoder, the deblurrer and the smoothener.

    :raises FileNotFoundError: the network must be trained, and the training data is missing.
    :raises ValueError: the training data holds no face, or the labels lack a column.
    """
    recipe = _named_by_content(recipe, inputs.models)
    run = inputs.runs / recipe.name
    if not (run / 'encoder.npz').exists():
        _train(recipe, inputs)
    networks = [Network(layers, _arrays(run / f'{role}.npz'))
                for role, layers in recipe.networks().items()]
    if recipe.base:
        kind = 'color' if recipe.color else 'gray'
        networks += [inputs.models.network(name)
                     for name in (f'{recipe.base}/decoder', f'deblurrer_{kind}/deblurrer',
                                  f'smoothener_{kind}/smoothener')]
    return Chain(recipe.name, recipe.color, networks, None, 1.0, recipe.name, {})


def _named_by_content(recipe: Recipe, models: ModelStore) -> Recipe:
    """Return the recipe under a name with a hash of its content and of its base.

    So a run of an older version of the recipe is not reused.
    """
    base = models.entries[f'{recipe.base}/encoder']['sha256'] if recipe.base else ''
    digest = hashlib.sha256(repr((recipe, base)).encode()).hexdigest()
    return replace(recipe, name=f'{recipe.name}-{digest[:8]}')


def _train(recipe: Recipe, inputs: EvaluationInputs) -> None:
    faces = training_faces(inputs.training_data, inputs.cache)
    attributes = recipe.shift.attributes if recipe.shift else ()
    data = (read_labels(inputs.training_labels, faces, attributes) if attributes
            else TrainingData(faces, {}))
    if recipe.base:
        _provide_base(recipe.base, inputs)
    train(recipe, data, inputs.runs, device=torch.device('cpu'), runtime=False)


def _provide_base(base: str, inputs: EvaluationInputs) -> None:
    """Copy the shipped encoder to where the training looks for the base of a recipe."""
    name = f'{base}/encoder'
    path = inputs.runs / base / 'encoder.npz'
    if not path.exists() or (sha256_of(path.read_bytes())
                             != inputs.models.entries[name]['sha256']):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(inputs.models.directory) / inputs.models.entries[name]['file'],
                        path)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}
