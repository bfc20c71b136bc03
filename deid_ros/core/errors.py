# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The errors of the core. Every one of them means that a frame, or the whole node, is withheld."""

from contextlib import contextmanager
from typing import Iterator, Type


class DeidError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigurationError(DeidError):
    """A setting, a package or a file is missing or wrong; the message says what to do."""


class CodecError(DeidError):
    """An image message cannot be opened, so its faces cannot be found.

    `reason` is a short stable word for counters (`encoding`, `step`, `size`, `data`); the message
    has the details.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class DetectionError(DeidError):
    """A detector gave something that cannot be a set of faces."""


class AnonymizationError(DeidError):
    """An anonymizer gave something that cannot replace the faces it was asked to replace."""


@contextmanager
def raised_as(error_type: Type[DeidError], who: str) -> Iterator[None]:
    """Turn whatever a library raises inside into `error_type`, with `who` it came from."""
    try:
        yield
    except DeidError:
        raise
    except Exception as error:
        raise error_type('{} failed: {}: {}'.format(who, type(error).__name__, error)) from error
