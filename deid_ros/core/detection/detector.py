# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The interface of all face detectors."""

from typing import Dict, List, Optional, Sequence

import numpy as np

from deid_ros.core.faces import Face


class Detector:
    """Finds faces in an image. One subclass a file; see `deid_ros.core.detection.DETECTORS`.

    The constructor loads everything (weights, packages) and raises `ConfigurationError` with the
    command that installs what is missing.
    """

    #: The name used by the parameter `detector.type`.
    name = ''
    #: The least score that counts as a face where the user sets none. None: it has no single one.
    default_threshold: Optional[float] = 0.5
    #: Where the network runs, for reports: `cpu` or `cuda`.
    device = 'cpu'
    #: SHA-256 of each model file in use, by file name, for the provenance record.
    model_hashes: Dict[str, str] = {}

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        """Return the faces of an image.

        :param bgr: (H, W, 3) uint8, color order blue, green, red.
        :param threshold: least score to report; None means `default_threshold`.
        :returns: faces with boxes in pixels of `bgr`, in no particular order.
        """
        raise NotImplementedError

    def detect_all(self, images: Sequence[np.ndarray], threshold: Optional[float] = None
                   ) -> List[List[Face]]:
        """Return the faces of several images, as `detect` gives those of each."""
        return [self.detect(image, threshold) for image in images]
