# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One file a measure: arrays in, figures out."""
