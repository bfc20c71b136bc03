# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the frame path makes of two portraits, in each mode and by each simple method.

As a program, `python frame_outputs.py FILE` writes it as an npz archive, for comparing what two
Pythons with their packages make of the same.
"""

import sys
from typing import Dict

import cv2
import messages
import numpy as np
from portraits import admiral, astronaut

from deid_ros.core.deidentification import SIMPLE_ANONYMIZERS
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.parameters import NO_NAMES, PARAMETERS, make_pipeline, pipeline_settings
from deid_ros.core.resources import models_directory
from deid_ros.core.tracking import Tracker

MODES = tuple(sorted(ModelStore(str(models_directory())).modes))
METHODS = tuple(sorted(SIMPLE_ANONYMIZERS))


def portraits() -> np.ndarray:
    """Return the picture, (512, 1024, 3) uint8 BGR."""
    return np.hstack([astronaut(), cv2.resize(admiral(), (512, 512))])


def frame_outputs() -> Dict[str, np.ndarray]:
    """Return the anonymized pictures, as `portraits`, by mode and simple method."""
    message = messages.encode_bgr('bgr8', portraits())
    outputs = {}
    for name in MODES + METHODS:
        values = {spec.name: [] if spec.default == NO_NAMES else spec.default
                  for spec in PARAMETERS}
        values['deid.key'] = 'the same'
        # Eight bits are another arithmetic on each processor; what is compared is the frame path.
        values['detector.type'], values['detector.width'] = 'centerface', 640
        if name in MODES:
            values['deid.shift_mode'] = name
        else:
            values['deid.method'] = name
        # With a tracker, as a face without one gets its synthetic identity by its pixels.
        frame = make_pipeline(values).process(message, pipeline_settings(values), Tracker())
        assert [face.method for face in frame.faces] == 2 * [values['deid.method']]
        outputs[name] = frame.bgr
    return outputs


if __name__ == '__main__':
    np.savez_compressed(sys.argv[1], **frame_outputs())
