# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How a backend is to run a chain."""

from typing import NamedTuple

#: What an engine computes in.
PRECISIONS = ('fp32', 'fp16', 'int8')


class BackendOptions(NamedTuple):
    """How a backend is to run a chain.

    `max_batch`: faces that an engine takes at once; more are split.
    `precision`: one of `PRECISIONS`. Both are for TensorRT: the others take any batch, in fp32.
    `allow_fallback`: whether another backend may step in for one that cannot run.
    """

    max_batch: int = 32
    precision: str = 'fp16'
    allow_fallback: bool = False


DEFAULT_OPTIONS = BackendOptions()
