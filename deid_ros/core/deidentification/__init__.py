# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Everything that makes a face unrecognizable, by the names used in parameters."""

from typing import Dict, Type

from deid_ros.core.deidentification.anonymizer import Anonymizer
from deid_ros.core.deidentification.simple import Blur, Mask, Pixelate
from deid_ros.core.errors import ConfigurationError

SIMPLE_ANONYMIZERS: Dict[str, Type[Anonymizer]] = {
    anonymizer.name: anonymizer for anonymizer in (Blur, Pixelate, Mask)
}


def make_anonymizer(name: str) -> Anonymizer:
    """Return a new anonymizer.

    :raises ConfigurationError: there is none of that name; the message lists those there are.
    """
    if name not in SIMPLE_ANONYMIZERS:
        raise ConfigurationError('unknown anonymizer {!r}; choose one of {}'.format(
            name, ', '.join(sorted(SIMPLE_ANONYMIZERS))))
    return SIMPLE_ANONYMIZERS[name]()
