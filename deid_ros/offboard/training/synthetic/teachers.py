# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recognition networks whose losses a chain is trained with.

A chain that is trained with one network may learn to deceive that one only. So there can be two,
which were trained on different people and use different traits.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from deid_ros.core.recognition import FaceRecognizer, model_file
from deid_ros.offboard.training.synthetic.faceres import FaceRes
from deid_ros.offboard.training.synthetic.losses import (
    BatchLabels,
    Margins,
    attribute_classifier,
    identity_loss,
    reidentification_loss,
)
from deid_ros.offboard.training.synthetic.recognition_network import RecognitionNetwork

# dlib's threshold for one person is 0.6. With FaceRes, 1 % of the pairs of different people are
# within 1.19, and unrelated descriptors are 1.41 apart.
_DLIB, _FACERES = Margins(0.35, 0.95), Margins(0.85, 1.4)
# Photos in a batch.
_BATCH = 64


class Recognizer(NamedTuple):
    """A recognition network and the scale of its distances.

    :ivar network: from faces and alignments to descriptors; see `RecognitionNetwork`.
    :ivar by_direction: whether descriptors are compared by their direction from the mean.
    """

    network: nn.Module
    margins: Margins
    by_direction: bool = False


class Teacher:
    """A recognition network, with its descriptors of the photos.

    :param photos: (N, 1, 64, 64) in −1…1; `alignments` (N, 2, 3) of these.
    :param soft_biometrics: (N, A) bool, of the photos.
    :param trained: (M,) indices of the photos to train on.
    """

    def __init__(self, recognizer: Recognizer, photos: torch.Tensor, alignments: torch.Tensor,
                 soft_biometrics: np.ndarray, trained: np.ndarray) -> None:
        self._recognizer = recognizer
        with torch.no_grad():
            described = torch.cat([
                recognizer.network(*part).float() for part in tqdm(
                    list(zip(photos.split(_BATCH), alignments.split(_BATCH), strict=True)),
                    desc=f'descriptors of {type(recognizer.network).__name__}',
                    unit=f'×{_BATCH}')])
        self._centre = described[trained].mean(dim=0) if recognizer.by_direction else None
        self._photos = self._normalized(described)
        self._soft_biometrics = attribute_classifier(
            self._photos[trained].cpu().numpy(), soft_biometrics[trained].T).to(photos.device)

    def _normalized(self, described: torch.Tensor) -> torch.Tensor:
        """Return descriptors whose distances are on the scale of the margins."""
        return (described if self._centre is None
                else functional.normalize(described - self._centre))

    def losses(self, faces: torch.Tensor, alignments: torch.Tensor, labels: BatchLabels,
               asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the losses of recognition and of soft biometrics.

        :param faces: (N, 1, 64, 64); `alignments` (N, 2, 3) of these.
        :param asked: (N, A) in 0…1, the soft biometrics they should have.
        """
        margins = self._recognizer.margins
        described = self._normalized(self._recognizer.network(faces, alignments).float())
        recognition = (identity_loss(described, labels, margins) + reidentification_loss(
            described, self._photos[labels.photos], labels, margins))
        return recognition / margins.other ** 2, functional.binary_cross_entropy_with_logits(
            self._soft_biometrics(described).float(), asked)


def recognizers(faceres: Path | None, device: torch.device) -> list[Recognizer]:
    """Return dlib's network, and FaceRes where its file is given."""
    found = [Recognizer(RecognitionNetwork(Path(model_file(FaceRecognizer.NETWORK))).to(device),
                        _DLIB)]
    if faceres is not None:
        found.append(Recognizer(FaceRes(faceres).to(device), _FACERES, by_direction=True))
    return found
