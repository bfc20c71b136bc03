# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recognition networks that judge new faces while a chain learns to make them.

What hides from one network need not hide from another, and can even learn to hide from that one
only. So there can be two, which were trained on other people and see other traits.
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
from deid_ros.offboard.training.synthetic.judges import (
    Margins,
    Shown,
    lasting_attributes,
    told_apart,
    unrecognized,
)
from deid_ros.offboard.training.synthetic.recognition_network import RecognitionNetwork

# dlib takes faces up to 0.6 for one person. For FaceRes, of 100 pairs of different people one is
# within 1.19, and what has nothing in common is 1.41 apart.
_DLIB, _FACERES = Margins(0.35, 0.95), Margins(0.85, 1.4)
# Photos that are described at once.
_BATCH = 64


class Recognizer(NamedTuple):
    """A recognition network and what its distances mean.

    :ivar network: from faces and alignments to descriptors; see `RecognitionNetwork`.
    :ivar by_direction: whether the direction of a descriptor counts, seen from the mean of all.
    """

    network: nn.Module
    margins: Margins
    by_direction: bool = False


class Teacher:
    """A recognition network, and how it sees the photos.

    :param photos: (N, 1, 64, 64) in −1…1; `alignments` (N, 2, 3) of these.
    :param lasting: (N, A) bool: attributes of the photos that stay with a person; `trained` (M,)
        indices of photos to learn from.
    """

    def __init__(self, recognizer: Recognizer, photos: torch.Tensor, alignments: torch.Tensor,
                 lasting: np.ndarray, trained: np.ndarray) -> None:
        self._recognizer = recognizer
        with torch.no_grad():
            described = torch.cat([
                recognizer.network(*part).float() for part in tqdm(
                    list(zip(photos.split(_BATCH), alignments.split(_BATCH), strict=True)),
                    desc=f'descriptors of {type(recognizer.network).__name__}',
                    unit=f'×{_BATCH}')])
        self._centre = described[trained].mean(dim=0) if recognizer.by_direction else None
        self._photos = self._placed(described)
        self._lasting = lasting_attributes(self._photos[trained].cpu().numpy(),
                                           lasting[trained].T).to(photos.device)

    def _placed(self, described: torch.Tensor) -> torch.Tensor:
        """Return descriptors so that their distances can be compared with the margins."""
        return (described if self._centre is None
                else functional.normalize(described - self._centre))

    def judge(self, faces: torch.Tensor, alignments: torch.Tensor, shown: Shown,
              asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return how badly new faces do as people, and in showing lasting attributes.

        :param faces: (N, 1, 64, 64); `alignments` (N, 2, 3) of these.
        :param asked: (N, A) in 0…1, the attributes they should have.
        """
        margins = self._recognizer.margins
        described = self._placed(self._recognizer.network(faces, alignments).float())
        people = (told_apart(described, shown, margins)
                  + unrecognized(described, self._photos[shown.photos], shown, margins))
        return people / margins.other ** 2, functional.binary_cross_entropy_with_logits(
            self._lasting(described).float(), asked)


def recognizers(faceres: Path | None, device: torch.device) -> list[Recognizer]:
    """Return dlib's network, and FaceRes where its file is given."""
    found = [Recognizer(RecognitionNetwork(Path(model_file(FaceRecognizer.NETWORK))).to(device),
                        _DLIB)]
    if faceres is not None:
        found.append(Recognizer(FaceRes(faceres).to(device), _FACERES, by_direction=True))
    return found
