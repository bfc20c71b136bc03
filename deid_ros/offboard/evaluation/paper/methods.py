# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The compared methods, each of which makes new faces: shipped modes, ablations, baselines."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from deid_ros.core.backends import Backend, make_backend
from deid_ros.core.deidentification.chain import Chain, load_chain
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.offboard.common.datasets import Faces
from deid_ros.offboard.common.identities import new_faces_of, with_other_keys
from deid_ros.offboard.evaluation.paper import contributors
from deid_ros.offboard.evaluation.paper.inputs import EvaluationInputs
from deid_ros.offboard.training.common.recipe import Recipe, load_recipe


class Method(ABC):
    """A de-identification method: takes faces and makes new ones."""

    def color(self, inputs: EvaluationInputs) -> bool:
        """Return whether the faces are (N, 64, 64, 3) BGR, not (N, 64, 64) luminance."""
        return False

    @abstractmethod
    def new_faces(self, faces: np.ndarray, inputs: EvaluationInputs) -> np.ndarray:
        """Return new faces, uint8 and shaped like `faces`."""

    def with_other_keys(self, faces: np.ndarray, inputs: EvaluationInputs) -> list[np.ndarray]:
        """Return new faces made with other keys; none where the method has no key."""
        return []

    def contributors(self, faces: np.ndarray, training: Faces, inputs: EvaluationInputs
                     ) -> contributors.Contributors | None:
        """Return the training faces that each new face is made of; None where there are none.

        :param training: see `training_faces`.
        """
        return None


@dataclass(frozen=True)
class Unchanged(Method):
    """No de-identification: returns the faces as they are."""

    def new_faces(self, faces: np.ndarray, inputs: EvaluationInputs) -> np.ndarray:
        """Return the faces."""
        return faces


@dataclass(frozen=True)
class Baseline(Method):
    """A function of (N, 64, 64) faces and one setting, see `baselines`."""

    function: Callable[[np.ndarray, Any], np.ndarray]
    setting: Any

    def new_faces(self, faces: np.ndarray, inputs: EvaluationInputs) -> np.ndarray:
        """Return what the function gives."""
        return self.function(faces, self.setting)


@dataclass(frozen=True)
class ShippedMode(Method):
    """A shipped mode; `apply` is one of `SHIFT_APPLY`."""

    mode: str
    apply: str = 'finetuned'

    def chain(self, models: ModelStore) -> Chain:
        """Return the chain of the mode."""
        return load_chain(models, self.mode, self.apply)

    def color(self, inputs: EvaluationInputs) -> bool:
        """See `Method.color`."""
        return self.chain(inputs.models).color

    def new_faces(self, faces: np.ndarray, inputs: EvaluationInputs) -> np.ndarray:
        """Return what the chain gives."""
        return new_faces_of(faces, self._backend(inputs))

    def with_other_keys(self, faces: np.ndarray, inputs: EvaluationInputs) -> list[np.ndarray]:
        """See `Method.with_other_keys`."""
        return with_other_keys(faces, self._backend(inputs))

    def _backend(self, inputs: EvaluationInputs) -> Backend:
        return make_backend('onnxruntime', self.chain(inputs.models))

    def contributors(self, faces: np.ndarray, training: Faces, inputs: EvaluationInputs
                     ) -> contributors.Contributors | None:
        """See `Method.contributors`."""
        return contributors.of_mode(inputs.models, inputs.recipes, self.mode, self.apply, faces,
                                    training, inputs.training_labels, inputs.cache)


@dataclass(frozen=True)
class LatentKSame(Method):
    """k-Same of the latents of the plain autoencoder, through the rest of the chain."""

    k: int

    def new_faces(self, faces: np.ndarray, inputs: EvaluationInputs) -> np.ndarray:
        """Return the faces that the means of latents are decoded to."""
        # Only this method needs torch.
        from deid_ros.offboard.evaluation.paper.latents import k_same_latents

        return k_same_latents(faces, self.k, load_chain(inputs.models, 'reconstruct'))


@dataclass(frozen=True)
class Ablation(Method):
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

    def color(self, inputs: EvaluationInputs) -> bool:
        """See `Method.color`."""
        return self.resolved(inputs.recipes).color

    def new_faces(self, faces: np.ndarray, inputs: EvaluationInputs) -> np.ndarray:
        """Return what the trained network gives; it is trained first if it is missing."""
        # Only ablations need torch.
        from deid_ros.offboard.evaluation.paper.ablation import trained_chain

        chain = trained_chain(self.resolved(inputs.recipes), inputs)
        # Not ONNX Runtime, which would keep a model of each ablation on the disk.
        return make_backend('torch', chain).run(faces)
