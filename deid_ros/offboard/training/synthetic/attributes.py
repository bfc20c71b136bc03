# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a face shows besides who it is, as a few numbers within −1 and 1.

Where the corners of the eyes and the nose lie (pose), how light falls on it, and labels such as a
smile. A network learns to tell them from the face; they are all that the mode `synthetic` lets
through.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from deid_ros.core.backends.torch_layers import module_of
from deid_ros.core.deidentification.networks import attribute_network
from deid_ros.core.recognition import FaceRecognizer
from deid_ros.offboard.training.common import views
from deid_ros.offboard.training.common.data import TrainingData
from deid_ros.offboard.training.common.recipe import UNLABELLED, Recipe
from deid_ros.offboard.training.common.runs import save_module
from deid_ros.offboard.training.common.trainer import epoch_seed, fit

# Standard deviations at which tanh is asked for 0.76, so that poses seldom reach its ends.
_LANDMARK_SPREAD = 3.0
# Of mean luminance, in −1…1, likewise.
_LIGHT_GAIN = 1.5
# What auxiliary attributes are asked for with: their errors are to count less than those of others.
_AUXILIARY = 0.6
# How sure the network is to be of a label: at 1, the tanh's input would have to be infinite.
_SURE = 0.9


def wanted_columns(attributes: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of the label file that attributes such as `ethnicity=asian` stand in."""
    return tuple(dict.fromkeys(name.partition('=')[0] for name in attributes))


def label_targets(labels: dict[str, np.ndarray], attributes: Sequence[str]) -> np.ndarray:
    """Return (N, A) float32: 0.9 where a face surely has the attribute, −0.9 where it has not.

    :param labels: by column, (N,) words or probabilities; see `read_labels`.
    """
    likely = np.empty((len(next(iter(labels.values()))), len(attributes)), np.float32)
    for index, name in enumerate(attributes):
        column, _, word = name.partition('=')
        likely[:, index] = labels[column] == word if word else labels[column].astype(np.float32)
    return _SURE * (2 * likely - 1)


class Pose:
    """Landmarks, on the scale that they have in the faces given here.

    :param faces: (N, 1, 64, 64) float32 in −1…1.
    """

    def __init__(self, faces: torch.Tensor) -> None:
        found = landmarks(faces)
        self._mean, self._deviation = found.mean(axis=0), found.std(axis=0)

    def targets(self, faces: torch.Tensor) -> np.ndarray:
        """Return (N, 10) float32 of faces shaped like those."""
        pose = (landmarks(faces) - self._mean) / self._deviation / _LANDMARK_SPREAD
        return np.tanh(pose.reshape(len(pose), -1))


def light_targets(faces: torch.Tensor) -> np.ndarray:
    """Return (N, 5) float32: how bright the quarters of faces are, and their contrast."""
    pixels = faces[:, 0].numpy()
    half = pixels.shape[1] // 2
    light = [part.mean(axis=(1, 2)) for rows in (pixels[:, :half], pixels[:, half:])
             for part in (rows[:, :, :half], rows[:, :, half:])]
    light.append(pixels.std(axis=(1, 2)))
    return np.tanh(_LIGHT_GAIN * np.stack(light, axis=1))


def landmarks(faces: torch.Tensor) -> np.ndarray:
    """Return (N, 5, 2) float32, see `FaceRecognizer`, of (N, 1, 64, 64) faces."""
    recognizer = FaceRecognizer()
    return np.stack([recognizer.landmarks(face) for face in views.pixels(faces)]
                    ).astype(np.float32)


def train_attributes(recipe: Recipe, data: TrainingData, runs: Path, *, device: torch.device,
                     until: int | None = None) -> None:
    """Train a network of attributes; see `stages.train`."""
    torch.manual_seed(recipe.seed)
    wanted = module_of(recipe.networks()['attributes'])
    module = module_of(attribute_network(recipe.attribute_count + len(recipe.auxiliary)))
    faces = views.planes(data.faces.pixels, color=False)
    plain = views.view(faces, None, 0)
    pose = Pose(plain)
    labels = np.concatenate([
        label_targets(data.labels, recipe.attributes),
        _AUXILIARY * label_targets(data.labels, recipe.auxiliary)], axis=1)

    def with_targets(seen: torch.Tensor, poses: np.ndarray, chosen: np.ndarray
                     ) -> tuple[torch.Tensor, torch.Tensor]:
        targets = np.concatenate([poses, light_targets(seen), labels[chosen]], axis=1)
        assert targets.shape[1] == UNLABELLED + labels.shape[1]
        return seen, torch.from_numpy(targets)

    @functools.lru_cache(maxsize=1)
    def posed(number: int) -> tuple[torch.Tensor, np.ndarray]:
        shown = views.view(faces[torch.from_numpy(~data.held_out)], recipe.augmentation,
                           epoch_seed(recipe.seed, number))
        return shown, pose.targets(shown)

    def training_pairs(epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        shown, poses = posed(epoch // recipe.views)
        return with_targets(
            views.in_other_light(shown, recipe.augmentation, epoch_seed(recipe.seed, epoch)),
            poses, ~data.held_out)

    def validation_pairs(_: int) -> tuple[torch.Tensor, torch.Tensor]:
        shown = plain[torch.from_numpy(data.held_out)]
        return with_targets(shown, pose.targets(shown), data.held_out)

    fit(module, recipe, training_pairs, validation_pairs, runs / recipe.name, device=device,
        until=until)
    if until is None:
        learned = module.state_dict()
        wanted.load_state_dict({name: learned[name][:len(value)]
                                for name, value in wanted.state_dict().items()})
        save_module(runs / recipe.name / 'attributes.npz', wanted)
