# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Made once and kept reproducible: shipped files, calibration, generated docs."""
