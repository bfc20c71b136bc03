# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The paper's measures of de-identified 64×64 faces (section 4.1), with dlib's networks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from tqdm import tqdm

from deid_ros.offboard.datasets import worker_processes
from deid_ros.offboard.recognition import SAME_PERSON, FacenessDetector, FaceRecognizer

_CHUNK = 25


@dataclass(frozen=True)
class Share:
    """A share in percent with its 95 % bootstrap interval."""

    percent: float
    low: float
    high: float

    def __str__(self) -> str:
        return f'{self.percent:.1f} ({self.low:.1f}–{self.high:.1f})'


# Loaded once in each worker process.
_recognizer = cache(FaceRecognizer)
_faceness = cache(FacenessDetector)


def _is_face(face: np.ndarray) -> np.ndarray:
    return np.array(_faceness().is_face(face))


def _descriptor(face: np.ndarray) -> np.ndarray:
    return _recognizer().describe(face).astype(np.float32)


def _chunk(faces: np.ndarray, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.stack([measure(face) for face in faces])


def _measured(faces: np.ndarray, measure: Callable[[np.ndarray], np.ndarray],
              name: str) -> np.ndarray:
    chunks = [faces[start:start + _CHUNK] for start in range(0, len(faces), _CHUNK)]
    with worker_processes() as workers:
        return np.concatenate(list(tqdm(workers.map(partial(_chunk, measure=measure), chunks),
                                        desc=name, total=len(chunks), mininterval=5)))


def detected(faces: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether dlib's neural detector finds a face, the FCNS of each face.

    :param faces: (N, 64, 64) luminance or (N, 64, 64, 3) BGR, uint8.
    """
    return _measured(faces, _is_face, 'faceness')


def descriptors(faces: np.ndarray) -> np.ndarray:
    """Return dlib's (N, 128) face descriptors.

    :param faces: (N, 64, 64) luminance or (N, 64, 64, 3) BGR, uint8.
    """
    return _measured(faces, _descriptor, 'descriptors')


def differing(descriptors_a: np.ndarray, descriptors_b: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether each pair of descriptors belongs to different people (DEID)."""
    return np.linalg.norm(descriptors_a - descriptors_b, axis=1) > SAME_PERSON


def random_pairs(count: int, pairs: int = 10_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the two indices of distinct random pairs out of `count` faces, for DIV."""
    first, second = np.triu_indices(count, 1)
    chosen = np.random.default_rng(seed).permutation(len(first))[:pairs]
    return first[chosen], second[chosen]


def share(hits: np.ndarray, seed: int = 0) -> Share:
    """Return the share of true values, with the interval over 1,000 bootstrap samples."""
    random = np.random.default_rng(seed)
    shares = [100 * hits[random.integers(0, len(hits), len(hits))].mean() for _ in range(1000)]
    low, high = np.percentile(shares, [2.5, 97.5])
    return Share(float(100 * hits.mean()), float(low), float(high))
