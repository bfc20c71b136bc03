# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain as one TensorRT engine: built, cached, tested, run."""
