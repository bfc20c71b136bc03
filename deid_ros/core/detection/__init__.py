# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Face detectors; see `make_detector`."""

from deid_ros.core.detection.detector import Detector
from deid_ros.core.detection.registry import DETECTORS, make_detector
from deid_ros.core.detection.sanity import check_faces
from deid_ros.core.detection.scaling import detect_at_width

__all__ = ['DETECTORS', 'Detector', 'check_faces', 'detect_at_width', 'make_detector']
