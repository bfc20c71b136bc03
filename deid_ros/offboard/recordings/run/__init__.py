# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Passes over a recording: processes, journal, linking, verification."""
