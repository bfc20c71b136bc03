# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Face detectors; see `make_detector`."""

from deid_ros.core.detection.detector import Detector
from deid_ros.core.detection.looks import Plan, at_width, detect_at_width, look_at
from deid_ros.core.detection.registry import DETECTORS, make_detector
from deid_ros.core.detection.sanity import check_faces
from deid_ros.core.detection.schedule import Schedule, Search

__all__ = ['DETECTORS', 'Detector', 'Plan', 'Schedule', 'Search', 'at_width', 'check_faces',
           'detect_at_width', 'look_at', 'make_detector']
