# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One function, batch of faces in, batch of faces out, for every engine that can run the chain."""

from deid_ros.core.backends.backend import Backend
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.errors import ConfigurationError

BACKENDS = ('onnxruntime', 'torch')


def make_backend(name: str, chain: Chain) -> Backend:
    """Return a new backend that runs the chain.

    :raises ConfigurationError: there is none of that name, or its packages are not installed.
    """
    if name not in BACKENDS:
        raise ConfigurationError(
            f'backend {name!r} is none of {", ".join(BACKENDS)}')
    # Imported here, so that only the engine that is used needs to be installed.
    try:
        if name == 'torch':
            from deid_ros.core.backends.torch_backend import TorchBackend
            return TorchBackend(chain)
        from deid_ros.core.backends.onnxruntime_backend import OnnxRuntimeBackend
        return OnnxRuntimeBackend(chain)
    except ImportError as error:
        raise ConfigurationError(
            f'the backend {name} needs a package that is not installed: {error}') from error
