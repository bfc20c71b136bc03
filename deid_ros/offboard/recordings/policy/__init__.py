# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What of a recording may hold a picture, and what becomes of it."""
