# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Make `models/calibration_faces.png`: synthetic faces for tests and calibration of engines.

    python -m deid_ros.offboard.maintenance.make_calibration_faces models/calibration_faces.png

Then put the SHA-256 that it prints into `deid_ros/core/deidentification/calibration_faces.py`.
"""

import sys

import cv2
import numpy as np
import torch
from torch import nn

from deid_ros.core.backends.torch_layers import load_arrays, module_of
from deid_ros.core.deidentification.calibration_faces import SIDE
from deid_ros.core.deidentification.chain import load_chain
from deid_ros.core.deidentification.networks import GRID
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.resources import models_directory, sha256_of


def make_sheet(store: ModelStore, seed: int = 7) -> np.ndarray:
    """Return SIDE × SIDE faces as one picture, (SIDE · 64, SIDE · 64, 3) uint8 BGR.

    Each of the four cells of a latent is a random entry of the table of the mode `cell`.
    """
    chain = load_chain(store, 'cell', 'runtime')
    assert chain.shift is not None
    random = np.random.default_rng(seed)
    cells = [centres[random.choice(len(centres), SIDE * SIDE, replace=False)]
             for centres in chain.shift.arrays['centres']]
    modules = []
    for network in chain.networks[1:]:
        module = module_of(network.layers)
        load_arrays(module, network.arrays)
        modules.append(module)
    with torch.no_grad():
        latents = torch.from_numpy(np.stack(cells, 2)).view(SIDE * SIDE, -1, GRID, GRID)
        faces = (nn.Sequential(*modules).eval()(latents) * 0.5 + 0.5).clamp(0, 1)
    pixels = np.rint(255 * faces.permute(0, 2, 3, 1).numpy()).astype(np.uint8)
    rows = pixels.reshape((SIDE, SIDE) + pixels.shape[1:]).swapaxes(1, 2)
    return rows.reshape(SIDE * pixels.shape[1], SIDE * pixels.shape[2], 3)


def main(arguments: list[str] | None = None) -> None:
    """Write the file and print its SHA-256."""
    path, = arguments if arguments is not None else sys.argv[1:]
    content = cv2.imencode('.png', make_sheet(ModelStore(str(models_directory()))))[1].tobytes()
    with open(path, 'wb') as file:
        file.write(content)
    print(sha256_of(content))


if __name__ == '__main__':
    main()
