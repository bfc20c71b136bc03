# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Several detectors as one, for offline work where a missed face costs more than time."""

from typing import List, Optional, Sequence

import numpy as np

from deid_ros.core.detection.detector import Detector
from deid_ros.core.detection.sanity import check_faces
from deid_ros.core.faces import Face

#: Boxes of two detectors that share more than this are the same face. From one half on, no box can
#: stand for two faces that lie side by side.
SAME_FACE_IOU = 0.5


class Ensemble(Detector):
    """Unites the faces of several detectors: what any of them sees is found.

    Where two see the same face, the one named first gives box, score and landmarks: scores of
    different detectors do not compare.

    :param detectors: the detectors, the most trusted one first.
    """

    default_threshold = None

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._detectors = list(detectors)
        self.name = '+'.join(detector.name for detector in detectors)
        self.model_hashes = {file: digest for detector in detectors
                             for file, digest in detector.model_hashes.items()}
        self.device = 'cuda' if any(each.device == 'cuda' for each in detectors) else 'cpu'

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        """Return the faces of an image; see `Detector.detect`.

        :param threshold: least score for all of the detectors; None means the default of each.
        :raises DetectionError: one of the detectors failed or gave nonsense.
        """
        height, width = bgr.shape[:2]
        united: List[Face] = []
        for detector in self._detectors:
            # Checked here, as a box of nonsense could hide behind another detector's good one.
            found = check_faces(detector.detect(bgr, threshold), width, height)
            united += [face for face in found
                       if all(face.box.iou(known.box) <= SAME_FACE_IOU for known in united)]
        return united
