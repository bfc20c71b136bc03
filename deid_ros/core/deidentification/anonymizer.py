# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The interface of everything that makes a face unrecognizable."""

from typing import Dict, List, Optional, Sequence

import numpy as np

from deid_ros.core.compositing import Patch
from deid_ros.core.faces import Face


class Anonymizer:
    """Makes new pixels for faces, for all faces of a frame in one call: networks run as a batch."""

    #: The name used by the parameters `deid.method` and `fallback.method`.
    name = ''
    #: Where it runs, for reports: `cpu` or `cuda`.
    device = 'cpu'
    #: What runs its networks and what there is to tell of that, for reports; empty without any.
    backend = ''
    #: Why that is not what was asked for, for a warning; empty where it is.
    stands_in = ''
    #: Why it does not hide well who people are, for a warning; empty where it does.
    weakness = ''
    #: SHA-256 of each model file in use, by file name, for the provenance record.
    model_hashes: Dict[str, str] = {}

    def can_treat(self, face: Face, image_width: int, image_height: int) -> Optional[str]:
        """Return None where this face can be treated well, else why not, in a few words.

        The fallback treats the others. A simple anonymizer treats every face well.
        """
        return None

    def with_alpha(self, alpha: Optional[float]) -> 'Anonymizer':
        """Return one like this that shifts by `alpha`, 0…1 (None: its own default).

        Networks are shared, not loaded again. One that does not shift returns itself.
        """
        return self

    def anonymize(self, bgr: np.ndarray, faces: Sequence[Face], box_margin: float) -> List[Patch]:
        """Return one patch for each face, in the order of `faces`.

        :param bgr: (H, W, 3) uint8, the frame; it is not changed.
        :param faces: faces whose boxes overlap the frame.
        :param box_margin: how far beyond the box a face is treated, as a share of the box's size.
        :raises AnonymizationError: when a face cannot be treated; nothing is returned then.
        """
        raise NotImplementedError
