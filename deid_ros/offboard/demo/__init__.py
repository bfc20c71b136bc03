# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Anonymizes a simulated flight over real DDS, and checks that nobody can be recognized in it.

Run it with `python -m deid_ros.offboard.demo`; `--help` lists the options.
"""
