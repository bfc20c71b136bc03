# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""dlib's max-margin network, which dlib runs with CUDA where it was built with it (Jetson)."""

import importlib.util
import pathlib
import threading
from typing import List, Optional

import numpy as np

from deid_ros.core.detection.detector import Detector
from deid_ros.core.detection.dlib_hog import INSTALL_DLIB, box_of
from deid_ros.core.detection.geometry import padded
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.faces import Face
from deid_ros.core.resources import require, sha256_of

MIN_SIDE = 32  # pixels; the network's filters do not fit into less
MODEL_FILE = 'mmod_human_face_detector.dat'
INSTALL_MODELS = 'pip install face_recognition_models'


class DlibCnn(Detector):
    """Finds faces from about 80 px on, without landmarks.

    Scores are margins, 0…1.2: dlib's network drops what is below 0 itself.

    :param model_path: another network of that kind; '' means the one of the package
        `face_recognition_models`.
    :raises ConfigurationError: a package or the file is missing.
    """

    name = 'dlib_cnn'
    default_threshold = 0.0

    def __init__(self, model_path: str = '') -> None:
        dlib = require('dlib', INSTALL_DLIB)
        path = pathlib.Path(model_path) if model_path else _packaged_file()
        try:
            self._network = dlib.cnn_face_detection_model_v1(str(path))
        except RuntimeError as error:
            raise ConfigurationError(
                f'dlib cannot load the network file {path} ({error}). Correct detector.model_path, '
                'or leave it empty for the file of face_recognition_models.') from error
        self.model_hashes = {path.name: sha256_of(path.read_bytes())}
        self.device = 'cuda' if dlib.DLIB_USE_CUDA else 'cpu'
        # The layers hold the image's activations.
        self._lock = threading.Lock()

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        """Return the faces of an image; see `Detector.detect`."""
        if threshold is None:
            threshold = self.default_threshold
        height, width = bgr.shape[:2]
        rgb = padded(bgr[:, :, ::-1], max(width, MIN_SIDE), max(height, MIN_SIDE))
        with self._lock:
            found = self._network(rgb, 0)
        return [Face(box_of(item.rect), item.confidence) for item in found
                if item.confidence >= threshold]


def _packaged_file() -> pathlib.Path:
    # The package is not imported: it wants pkg_resources, which new setuptools do not have.
    spec = importlib.util.find_spec('face_recognition_models')
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("The package 'face_recognition_models', which holds the network "
                                 'of dlib_cnn, is missing. Install it with: ' + INSTALL_MODELS)
    path = pathlib.Path(list(spec.submodule_search_locations)[0]) / 'models' / MODEL_FILE
    if not path.is_file():
        raise ConfigurationError(f'The network file {path} is missing. Install it with: '
                                 f'{INSTALL_MODELS} --force-reinstall')
    return path
