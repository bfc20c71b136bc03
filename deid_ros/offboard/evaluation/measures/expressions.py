# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Utility: whether a new face has the expression that its original is labelled with."""

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from deid_ros.offboard.common.similarity import aligned
from deid_ros.offboard.evaluation.measures.figures import Figure, share

#: The measure for each column of a label file.
EXPRESSIONS = {'Smiling': 'smile', 'Mouth_Slightly_Open': 'mouth open'}

_FOLDS = 5
# Where the middles of the eyes, that on the right of the image first, and the base of the nose lie
# in an aligned face, as shares of its side.
_EYES_AND_NOSE = np.array([[0.72, 0.26], [0.28, 0.26], [0.5, 0.56]])
# Corner and side of the square around the mouth in it.
_MOUTH, _MOUTH_SIDE = np.array([0.17, 0.46]), 0.66
_SIDE = 64
# Principal components that are kept of 3,528 gradients.
_COMPONENTS = 200
# C of the support vector machines: the best of 1, 3 and 10 on originals.
_REGULARIZATION = 3.0


def read_labels(path: Path, names: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """Return (N, L) bool labels of images from a CSV file with the column `image`, −1 or 1.

    :raises ValueError: a column or an image is not in the file, or a value is neither.
    """
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        missing = {'image', *columns} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f'{path} has no column {", ".join(sorted(missing))}')
        rows = {row['image']: row for row in reader}
    unknown = [name for name in names if name not in rows]
    if unknown:
        raise ValueError(f'{path} has no row for {len(unknown)} of the {len(names)} images, such '
                         f'as {unknown[0]}')
    values = np.array([[rows[name][column] for column in columns] for name in names])
    if not np.isin(values, ['-1', '1']).all():
        raise ValueError(f'{path}: labels must be -1 or 1')
    return values == '1'


class ExpressionClassifier:
    """Support vector machines on the gradients of a face and its mouth, with cross-validation.

    They are trained on originals. A face, original or new, is classified by a machine that was
    trained without that person.

    :param originals: (N, 2, 64, 64), see `face_and_mouth`.
    :param labels: (N,) bool.
    :param identities: (N,) the person in each face; at least five people.
    :ivar on_originals: agreement of the originals themselves.
    :raises ValueError: there are fewer than five people, or only one label in a fold.
    """

    def __init__(self, originals: np.ndarray, labels: np.ndarray, identities: np.ndarray) -> None:
        self._labels = labels
        people = len(np.unique(identities))
        if people < _FOLDS:
            raise ValueError(f'expressions need {_FOLDS} people or more, not {people}')
        # A mirrored face has the same expression.
        features, mirrored = _gradients(originals), _gradients(originals[:, :, :, ::-1])
        self._folds = []
        for trained, tested in GroupKFold(_FOLDS).split(features, labels, identities):
            examples = np.concatenate([features[trained], mirrored[trained]])
            classifier = make_pipeline(
                StandardScaler(), PCA(min(_COMPONENTS, *examples.shape), random_state=0),
                SVC(C=_REGULARIZATION))
            self._folds.append((tested, classifier.fit(examples, np.tile(labels[trained], 2))))
        self.on_originals = self._agreement(features)

    def agreement(self, faces: np.ndarray) -> Figure:
        """Return the share of faces with the expression of their label, in percent.

        :param faces: (N, 2, 64, 64), see `face_and_mouth`; the new faces, in the order of the
            originals.
        """
        return self._agreement(_gradients(faces))

    def _agreement(self, features: np.ndarray) -> Figure:
        right = np.empty(len(features), bool)
        for tested, classifier in self._folds:
            right[tested] = classifier.predict(features[tested]) == self._labels[tested]
        return share(right)

    @property
    def chance(self) -> float:
        """Return the share of the more frequent label, in percent: that of a constant answer."""
        positive = float(self._labels.mean())
        return 100 * max(positive, 1 - positive)


def face_and_mouth(faces: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Return (N, 2, 64, 64) uint8 luminance: faces with eyes and nose in place, and their mouths.

    :param faces: (N, 64, 64) luminance or (N, 64, 64, 3) BGR, uint8.
    :param landmarks: (N, 5, 2), see `FaceRecognizer.landmarks`.
    """
    around_mouth = (_EYES_AND_NOSE - _MOUTH) / _MOUTH_SIDE
    return np.stack([[aligned(face if face.ndim == 2 else cv2.cvtColor(face, cv2.COLOR_BGR2GRAY),
                              found, places, _SIDE) for places in (_EYES_AND_NOSE, around_mouth)]
                     for face, found in zip(faces, landmarks, strict=True)])


def _gradients(faces: np.ndarray) -> np.ndarray:
    """Return (N, 3528) float32 histograms of oriented gradients, 8 px cells in blocks of 2 × 2.

    :param faces: (N, 2, 64, 64), see `face_and_mouth`.
    """
    descriptor = cv2.HOGDescriptor((_SIDE, _SIDE), (16, 16), (8, 8), (8, 8), 9)
    return np.stack([np.concatenate([np.ravel(descriptor.compute(np.ascontiguousarray(part)))
                                     for part in parts]) for parts in faces])
