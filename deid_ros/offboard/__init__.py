# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command lines and tools that never run on the robot: demo, training, evaluation, benchmarks."""
