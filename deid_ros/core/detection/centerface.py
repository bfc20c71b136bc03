# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""CenterFace with ONNX Runtime: the default detector.

The network predicts one cell for each 4 × 4 pixels (Xu et al., "CenterFace: Joint Face Detection
and Alignment Using Face as Point", 2019): a heat map of face centres, and for each centre the
logarithm of the size, the offset inside the cell, and five landmarks.
"""

import pathlib
from typing import Any, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from deid_ros.core.detection.detector import Detector
from deid_ros.core.detection.geometry import left_first, non_maximum_suppression, padded, touching
from deid_ros.core.errors import ConfigurationError, DetectionError
from deid_ros.core.faces import Box, Face
from deid_ros.core.resources import (
    models_directory,
    network_threads,
    read_model,
    require,
    sha256_of,
)

IMPORT_COMMAND = 'python -m deid_ros.offboard.maintenance.import_centerface'
CELL = 4  # pixels
MULTIPLE = 32  # the network halves the image five times
MAX_IOU = 0.3


class CenterFace(Detector):
    """Finds faces with landmarks; scores are probabilities, 0…1.

    :param model_path: another CenterFace network of dynamic size; '' means the shipped one, which
        must be the file that this package was released with.
    :raises ConfigurationError: ONNX Runtime or the file is missing, or it is another file.
    """

    name = 'centerface'
    #: The shipped file, the command that makes it, and its hash.
    file = 'centerface.onnx'
    command = IMPORT_COMMAND
    sha256 = 'a1e85456e5174daf91db07266553e9e3b6fd1d67eba0c88650b2817c95908e57'
    default_threshold = 0.2

    def __init__(self, model_path: str = '') -> None:
        onnxruntime = require('onnxruntime', 'pip install onnxruntime')
        path = pathlib.Path(model_path) if model_path else models_directory() / self.file
        content = read_model(path, 'Correct detector.model_path, or leave it empty for the network '
                                   'that deid_ros ships.')
        digest = sha256_of(content)
        if not model_path:
            _check_released(path, digest, self.sha256, self.command)
        self.model_hashes = {path.name: digest}
        # Ask for CUDA where this build has it, and report where the session really runs: ONNX
        # Runtime goes on with the CPU when the CUDA libraries cannot be loaded.
        available = onnxruntime.get_available_providers()
        providers = [provider for provider in ('CUDAExecutionProvider', 'CPUExecutionProvider')
                     if provider in available]
        options = onnxruntime.SessionOptions()
        # Idle threads would spin for the next frame: twice the processor time for this network, on
        # a computer that has more to do than to look for faces.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.intra_op_num_threads = network_threads()
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=providers)
        except Exception as error:  # ONNX Runtime's errors have no common base.
            raise ConfigurationError(
                f'ONNX Runtime cannot load the network file {path} ({error}).') from error
        self._input = _check_interface(self._session, path)
        self.device = 'cuda' if 'CUDA' in self._session.get_providers()[0] else 'cpu'

    def detect(self, bgr: np.ndarray, threshold: Optional[float] = None) -> List[Face]:
        """Return the faces of an image; see `Detector.detect`.

        :raises DetectionError: the network's output is not finite.
        """
        return self._faces([bgr], threshold)[0]

    def detect_all(self, images: Sequence[np.ndarray], threshold: Optional[float] = None
                   ) -> List[List[Face]]:
        """Return the faces of several images; those of one size are computed at once."""
        found: List[List[Face]] = [[] for _ in images]
        for shape in sorted({image.shape for image in images}):
            chosen = [index for index, image in enumerate(images) if image.shape == shape]
            for index, faces in zip(chosen, self._faces([images[i] for i in chosen], threshold)):
                found[index] = faces
        return found

    def _faces(self, images: Sequence[np.ndarray], threshold: Optional[float]
               ) -> List[List[Face]]:
        """Return the faces of images of one size."""
        height, width = images[0].shape[:2]
        # Padding keeps the shape of faces, which stretching to a multiple of 32 would not.
        blob = cv2.dnn.blobFromImages(
            [padded(image, width + -width % MULTIPLE, height + -height % MULTIPLE)
             for image in images], swapRB=True)
        outputs = self._session.run(None, {self._input: blob})
        if threshold is None:
            threshold = self.default_threshold
        result = []
        for index in range(len(images)):
            boxes, scores, landmarks = decode(
                [output[index:index + 1] for output in outputs], threshold)
            inside = touching(boxes, width, height)
            result.append([
                Face(Box(*box), score, points) for box, score, points
                in zip(boxes[inside].tolist(), scores[inside].tolist(), landmarks[inside])])
        return result


def decode(outputs: List[np.ndarray],
           threshold: float) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the faces in the network's outputs for one image, best first.

    :param outputs: float32 heat map (1, 1, h, w), scale (1, 2, h, w), offset (1, 2, h, w) and
        landmarks (1, 10, h, w); y precedes x everywhere; sizes are logarithms in cells, landmarks
        are relative to the box.
    :returns: boxes (N, 4) float64: x, y, width, height; scores (N,) float32; landmarks (N, 5, 2)
        float32: x, y; in pixels of the network's input.
    :raises DetectionError: the heat map is not finite. Comparing it would give "no face".
    """
    heatmap, scale, offset, landmarks = (output[0] for output in outputs)
    if not np.isfinite(heatmap).all():
        raise DetectionError('The heat map of CenterFace holds NaN or infinite values.')
    cells = np.nonzero(heatmap[0] >= threshold)
    scores = heatmap[0][cells]
    centres = CELL * (np.stack(cells) + offset[(slice(None),) + cells] + 0.5)
    sizes = CELL * np.exp(scale[(slice(None),) + cells])
    corners = centres - sizes / 2
    points = landmarks[(slice(None),) + cells].reshape(5, 2, -1) * sizes + corners
    # From (y, x) in the first axes to (x, y) in the last.
    boxes = np.concatenate([corners[::-1], sizes[::-1]]).T.astype(float)
    best = non_maximum_suppression(boxes, scores, MAX_IOU)
    return boxes[best], scores[best], left_first(points[:, ::-1].transpose(2, 0, 1)[best])


def _check_released(path: pathlib.Path, digest: str, released: str, command: str) -> None:
    if digest != released:
        raise ConfigurationError(
            f'The network file {path} is not the one released with this package: its sha256 is '
            f'{digest}, allowed is {released}. Install deid_ros again, or make the file with '
            f'`{command}`, or name a network of your own by detector.model_path.')


def _check_interface(session: Any, path: pathlib.Path) -> str:
    """Return the name of the input, after a check that the network is CenterFace of any size."""
    inputs = [tuple(value.shape) for value in session.get_inputs()]
    channels = [value.shape[1:2] for value in session.get_outputs()]
    if len(inputs) != 1 or len(inputs[0]) != 4 or channels != [[1], [2], [2], [10]]:
        raise ConfigurationError(
            f'The network file {path} is not CenterFace: it has inputs {inputs} and outputs of '
            f'{channels} channels; allowed is one image and outputs of [1], [2], [2] and [10].')
    if any(isinstance(size, int) for size in (inputs[0][0],) + inputs[0][2:]):
        raise ConfigurationError(
            f'The network file {path} takes images of one size only, {inputs[0]}. Make it '
            f'dynamic with: {IMPORT_COMMAND} --from {path}')
    return str(session.get_inputs()[0].name)
