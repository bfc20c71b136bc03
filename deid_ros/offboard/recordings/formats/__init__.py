# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One reader and one writer a format, and how a path becomes a recording."""
