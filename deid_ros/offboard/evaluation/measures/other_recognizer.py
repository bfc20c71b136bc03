# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""DEID, DIV and re-identification by another recognizer: any recognition network in an ONNX file.

The other measures use dlib's network. The chain of the mode synthetic was trained with it, and it
is not the strongest one. Another network may recognize what it does not.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import require
from deid_ros.offboard.common.similarity import aligned
from deid_ros.offboard.evaluation.measures import deidentification
from deid_ros.offboard.evaluation.measures.anonymity import distances
from deid_ros.offboard.evaluation.measures.figures import Figure, pair_share, share
from deid_ros.offboard.evaluation.measures.reidentification import naive, reidentification

#: Scale and offset of uint8 pixels for each range that a network may take.
RANGES = {'-1..1': (1 / 127.5, -1.0), '0..1': (1 / 255, 0.0), '0..255': (1.0, 0.0)}
#: Of the names of these measures.
PREFIX = 'other'
#: Share of pairs of different people that are accepted as one; sets the threshold.
FALSE_ACCEPT_RATE = 1e-2

# Where the middles of the eyes and the base of the nose lie, as shares of the sides, in the faces
# that ArcFace and most networks since were trained on (J. Deng et al., 2019; the base of the nose
# lies a sixth of the way from its tip to the mouth there).
_EYES_AND_NOSE = np.array([[0.6565, 0.4598], [0.3419, 0.4616], [0.5002, 0.67]])
_FLOAT, _BATCH, _COLORS = 'tensor(float)', 64, 3


class OtherRecognizer:
    """A recognition network that takes aligned RGB faces and gives a vector for each.

    :param path: ONNX file; its input is (N, 3, S, S) or (N, S, S, 3) float32, its first output
        (N, D), of which the direction counts.
    :param values: which of `RANGES` its pixels are in.
    :raises ConfigurationError: it cannot be opened, or takes or gives something else.
    """

    def __init__(self, path: Path, values: str = '-1..1') -> None:
        onnxruntime = require('onnxruntime', 'pip install onnxruntime')
        try:
            self._session = onnxruntime.InferenceSession(str(path),
                                                         providers=['CPUExecutionProvider'])
        except Exception as error:  # onnxruntime has no common class
            raise ConfigurationError(f'--recognizer {path} cannot be opened: {error}') from error
        takes, gives = self._session.get_inputs(), self._session.get_outputs()
        shape = takes[0].shape
        self._planes = shape[1:2] == [_COLORS]
        height, width, colors = (shape[index] if len(shape) == 4 else None
                                 for index in ((2, 3, 1) if self._planes else (1, 2, 3)))
        if (len(takes) > 1 or takes[0].type != _FLOAT or colors != _COLORS
                or not isinstance(height, int) or height != width):
            found = ', '.join(f'{each.name} {each.shape} {each.type}' for each in takes)
            raise ConfigurationError(f'--recognizer {path} takes {found}; it has to take one batch '
                                     'of float32 faces, (N, 3, S, S) or (N, S, S, 3)')
        if len(gives[0].shape) != 2:
            raise ConfigurationError(f'--recognizer {path} gives {gives[0].shape}; its first '
                                     'output has to be (N, D)')
        self._input, self._output, self._side = takes[0].name, gives[0].name, height
        # Many files are for one face at a time.
        self._batch = shape[0] if isinstance(shape[0], int) else _BATCH
        self._scale, self._offset = RANGES[values]

    def describe(self, faces: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Return (N, D) float32 of length 1 for faces.

        :param faces: (N, H, W) luminance or (N, H, W, 3) BGR, uint8, tight crops.
        :param landmarks: of these, (N, 5, 2), see `FaceRecognizer.landmarks`.
        """
        inputs = np.stack([self._aligned(*each) for each in zip(faces, landmarks, strict=True)])
        if self._planes:
            inputs = inputs.transpose(0, 3, 1, 2)
        missing = -len(inputs) % self._batch
        padded = np.concatenate([inputs, inputs[:1].repeat(missing, axis=0)])
        described = np.concatenate([
            self._session.run([self._output], {self._input: np.ascontiguousarray(part)})[0]
            for part in tqdm(padded.reshape(-1, self._batch, *inputs.shape[1:]),
                             desc='other recognizer', unit=f'×{self._batch}', mininterval=5)])
        described = described[:len(faces)]
        return described / np.linalg.norm(described, axis=1, keepdims=True).clip(1e-12)

    def _aligned(self, face: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        rgb = cv2.cvtColor(face, cv2.COLOR_GRAY2RGB if face.ndim == 2 else cv2.COLOR_BGR2RGB)
        warped = aligned(rgb, landmarks, _EYES_AND_NOSE, self._side)
        return warped.astype(np.float32) * self._scale + self._offset


def figures_by_other_recognizer(originals: np.ndarray, described: Sequence[np.ndarray],
                                people: np.ndarray) -> dict[str, Figure]:
    """Return DEID, DIV and re-identification by another recognizer.

    Two faces count as one person if they are nearer than a threshold. The threshold is the distance
    at which 1 % of the pairs of different people are accepted among the originals. `other matched`
    is the share of pairs of one person that are accepted there; where it is low, the recognizer
    says little.

    :param originals: (N, D) descriptors of the originals.
    :param described: K times (N, D) descriptors of the new faces, in the same order, each time with
        another key. Re-identification is over all of them, the rest over the first.
    :param people: (N,) the person in each face.
    :raises ValueError: too few people with two images, or too few pairs.
    """
    first, second = np.triu_indices(len(people), 1)
    same = people[first] == people[second]
    if (~same).sum() * FALSE_ACCEPT_RATE < 1:
        raise ValueError(f'another recognizer needs {1 / FALSE_ACCEPT_RATE:.0f} pairs of different '
                         f'people or more, not {(~same).sum()}')
    apart = distances(originals, originals)[first, second]
    limit = float(np.quantile(apart[~same], FALSE_ACCEPT_RATE))
    new = described[0]
    one, other = deidentification.random_pairs(len(new))
    return {
        f'{PREFIX} matched': pair_share(apart[same] <= limit, first[same], second[same]),
        f'{PREFIX} DEID': share(np.linalg.norm(originals - new, axis=1) > limit),
        f'{PREFIX} DIV': pair_share(
            np.linalg.norm(new[one] - new[other], axis=1) > limit, one, other),
        **reidentification(naive(originals, described), people, f'{PREFIX} re-id')}
