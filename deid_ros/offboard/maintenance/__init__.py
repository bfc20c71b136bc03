# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Commands for maintainers: shipped files, calibration, generated docs, all reproducible."""
