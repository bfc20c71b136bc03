# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Faces over time; see `Tracker`."""

from deid_ros.core.tracking.camera import View, view_of
from deid_ros.core.tracking.tracker import Tracker

__all__ = ['Tracker', 'View', 'view_of']
