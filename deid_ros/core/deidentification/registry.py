# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Anonymizers by the names used in parameters."""

from typing import Dict, NamedTuple, Type

from deid_ros.core.backends.options import DEFAULT_OPTIONS, BackendOptions
from deid_ros.core.deidentification.anonymizer import Anonymizer
from deid_ros.core.deidentification.simple import Blur, Mask, Pixelate
from deid_ros.core.errors import ConfigurationError

SIMPLE_ANONYMIZERS: Dict[str, Type[Anonymizer]] = {
    anonymizer.name: anonymizer for anonymizer in (Blur, Pixelate, Mask)
}
AUTOENCODER = 'autoencoder'
#: The values that the parameter `deid.method` may have; `fallback.method` must be a simple one.
METHODS = (AUTOENCODER,) + tuple(sorted(SIMPLE_ANONYMIZERS))


class ChainOptions(NamedTuple):
    """What the autoencoder chain needs to know; see `AutoencoderAnonymizer`."""

    shift_mode: str = 'synthetic'
    shift_apply: str = 'auto'
    backend: str = 'onnxruntime'
    backend_options: BackendOptions = DEFAULT_OPTIONS
    #: Whose boxes the faces have, as detectors draw them differently.
    detector: str = 'centerface'
    #: Of synthetic identities: people who must look the same, and the secret that chooses.
    k: int = 0
    key: str = ''


#: The default mode, for faces that CenterFace found.
DEFAULT_CHAIN = ChainOptions()


def make_anonymizer(method: str, chain: ChainOptions = DEFAULT_CHAIN) -> Anonymizer:
    """Return a new anonymizer.

    :param chain: for the method `autoencoder`; the simple ones need nothing.
    :raises ConfigurationError: there is no such method, or the chain cannot be loaded; the message
        lists what there is or says what is missing.
    """
    if method in SIMPLE_ANONYMIZERS:
        return SIMPLE_ANONYMIZERS[method]()
    if method != AUTOENCODER:
        raise ConfigurationError('deid.method is {!r}, must be one of {}'.format(
            method, ', '.join(METHODS)))
    from deid_ros.core.deidentification.alignment import BOX_MAPPINGS
    from deid_ros.core.deidentification.autoencoder import AutoencoderAnonymizer
    return AutoencoderAnonymizer(chain.shift_mode, chain.shift_apply, chain.backend,
                                 box_mapping=BOX_MAPPINGS[chain.detector],
                                 backend_options=chain.backend_options, k=chain.k, key=chain.key)
