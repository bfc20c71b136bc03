# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What makes the new faces of a row: shipped modes, ablations, baselines."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from deid_ros.core.backends import Backend, make_backend
from deid_ros.core.deidentification.chain import Chain, load_chain
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.resources import shared_directory
from deid_ros.offboard.common.datasets import Faces
from deid_ros.offboard.common.identities import new_faces_of, with_other_keys
from deid_ros.offboard.evaluation.paper import contributors
from deid_ros.offboard.training.common.recipe import Recipe, load_recipe


@dataclass(frozen=True)
class Workshop:
    """What subjects are made with.

    :ivar models: the shipped networks.
    :ivar recipes: folder of the shipped recipes.
    :ivar training_data: tar or folder of the faces to train ablations on.
    :ivar training_labels: CSV with their attributes.
    :ivar runs: folder of the ablations' runs.
    :ivar cache: folder of cropped faces.
    """

    models: ModelStore
    training_data: Path
    training_labels: Path
    runs: Path
    cache: Path
    recipes: Path = field(default_factory=lambda: shared_directory('config') / 'training')


class Subject(ABC):
    """Something that makes new faces."""

    def color(self, workshop: Workshop) -> bool:
        """Return whether the faces are (N, 64, 64, 3) BGR, not (N, 64, 64) luminance."""
        return False

    @abstractmethod
    def new_faces(self, faces: np.ndarray, workshop: Workshop) -> np.ndarray:
        """Return new faces, uint8 and shaped like `faces`."""

    def with_other_keys(self, faces: np.ndarray, workshop: Workshop) -> list[np.ndarray]:
        """Return more of them, where it depends on a key who gets which; see `suite.measure`."""
        return []

    def contributors(self, faces: np.ndarray, training: Faces, workshop: Workshop
                     ) -> contributors.Contributors | None:
        """Return the training faces that each new face is made of; None where there are none.

        :param training: see `training_faces`.
        """
        return None


@dataclass(frozen=True)
class Originals(Subject):
    """The faces as they are."""

    def new_faces(self, faces: np.ndarray, workshop: Workshop) -> np.ndarray:
        """Return the faces."""
        return faces


@dataclass(frozen=True)
class Baseline(Subject):
    """A function of (N, 64, 64) faces and one setting, see `baselines`."""

    function: Callable[[np.ndarray, Any], np.ndarray]
    setting: Any

    def new_faces(self, faces: np.ndarray, workshop: Workshop) -> np.ndarray:
        """Return what the function gives."""
        return self.function(faces, self.setting)


@dataclass(frozen=True)
class Shipped(Subject):
    """A shipped mode, applied in one of its ways."""

    mode: str
    way: str = 'finetuned'

    def chain(self, models: ModelStore) -> Chain:
        """Return the chain of the mode."""
        return load_chain(models, self.mode, self.way)

    def color(self, workshop: Workshop) -> bool:
        """See `Subject.color`."""
        return self.chain(workshop.models).color

    def new_faces(self, faces: np.ndarray, workshop: Workshop) -> np.ndarray:
        """Return what the chain gives."""
        return new_faces_of(faces, self._backend(workshop))

    def with_other_keys(self, faces: np.ndarray, workshop: Workshop) -> list[np.ndarray]:
        """See `Subject.with_other_keys`."""
        return with_other_keys(faces, self._backend(workshop))

    def _backend(self, workshop: Workshop) -> Backend:
        return make_backend('onnxruntime', self.chain(workshop.models))

    def contributors(self, faces: np.ndarray, training: Faces, workshop: Workshop
                     ) -> contributors.Contributors | None:
        """See `Subject.contributors`."""
        return contributors.of_mode(workshop.models, workshop.recipes, self.mode, self.way, faces,
                                    training, workshop.training_labels, workshop.cache)


@dataclass(frozen=True)
class LatentKSame(Subject):
    """k-Same of the latents of the plain autoencoder, through the rest of the chain."""

    k: int

    def new_faces(self, faces: np.ndarray, workshop: Workshop) -> np.ndarray:
        """Return the faces that the means of latents are decoded to."""
        # Only who needs latents needs torch.
        from deid_ros.offboard.evaluation.paper.latents import k_same_latents

        return k_same_latents(faces, self.k, load_chain(workshop.models, 'reconstruct'))


@dataclass(frozen=True)
class Ablation(Subject):
    """A shipped recipe with other values.

    :ivar name: of the run.
    :ivar recipe: the shipped recipe it starts from, in `config/training`.
    :ivar values: keys of the recipe to replace, as `epochs`.
    :ivar shift: keys of the recipe's shift to replace, as `k`.
    """

    name: str
    recipe: str
    values: Mapping[str, Any] = field(default_factory=dict)
    shift: Mapping[str, Any] = field(default_factory=dict)

    def resolved(self, recipes: Path) -> Recipe:
        """Return the recipe to train."""
        shipped = load_recipe(recipes / f'{self.recipe}.yaml')
        shift = replace(shipped.shift, **self.shift) if shipped.shift else None
        return replace(shipped, name=self.name, shift=shift, **self.values)

    def color(self, workshop: Workshop) -> bool:
        """See `Subject.color`."""
        return self.resolved(workshop.recipes).color

    def new_faces(self, faces: np.ndarray, workshop: Workshop) -> np.ndarray:
        """Return what the trained network gives; it is trained first where it lacks."""
        from deid_ros.offboard.evaluation.paper.ablation import trained_chain

        # ONNX Runtime would keep a model of each ablation on the disk.
        return make_backend('torch', trained_chain(self, workshop)).run(faces)
