# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Used by several off-board packages: data, recognition, similarity transforms, node processes."""
