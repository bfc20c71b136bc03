# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small batches as CUDA graphs: one launch in place of one for each of the chain's many layers.

On a small batch the GPU is quicker with a layer than the CPU with its launch, so launches are what
the time goes into. A graph replays all of them at once, always on the same memory.
"""

import threading
from typing import NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import nn

from deid_ros.core.backends import cuda
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.deidentification.networks import FACE_SIZE

#: Sizes of batch that get a graph; others between them are filled up. Larger ones keep a GPU busy.
BATCHES = (1, 2, 4, 8, 16)
# Runs before a capture, in which libraries choose algorithms and allocate.
_WARM_UP = 3


class _Graph(NamedTuple):
    graph: 'torch.cuda.CUDAGraph'
    faces: torch.Tensor
    control: torch.Tensor
    result: torch.Tensor


class CudaGraphs:
    """Runs a chain's module on CUDA for batches of at most `largest` faces.

    All graphs are captured here, before any frame flows: a capture does not go with other work on
    the same device.
    """

    def __init__(self, module: nn.Module, chain: Chain, batches: Tuple[int, ...] = BATCHES) -> None:
        self.largest = max(batches)
        self._batches = sorted(batches)
        self._module = module
        self._face = (FACE_SIZE, FACE_SIZE) + ((3,) if chain.color else ())
        # Of each face's offset; 0 where α steers the shift of all.
        self._control_size = chain.shift.control_size if chain.shift is not None else 0
        # A graph has one set of buffers.
        self._lock = threading.Lock()
        self._stream = cuda.new_stream()
        self._host_faces = cuda.host_buffer((self.largest,) + self._face)
        self._host_result = cuda.host_buffer((self.largest,) + self._face)
        self._graphs = {batch: self._capture(batch) for batch in batches}

    def run(self, faces: np.ndarray, control: Optional[np.ndarray]) -> np.ndarray:
        """Return the new faces; both (N, 64, 64) or (N, 64, 64, 3) float32, N at most `largest`.

        :param control: see `Backend._infer`.
        """
        count = len(faces)
        size = next(batch for batch in self._batches if batch >= count)
        captured = self._graphs[size]
        with self._lock, torch.no_grad(), cuda.on_stream(self._stream):
            self._host_faces.numpy()[:count] = faces
            if control is not None:
                captured.control[:len(control)].copy_(torch.from_numpy(control))
            captured.faces[:count].copy_(self._host_faces[:count], non_blocking=True)
            captured.graph.replay()
            self._host_result[:count].copy_(captured.result[:count], non_blocking=True)
            self._stream.synchronize()
            return self._host_result.numpy()[:count].copy()

    def _capture(self, batch: int) -> _Graph:
        faces = cuda.device_buffer((batch,) + self._face).fill_(0.5)
        control = cuda.device_buffer((batch, self._control_size) if self._control_size
                                     else (1, 1)).fill_(0)
        with torch.no_grad():
            self._stream.wait_stream(torch.cuda.current_stream())
            with cuda.on_stream(self._stream):
                for _ in range(_WARM_UP):
                    self._module(faces, control)
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self._stream):
                # What a graph writes has a layout of its own; faces are copied out as they lie.
                result = self._module(faces, control).contiguous()
        return _Graph(graph, faces, control, result)
