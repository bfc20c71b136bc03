# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The attributes of a face other than its identity, as a few numbers within −1 and 1.

They are the places of the eyes' corners and the nose (pose), light, and labels such as a smile. A
network learns to estimate them. The mode `synthetic` keeps nothing else of a face.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from deid_ros.core.backends.torch_layers import module_of
from deid_ros.core.deidentification.networks import attribute_network
from deid_ros.core.recognition import FaceRecognizer
from deid_ros.offboard.training.common import augmentation
from deid_ros.offboard.training.common.data import TrainingData
from deid_ros.offboard.training.common.recipe import UNLABELLED, Recipe
from deid_ros.offboard.training.common.runs import save_module
from deid_ros.offboard.training.common.trainer import epoch_seed, fit

# Standard deviations that give a target of tanh(1) = 0.76, so that poses seldom saturate.
_LANDMARK_SPREAD = 3.0
# Gain of luminance in −1…1, before tanh.
_LIGHT_GAIN = 1.5
# Scale of the targets of auxiliary attributes, whose errors count less.
_AUXILIARY = 0.6
# Largest target of a label. At 1, the input of tanh would have to be infinite.
_LABEL_TARGET = 0.9


def wanted_columns(attributes: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of the label file for attributes such as `ethnicity=asian`."""
    return tuple(dict.fromkeys(name.partition('=')[0] for name in attributes))


def label_targets(labels: dict[str, np.ndarray], attributes: Sequence[str]) -> np.ndarray:
    """Return (N, A) float32: 0.9 for a face with the attribute, −0.9 for one without.

    :param labels: by column, (N,) words or probabilities; see `read_labels`.
    """
    likely = np.empty((len(next(iter(labels.values()))), len(attributes)), np.float32)
    for index, name in enumerate(attributes):
        column, _, word = name.partition('=')
        likely[:, index] = labels[column] == word if word else labels[column].astype(np.float32)
    return _LABEL_TARGET * (2 * likely - 1)


class Pose:
    """Landmarks, normalized by their mean and deviation in the given faces.

    :param faces: (N, 1, 64, 64) float32 in −1…1.
    """

    def __init__(self, faces: torch.Tensor) -> None:
        found = landmarks(faces)
        self._mean, self._deviation = found.mean(axis=0), found.std(axis=0)

    def targets(self, faces: torch.Tensor) -> np.ndarray:
        """Return the (N, 10) float32 targets of (N, 1, 64, 64) faces."""
        pose = (landmarks(faces) - self._mean) / self._deviation / _LANDMARK_SPREAD
        return np.tanh(pose.reshape(len(pose), -1))


def light_targets(faces: torch.Tensor) -> np.ndarray:
    """Return (N, 5) float32: the brightness of the four quarters of faces, and their contrast."""
    pixels = faces[:, 0].numpy()
    half = pixels.shape[1] // 2
    light = [part.mean(axis=(1, 2)) for rows in (pixels[:, :half], pixels[:, half:])
             for part in (rows[:, :, :half], rows[:, :, half:])]
    light.append(pixels.std(axis=(1, 2)))
    return np.tanh(_LIGHT_GAIN * np.stack(light, axis=1))


def landmarks(faces: torch.Tensor) -> np.ndarray:
    """Return (N, 5, 2) float32, see `FaceRecognizer`, of (N, 1, 64, 64) faces."""
    recognizer = FaceRecognizer()
    return np.stack([recognizer.landmarks(face) for face in augmentation.pixels(faces)]
                    ).astype(np.float32)


def train_attributes(recipe: Recipe, data: TrainingData, runs: Path, *, device: torch.device,
                     until: int | None = None) -> None:
    """Train an attribute network; see `stages.train`."""
    torch.manual_seed(recipe.seed)
    wanted = module_of(recipe.networks()['attributes'])
    module = module_of(attribute_network(recipe.attribute_count + len(recipe.auxiliary)))
    faces = augmentation.planes(data.faces.pixels, color=False)
    plain = augmentation.view(faces, None, 0)
    pose = Pose(plain)
    labels = np.concatenate([
        label_targets(data.labels, recipe.attributes),
        _AUXILIARY * label_targets(data.labels, recipe.auxiliary)], axis=1)

    def with_targets(inputs: torch.Tensor, poses: np.ndarray, chosen: np.ndarray
                     ) -> tuple[torch.Tensor, torch.Tensor]:
        targets = np.concatenate([poses, light_targets(inputs), labels[chosen]], axis=1)
        assert targets.shape[1] == UNLABELLED + labels.shape[1]
        return inputs, torch.from_numpy(targets)

    @functools.lru_cache(maxsize=1)
    def posed(number: int) -> tuple[torch.Tensor, np.ndarray]:
        inputs = augmentation.view(faces[torch.from_numpy(~data.held_out)], recipe.augmentation,
                           epoch_seed(recipe.seed, number))
        return inputs, pose.targets(inputs)

    def training_pairs(epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, poses = posed(epoch // recipe.epochs_per_view)
        return with_targets(
            augmentation.with_light_jitter(inputs, recipe.augmentation,
                                           epoch_seed(recipe.seed, epoch)),
            poses, ~data.held_out)

    def validation_pairs(_: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = plain[torch.from_numpy(data.held_out)]
        return with_targets(inputs, pose.targets(inputs), data.held_out)

    fit(module, recipe, training_pairs, validation_pairs, runs / recipe.name, device=device,
        until=until)
    if until is None:
        learned = module.state_dict()
        wanted.load_state_dict({name: learned[name][:len(value)]
                                for name, value in wanted.state_dict().items()})
        save_module(runs / recipe.name / 'attributes.npz', wanted)
