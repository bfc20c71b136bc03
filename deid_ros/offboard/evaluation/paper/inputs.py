# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the methods of the tables get their networks, recipes and training data."""

from dataclasses import dataclass, field
from pathlib import Path

from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.resources import shared_directory


@dataclass(frozen=True)
class EvaluationInputs:
    """Networks, recipes and data that the methods of the tables use.

    :ivar models: the shipped networks.
    :ivar training_data: tar or folder of the faces that ablations are trained on.
    :ivar training_labels: CSV with the attributes of these faces.
    :ivar runs: folder of the trained ablations.
    :ivar cache: folder of cropped faces.
    :ivar recipes: folder of the shipped recipes.
    """

    models: ModelStore
    training_data: Path
    training_labels: Path
    runs: Path
    cache: Path
    recipes: Path = field(default_factory=lambda: shared_directory('config') / 'training')
