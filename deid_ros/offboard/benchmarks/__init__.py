# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Commands that measure. Each prints a Markdown table for docs/performance.md."""
