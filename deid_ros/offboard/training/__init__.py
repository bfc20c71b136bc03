# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training of the networks: recipes, targets, stages, export."""
