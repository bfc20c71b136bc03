# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The little of CUDA that the backends use, through torch."""

from typing import Any, Sequence

import torch

from deid_ros.core.errors import ConfigurationError

DEVICE = 'cuda'


def require_device() -> None:
    """Make sure that there is a device.

    :raises ConfigurationError: torch finds none.
    """
    if not torch.cuda.is_available():
        raise ConfigurationError(
            'torch {} finds no CUDA device. In a container, start it with "--runtime nvidia"; '
            'else set backend.type to onnxruntime.'.format(torch.__version__))


def device_name() -> str:
    """Return the name of the device in use."""
    return torch.cuda.get_device_name()


def compute_capability() -> str:
    """Return the architecture of the device in use, as in `6.2`."""
    return '{}.{}'.format(*torch.cuda.get_device_capability())


def new_stream() -> Any:
    """Return a stream of one's own, beside the default one."""
    return torch.cuda.Stream()


def on_stream(stream: Any) -> Any:
    """Return a context in which torch's work goes to the stream."""
    return torch.cuda.stream(stream)


def device_buffer(shape: Sequence[int]) -> torch.Tensor:
    """Return float32 memory of the device."""
    return torch.empty(list(shape), device=DEVICE)


def host_buffer(shape: Sequence[int]) -> torch.Tensor:
    """Return float32 memory of the host that is pinned, so that it is copied without a detour."""
    return torch.empty(list(shape), pin_memory=True)
