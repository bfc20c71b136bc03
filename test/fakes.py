# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Detectors and anonymizers that do as they are told, however wrong it is."""

from typing import Any, Callable, List, Optional, Sequence

import numpy as np

from deid_ros.core.compositing import Patch
from deid_ros.core.deidentification import make_anonymizer
from deid_ros.core.deidentification.anonymizer import Anonymizer
from deid_ros.core.detection.detector import Detector
from deid_ros.core.faces import Box, Face, region_of


class FakeDetector(Detector):
    """Gives the faces it was made with."""

    name = 'fake'

    def __init__(self, *boxes: Box) -> None:
        self.faces: Any = [Face(box, 0.9) for box in boxes]

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        found: List[Face] = self.faces
        return found


class ActingDetector(Detector):
    """Calls a function with the image."""

    name = 'acting'

    def __init__(self, act: Callable[[np.ndarray], Any]) -> None:
        self._act = act

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> Any:
        return self._act(bgr)


class ActingAnonymizer(Anonymizer):
    """Calls a function with the image, the faces, and the patches that a sound one made."""

    name = 'acting'

    def __init__(self, act: Callable[[np.ndarray, Sequence[Face], List[Patch]], Any]) -> None:
        self._act = act

    def anonymize(self, bgr: np.ndarray, faces: Sequence[Face], box_margin: float) -> Any:
        return self._act(bgr, faces, make_anonymizer('mask').anonymize(bgr, faces, box_margin))


class FlatAnonymizer(Anonymizer):
    """Paints each box in one gray, up to its edge, and remembers what it was asked for."""

    def __init__(self, name: str, gray: int) -> None:
        self.name = name
        self.asked: List[Face] = []
        self._gray = gray

    def anonymize(self, bgr: np.ndarray, faces: Sequence[Face], box_margin: float) -> List[Patch]:
        self.asked += faces
        regions = [region_of(face.extent.grown(box_margin), bgr.shape[1], bgr.shape[0])
                   for face in faces]
        return [Patch(region, np.full_like(bgr[region.slices], self._gray),
                      np.ones(bgr[region.slices].shape[:2], np.float32)) for region in regions]
