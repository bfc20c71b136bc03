# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Networks of earlier runs: reading, writing, encoding faces."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from deid_ros.core.backends.torch_layers import load_arrays, module_of
from deid_ros.core.deidentification.weights import save_arrays
from deid_ros.offboard.training.common.recipe import Recipe

#: File with the table of a shift at run time, in the run of an encoder.
TABLE = 'table'
_CHUNK = 1024


def encode(encoder: nn.Module, faces: torch.Tensor, device: torch.device) -> np.ndarray:
    """Return the latents of (N, C, 64, 64) faces as float32."""
    with torch.no_grad():
        return torch.cat([encoder(part.to(device)).cpu()
                          for part in faces.split(_CHUNK)]).numpy()


def load_run(runs: Path, name: str, role: str, recipe: Recipe) -> nn.Sequential:
    """Return a network that an earlier recipe trained.

    :raises FileNotFoundError: when that recipe has not been trained yet.
    """
    path = runs / name / f'{role}.npz'
    if not path.exists():
        raise FileNotFoundError(f'{path} is missing: train the recipe {name} first')
    module = module_of(recipe.networks()[role])
    with np.load(path, allow_pickle=False) as arrays:
        load_arrays(module, dict(arrays))
    return module.eval()


def save_module(path: Path, module: nn.Module) -> None:
    """Write the weights of a network, as `load_run` reads them."""
    save_arrays(str(path), {name: value.cpu().numpy()
                            for name, value in module.state_dict().items()})
