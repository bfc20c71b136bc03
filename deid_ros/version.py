# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The version of the package; setup.py reads it here."""

__version__ = '0.1.0'
