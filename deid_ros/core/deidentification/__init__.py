# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Anonymizers, which make faces unrecognizable; see `make_anonymizer`."""

from deid_ros.core.deidentification.registry import (
    AUTOENCODER,
    DEFAULT_CHAIN,
    METHODS,
    SIMPLE_ANONYMIZERS,
    ChainOptions,
    make_anonymizer,
)

__all__ = ['AUTOENCODER', 'DEFAULT_CHAIN', 'METHODS', 'SIMPLE_ANONYMIZERS', 'ChainOptions',
           'make_anonymizer']
