# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""YuNet with OpenCV's own `cv2.FaceDetectorYN`, for a network file that the user has."""

import pathlib
import tempfile
import threading
from typing import Any, List, Optional

import cv2
import numpy as np

from deid_ros.core.detection.detector import Detector
from deid_ros.core.detection.geometry import left_first, padded, touching
from deid_ros.core.detection.onnx_shape import with_fixed_input
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.faces import Box, Face
from deid_ros.core.resources import read_model, sha256_of

MAX_IOU = 0.3
MIN_SIDE = 64  # pixels; below, OpenCV 4.14 reads stale memory after a change of size
MAX_FACES = 5000  # before suppression
ADVICE = ('Set detector.model_path to face_detection_yunet_2023mar.onnx of '
          'https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet')


class YuNet(Detector):
    """Finds faces with landmarks; scores are probabilities, 0…1.

    :param model_path: YuNet of 2023 or later as ONNX, as in OpenCV's model zoo.
    :raises ConfigurationError: OpenCV is older than 4.8, or the file is missing or not YuNet.
    """

    name = 'yunet'
    default_threshold = 0.3

    def __init__(self, model_path: str = '') -> None:
        if not hasattr(cv2, 'FaceDetectorYN'):
            raise ConfigurationError(
                f'The detector yunet needs OpenCV 4.8 or newer, this is {cv2.__version__}. Install '
                "it with: pip install 'opencv-python-headless>=4.8,<5', or use centerface.")
        if not model_path:
            raise ConfigurationError(f'The detector yunet needs a network file. {ADVICE}')
        path = pathlib.Path(model_path)
        content = read_model(path, ADVICE)
        self.model_hashes = {path.name: sha256_of(content)}
        try:
            self._network = _load(with_fixed_input(content, (1, 3, 320, 320)))
            self._network.detect(np.zeros((320, 320, 3), np.uint8))
        except (cv2.error, ValueError) as error:
            raise ConfigurationError(f'OpenCV {cv2.__version__} cannot use the network file '
                                     f'{model_path} as YuNet ({error}). {ADVICE}') from error
        # Size and threshold are state of the network object.
        self._lock = threading.Lock()

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        """Return the faces of an image; see `Detector.detect`."""
        height, width = bgr.shape[:2]
        image = padded(bgr, max(width, MIN_SIDE), max(height, MIN_SIDE))
        with self._lock:
            self._network.setInputSize((image.shape[1], image.shape[0]))
            self._network.setScoreThreshold(
                self.default_threshold if threshold is None else threshold)
            found = self._network.detect(image)[1]
        # A row: x, y, width, height, five points (x, y), score. FaceDetectorYN pads the image.
        rows = np.empty((0, 15)) if found is None else np.asarray(found, float)
        return [Face(Box(*row[:4].tolist()), float(row[14]), left_first(row[4:14].reshape(5, 2)))
                for row in rows[touching(rows[:, :4], width, height)]]


def _load(content: bytes) -> Any:
    # A file, since OpenCV takes the bytes from 4.9 on only.
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'yunet.onnx'
        path.write_bytes(content)
        return cv2.FaceDetectorYN.create(str(path), '', (320, 320),
                                         score_threshold=YuNet.default_threshold,
                                         nms_threshold=MAX_IOU, top_k=MAX_FACES)
