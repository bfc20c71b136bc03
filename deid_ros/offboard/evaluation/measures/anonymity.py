# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""ANON and ATTR of the paper's section 4.4: anonymity and attribute preservation."""

from pathlib import Path

import numpy as np

from deid_ros.core.errors import ConfigurationError
from deid_ros.offboard.common.recognition import SAME_PERSON, distances
from deid_ros.offboard.evaluation.measures.figures import Figure, ratio, statistic

#: The outputs of the attribute classifier over which ATTR is taken.
ATTRIBUTES = ('Male', 'Asian', 'White', 'Black')


def anon(described: np.ndarray) -> Figure:
    """Return ANON, the k of k-anonymity.

    Two new faces are indistinguishable when they are at most 0.6 apart. The group of a face is
    itself and all faces that are indistinguishable from it; k is the size of the smallest group.
    k = 1 means that some face is like no other.

    :param described: (N, 128) descriptors of the new faces, one for each person.
    """
    alike = (distances(described, described) <= SAME_PERSON).astype(np.float32)
    # A face that a bootstrap sample holds twice is not a group of two.
    np.fill_diagonal(alike, 0)
    return statistic(lambda weights: 1 + (alike @ weights)[weights > 0].min(), len(described),
                     'faces')


class AttributeClassifier:
    """A perceptron with one hidden layer, from descriptors to attributes of the person.

    The outputs are relu(e · w0 + b0) · w1 + b1, logistic, for a descriptor e.

    :raises ConfigurationError: the file is missing, or does not hold these arrays and `labels`.
    """

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self._w0, self._b0, self._w1, self._b1 = (
                    arrays[name] for name in ('w0', 'b0', 'w1', 'b1'))
                #: Names of the outputs.
                self.labels = [str(label) for label in arrays['labels']]
        except (OSError, ValueError, KeyError) as error:
            raise ConfigurationError(f'{path} cannot be read as an attribute classifier: an npz '
                                     f'file of w0, b0, w1, b1 and labels ({error})') from error
        if self._w1.shape != (len(self._b0), len(self.labels)):
            raise ConfigurationError(f'{path}: w1 is {self._w1.shape}, which fits neither '
                                     f'{len(self._b0)} hidden values nor {len(self.labels)} labels')

    def has(self, described: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
        """Return (N, L) bool: which of the labels the classifier gives to (N, 128) descriptors.

        :raises ConfigurationError: the classifier has no such label.
        """
        unknown = [label for label in labels if label not in self.labels]
        if unknown:
            raise ConfigurationError(f'the attribute classifier has no label {", ".join(unknown)}, '
                                     f'only {", ".join(self.labels)}')
        outputs = np.maximum(described @ self._w0 + self._b0, 0) @ self._w1 + self._b1
        # The logistic function is 0.5 at 0.
        return outputs[:, [self.labels.index(label) for label in labels]] >= 0


def attr(truth: np.ndarray, predicted: np.ndarray) -> Figure:
    """Return ATTR: the micro-averaged precision, in percent.

    It is the share of correct labels among all labels given to the new faces.

    :param truth: (N, L) bool, labels of the originals, see `AttributeClassifier.has`.
    :param predicted: (N, L) bool, labels of the new faces.
    """
    return ratio(100.0 * (truth & predicted).sum(axis=1), predicted.sum(axis=1), '%')
