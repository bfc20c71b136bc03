# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The frame path: arrays in, arrays out. Nothing in here imports rclpy."""
