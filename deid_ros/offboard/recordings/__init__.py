# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Anonymizes recordings: rosbag2 (mcap, sqlite3), ROS 1 bags, folders of images, videos."""
