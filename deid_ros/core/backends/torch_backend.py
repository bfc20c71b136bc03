# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain in torch, on CUDA where there is a device, else on the CPU."""

from typing import Optional

import numpy as np
import torch
from torch import nn

from deid_ros.core.backends.backend import Backend
from deid_ros.core.backends.cuda_graphs import CudaGraphs
from deid_ros.core.backends.torch_layers import load_arrays, module_of
from deid_ros.core.deidentification.chain import SYNTHETIC, Chain, RuntimeShift
from deid_ros.core.deidentification.networks import FACE_SIZE


class ShiftModule(nn.Module):
    """(1 − α) x + α n, eq. (11), with n out of a table, or x + α g; see `RuntimeShift`."""

    def __init__(self, shift: RuntimeShift) -> None:
        super().__init__()
        self.kind, self.n = shift.kind, shift.n
        self.centres: torch.Tensor
        self.from_mean: torch.Tensor
        if 'centres' in shift.arrays:
            self.register_buffer('centres', torch.from_numpy(shift.arrays['centres']))
        self.has_centres = 'centres' in shift.arrays
        if shift.kind == 'neighbour':
            from_mean = np.square(shift.arrays['centres'] - shift.arrays['mean']).sum(axis=1)
            self.register_buffer('from_mean', torch.from_numpy(from_mean))

    def forward(self, latents: torch.Tensor, control: torch.Tensor) -> torch.Tensor:
        """Return shifted latents, in the shape they come in: (N, D) or (N, channels, 2, 2).

        :param control: α, (1, 1), or α g, (N, D), see `Backend._infer`.
        """
        if self.kind == SYNTHETIC:
            if self.has_centres:
                latents = self.centres[torch.cdist(latents, self.centres).argmin(1)]
            return latents + control
        if self.kind == 'cell':
            cells = latents.flatten(2)
            targets = torch.stack([self._nth(cells[:, :, index], self.centres[index])
                                for index in range(cells.shape[2])], 2)
        else:
            flat = latents.flatten(1)
            distances = torch.cdist(flat, self.centres)
            if self.kind == 'cluster':
                chosen = distances.argmin(1)
            else:
                near = distances.topk(self.n, dim=1, largest=False).indices
                best = self.from_mean[near].argmin(1, keepdim=True)
                chosen = near.gather(1, best)[:, 0]
            targets = self.centres[chosen]
        return (1 - control) * latents + control * targets.view_as(latents)

    def _nth(self, cell: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
        near = torch.cdist(cell, centres).topk(self.n, dim=1, largest=False).indices
        return centres[near[:, -1]]


class ChainModule(nn.Module):
    """A whole chain: scaling, encoder, shift, decoder, deblurrer, smoothener."""

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self._color = chain.color
        modules = []
        for network in chain.networks:
            module = module_of(network.layers)
            load_arrays(module, network.arrays)
            modules.append(module)
        self._encoder = modules[0]
        self._shift = None if chain.shift is None else ShiftModule(chain.shift)
        self._rest = nn.Sequential(*modules[1:])

    def forward(self, faces: torch.Tensor, control: Optional[torch.Tensor]) -> torch.Tensor:
        """Return the new faces.

        :param faces: (N, 64, 64) or, in color, (N, 64, 64, 3) float32 in 0…1.
        :param control: float32, see `Backend._infer`.
        """
        # Shapes are spelled out rather than read from `faces`: a converter that traces one batch
        # must not take its size for every batch's.
        planes = faces.permute(0, 3, 1, 2) if self._color else faces.view(
            -1, 1, FACE_SIZE, FACE_SIZE)
        latents = self._encoder(planes * 2 - 1)
        if self._shift is not None:
            latents = self._shift(latents, control)
        result = (self._rest(latents) * 0.5 + 0.5).clamp(0, 1)
        return result.permute(0, 2, 3, 1) if self._color else result.view(
            -1, FACE_SIZE, FACE_SIZE)


class TorchBackend(Backend):
    """Runs a chain with torch.

    :param device: `cpu`, `cuda`, or `auto` for CUDA where there is a device, else the CPU.
    :param graphs: whether small batches go through CUDA graphs, on CUDA.
    """

    name = 'torch'

    def __init__(self, chain: Chain, device: str = 'auto', graphs: bool = True) -> None:
        super().__init__(chain)
        if device == 'auto':
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self.device = device
        self._module = ChainModule(chain).eval().to(device)
        self._graphs = (CudaGraphs(self._module, chain)
                        if graphs and device == 'cuda' else None)

    def _infer(self, faces: np.ndarray, control: Optional[np.ndarray]) -> np.ndarray:
        if self._graphs is not None and len(faces) <= self._graphs.largest:
            return self._graphs.run(faces, control)
        with torch.no_grad():
            result = self._module(
                torch.from_numpy(faces).to(self.device),
                None if control is None else torch.from_numpy(control).to(self.device))
            return np.ascontiguousarray(result.cpu().numpy())
