# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How well people are hidden, and what is left of the images; see docs/evaluation.md."""
