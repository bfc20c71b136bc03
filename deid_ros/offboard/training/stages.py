# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training stages: autoencoder, targets and encoder fine-tuning (eq. 6), deblurrer, smoothener."""

import dataclasses
import functools
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from deid_ros.core.backends.torch_layers import module_of
from deid_ros.core.deidentification.weights import save_arrays
from deid_ros.offboard.training.common import augmentation
from deid_ros.offboard.training.common.data import TrainingData
from deid_ros.offboard.training.common.recipe import Recipe, Shift
from deid_ros.offboard.training.common.runs import TABLE, encode, load_run, save_module
from deid_ros.offboard.training.common.trainer import epoch_seed, fit
from deid_ros.offboard.training.paper import shifts
from deid_ros.offboard.training.synthetic.attributes import train_attributes
from deid_ros.offboard.training.synthetic.contrast import train_contrast
from deid_ros.offboard.training.synthetic.generator import train_generator

#: Centres that replace the latents of the training set in a search at run time.
REPRESENTATIVES = 1024
#: Groups of similar faces that replace single faces as targets. K-means clusters would hold too
#: many faces, so that their centres are all alike.
GROUPS = 2048
#: Stages whose networks have other inputs or outputs than faces and latents.
OTHER_STAGES = {'attributes': train_attributes, 'generator': train_generator,
                'contrast': train_contrast}
# Weights of the channels of BGR in luminance (ITU-R BT.601).
_LUMINANCE = torch.tensor([0.114, 0.587, 0.299]).reshape(1, 3, 1, 1)


def _initialize_from_luminance(color: nn.Sequential, gray: nn.Sequential) -> None:
    """Initialize color networks with those for luminance, which all channels then give."""
    first, last = gray[0], gray[-1]
    if not (isinstance(first, nn.Conv2d) and isinstance(last, nn.Conv2d) and last.bias is not None):
        raise ValueError('only convolutional networks have a start')
    with torch.no_grad():
        first.weight = nn.Parameter(first.weight * _LUMINANCE)
        last.weight = nn.Parameter(last.weight.repeat(3, 1, 1, 1))
        last.bias = nn.Parameter(last.bias.repeat(3))
    color.load_state_dict(gray.state_dict())


def _initialize_he(module: nn.Sequential) -> None:
    """Initialize convolutions so that values keep their scale (He et al.).

    torch's default shrinks values in each layer. Networks whose output is close to their input
    would need most of their few epochs to undo that.
    """
    for layer in module:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')
            nn.init.zeros_(layer.bias)


def _shifted(latents: np.ndarray, shift: Shift, data: TrainingData,
             centres: np.ndarray | None) -> np.ndarray:
    identities = data.faces.identities
    if shift.mode == 'cell':
        return shifts.cell_shift(latents, identities, n=shift.n, alpha=shift.alpha)
    flat = latents.reshape(len(latents), -1)
    if shift.mode == 'cluster':
        assert centres is not None
        shifted = shifts.cluster_shift(flat, centres, shift.alpha)
    elif shift.mode == 'neighbour':
        shifted = shifts.neighbour_shift(flat, identities, n=shift.n, alpha=shift.alpha)
    else:
        shifted = shifts.supervised_shift(
            flat, [data.labels[name] for name in shift.attributes], identities,
            n=shift.n, alpha=shift.alpha, beta=shift.beta)
    return shifted.astype(np.float32).reshape(latents.shape)


def _table(latents: np.ndarray, identities: np.ndarray, shift: Shift,
           seed: int) -> dict[str, np.ndarray]:
    """Return the table of a shift at run time: averages, never the latent of one person."""
    flat = latents.reshape(len(latents), -1)
    if shift.mode == 'cluster':
        return {'centres': shifts.cluster_centres(flat, shift.k, seed)}
    if shift.mode == 'neighbour':
        groups = shifts.small_groups(flat, identities, count=GROUPS, size=shifts.GROUP_SIZE,
                                     seed=seed)
        return {'centres': shifts.set_means(flat, groups), 'mean': flat.mean(axis=0)}
    if shift.mode == 'cell':
        cells = latents.reshape(len(latents), latents.shape[1], -1)
        return {'centres': np.stack([
            shifts.representatives(np.ascontiguousarray(cells[:, :, cell]), REPRESENTATIVES, seed)
            for cell in range(cells.shape[2])])}
    return {}


def train(recipe: Recipe, data: TrainingData, runs: Path, *, device: torch.device,
          until: int | None = None, runtime: bool = True) -> None:
    """Train the networks of a recipe, and write them as `.npz` into `runs`/NAME.

    :param until: stop after that many epochs in all, without writing networks.
    :param runtime: also make the table for the same shift at run time, which can take minutes.
    """
    if recipe.stage in OTHER_STAGES:
        OTHER_STAGES[recipe.stage](recipe, data, runs, device=device, until=until)
        return
    run = runs / recipe.name
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    modules = OrderedDict((role, module_of(layers)) for role, layers in recipe.networks().items())
    faces = augmentation.planes(data.faces.pixels, recipe.color)
    if recipe.stage in ('deblurrer', 'smoothener'):
        _initialize_he(modules[recipe.stage])
    if recipe.start is not None:
        gray = dataclasses.replace(recipe, color=False, start=None)
        _initialize_from_luminance(
            nn.Sequential(*(layer for module in modules.values() for layer in module)),
            nn.Sequential(*(layer for role in modules
                            for layer in load_run(runs, recipe.start, role, gray))))
    plain = None
    centres = None
    if recipe.stage == 'encoder':
        assert recipe.base is not None
        assert recipe.shift is not None
        plain = load_run(runs, recipe.base, 'encoder', recipe).to(device)
        modules['encoder'].load_state_dict(plain.state_dict())
        table_path = run / f'{TABLE}.npz'
        wanted = runtime or recipe.shift.mode == 'cluster'  # whose targets are in the table
        if wanted and not table_path.exists():
            both = np.concatenate([encode(plain, augmentation.view(source, None, 0), device)
                                   for source in (faces, faces.flip(-1))])
            table = _table(both, np.tile(data.faces.identities, 2), recipe.shift, recipe.seed)
            if table:
                save_arrays(str(table_path), table)
        if recipe.shift.mode == 'cluster':
            with np.load(table_path, allow_pickle=False) as arrays:
                centres = arrays['centres'].astype(np.float32)

    def pairs(faces_view: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        if recipe.stage == 'deblurrer':
            return augmentation.blurred(faces_view, recipe.blur, seed), faces_view
        if plain is not None and recipe.shift is not None:
            latents = encode(plain, faces_view, device)
            return faces_view, torch.from_numpy(_shifted(latents, recipe.shift, data, centres))
        return faces_view, faces_view

    @functools.lru_cache(maxsize=1)
    def training_pairs(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        seed = epoch_seed(recipe.seed, number)
        inputs, targets = pairs(augmentation.view(faces, recipe.augmentation, seed), seed)
        kept = torch.from_numpy(~data.held_out)
        return inputs[kept], targets[kept]

    def validation_pairs(_: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = pairs(augmentation.view(faces, None, 0), 0)
        kept = torch.from_numpy(data.held_out)
        return inputs[kept], targets[kept]

    whole = nn.Sequential(*modules.values())
    fit(whole, recipe, lambda epoch: training_pairs(epoch // recipe.epochs_per_view),
        validation_pairs, run, device=device, until=until)
    if until is None:
        for role, module in modules.items():
            save_module(run / f'{role}.npz', module)
