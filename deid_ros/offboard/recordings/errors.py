# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Why a recording cannot be read, written or anonymized."""

from deid_ros.core.errors import DeidError


class BagError(DeidError):
    """The message is meant for the user: what is wrong, where, and what to do."""


class DamagedError(BagError):
    """The input is cut or its bytes were changed."""
