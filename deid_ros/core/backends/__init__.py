# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Backends, which run a chain on batches of faces; see `make_backend`."""

from deid_ros.core.backends.backend import Backend
from deid_ros.core.backends.registry import BACKENDS, make_backend

__all__ = ['BACKENDS', 'Backend', 'make_backend']
