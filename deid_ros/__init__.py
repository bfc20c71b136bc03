# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Face de-identification for robots: a ROS 2 node, and the core it shares with the bag tool."""

__version__ = '0.1.0'
