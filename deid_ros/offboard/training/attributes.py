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
from deid_ros.core.recognition import FaceRecognizer
from deid_ros.offboard.training import views
from deid_ros.offboard.training.data import TrainingData
from deid_ros.offboard.training.recipe import UNLABELLED, Augmentation, Recipe
from deid_ros.offboard.training.runs import save_module
from deid_ros.offboard.training.trainer import epoch_seed, fit

# Standard deviations at which tanh is asked for 0.76, so that poses seldom reach its ends.
_LANDMARK_SPREAD = 3.0
# Of mean luminance, in −1…1, likewise.
_LIGHT_GAIN = 1.5
# How sure the network is to be of a label: at 1, the tanh's input would have to be infinite.
_SURE = 0.9


def wanted_columns(attributes: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of the label file that attributes such as `ethnicity=asian` stand in."""
    return tuple(dict.fromkeys(name.partition('=')[0] for name in attributes))


def label_targets(labels: dict[str, np.ndarray], attributes: Sequence[str]) -> np.ndarray:
    """Return (N, A) float32: 0.9 where a face has the attribute, −0.9 where it has not.

    :param labels: by column, (N,) words, `1` or `0`; see `read_labels`.
    """
    has = [labels[column] == (value or '1')
           for column, _, value in (name.partition('=') for name in attributes)]
    return np.where(np.stack(has, axis=1), _SURE, -_SURE).astype(np.float32)


class Unlabelled:
    """The numbers that need no labels, on the scale that they have in the faces given here.

    :param faces: (N, 1, 64, 64) float32 in −1…1.
    """

    def __init__(self, faces: torch.Tensor) -> None:
        found = landmarks(faces)
        self._mean, self._deviation = found.mean(axis=0), found.std(axis=0)

    def targets(self, faces: torch.Tensor) -> np.ndarray:
        """Return (N, 15) float32 of faces shaped like those: landmarks, then light."""
        pose = (landmarks(faces) - self._mean) / self._deviation / _LANDMARK_SPREAD
        pixels = faces[:, 0].numpy()
        half = pixels.shape[1] // 2
        light = [part.mean(axis=(1, 2)) for rows in (pixels[:, :half], pixels[:, half:])
                 for part in (rows[:, :, :half], rows[:, :, half:])]
        light.append(pixels.std(axis=(1, 2)))
        result = np.tanh(np.concatenate(
            [pose.reshape(len(pose), -1), _LIGHT_GAIN * np.stack(light, axis=1)], axis=1))
        assert result.shape[1] == UNLABELLED
        return result.astype(np.float32)


def landmarks(faces: torch.Tensor) -> np.ndarray:
    """Return (N, 5, 2) float32, see `FaceRecognizer`, of (N, 1, 64, 64) faces."""
    recognizer = FaceRecognizer()
    return np.stack([recognizer.landmarks(face) for face in views.pixels(faces)]
                    ).astype(np.float32)


def train_attributes(recipe: Recipe, data: TrainingData, runs: Path, *, device: torch.device,
                     until: int | None = None) -> None:
    """Train a network of attributes; see `stages.train`."""
    torch.manual_seed(recipe.seed)
    module = module_of(recipe.networks()['attributes'])
    faces = views.planes(data.faces.pixels, color=False)
    unlabelled = Unlabelled(views.view(faces, None, 0))
    labels = label_targets(data.labels, recipe.attributes)

    def pairs(augmentation: Augmentation | None, seed: int, chosen: np.ndarray
              ) -> tuple[torch.Tensor, torch.Tensor]:
        shown = views.view(faces[torch.from_numpy(chosen)], augmentation, seed)
        return shown, torch.from_numpy(
            np.concatenate([unlabelled.targets(shown), labels[chosen]], axis=1))

    @functools.lru_cache(maxsize=1)
    def training_pairs(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        return pairs(recipe.augmentation, epoch_seed(recipe.seed, number), ~data.held_out)

    fit(module, recipe, lambda epoch: training_pairs(epoch // recipe.views),
        lambda _: pairs(None, 0, data.held_out), runs / recipe.name, device=device, until=until)
    if until is None:
        save_module(runs / recipe.name / 'attributes.npz', module)
