# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Backends by name. Each imports its own packages only when it is made."""

import logging

from deid_ros.core.backends.backend import Backend
from deid_ros.core.backends.options import DEFAULT_OPTIONS, BackendOptions
from deid_ros.core.deidentification.chain import Chain
from deid_ros.core.errors import ConfigurationError, raised_as

BACKENDS = ('onnxruntime', 'torch', 'tensorrt')
# If allowed, a backend that cannot be made is replaced by the next one.
_FALLBACK_ORDER = ('tensorrt', 'torch', 'onnxruntime')

_log = logging.getLogger(__name__)


def make_backend(name: str, chain: Chain, options: BackendOptions = DEFAULT_OPTIONS) -> Backend:
    """Return a new backend that runs the chain.

    Where it cannot be made and `options.allow_fallback` is set, it is the next one that can, with
    the reason in `stands_in`.

    :raises ConfigurationError: there is none of that name, its packages are not installed, or it
        cannot run the chain as it should.
    """
    if name not in BACKENDS:
        raise ConfigurationError(
            f'backend {name!r} is none of {", ".join(BACKENDS)}')
    names = _FALLBACK_ORDER[_FALLBACK_ORDER.index(name):]
    reasons = []
    for candidate in names if options.allow_fallback else names[:1]:
        try:
            backend = _make(candidate, chain, options)
        except ConfigurationError as error:
            reasons.append(str(error))
            continue
        if reasons:
            backend.stands_in = 'the backend {} on {} stands in for {}: {}'.format(
                candidate, backend.device, name, '; '.join(reasons))
            _log.warning(backend.stands_in)
        return backend
    raise ConfigurationError('; '.join(reasons))


def _make(name: str, chain: Chain, options: BackendOptions) -> Backend:
    # Imported here, so that only the engine that is used needs to be installed.
    try:
        if name == 'tensorrt':
            from deid_ros.core.backends.tensorrt.backend import TensorRtBackend
            return TensorRtBackend(chain, options)
        if name == 'torch':
            from deid_ros.core.backends.torch_backend import TorchBackend
            with raised_as(ConfigurationError, 'torch'):
                return TorchBackend(chain)
        from deid_ros.core.backends.onnxruntime_backend import OnnxRuntimeBackend
        return OnnxRuntimeBackend(chain)
    except ImportError as error:
        raise ConfigurationError(
            f'the backend {name} needs a package that is not installed: {error}') from error
