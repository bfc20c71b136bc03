# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Results of dlib's networks on many 64×64 face crops: in several processes, and cached."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import numpy as np
from tqdm import tqdm

from deid_ros.offboard.common.datasets import worker_processes
from deid_ros.offboard.common.recognition import (
    DESCRIPTION,
    FacenessDetector,
    FaceRecognizer,
    network_hash,
)
from deid_ros.offboard.common.store import Store, face_key

_CHUNK = 25

# Loaded once in each worker process.
_recognizer = cache(FaceRecognizer)
_faceness = cache(FacenessDetector)


def _is_face(face: np.ndarray) -> np.ndarray:
    return np.array([_faceness().is_face(face)], np.float32)


def _descriptor(face: np.ndarray) -> np.ndarray:
    return _recognizer().describe(face).astype(np.float32)


def _landmarks(face: np.ndarray) -> np.ndarray:
    return _recognizer().landmarks(face).astype(np.float32).ravel()


def _chunk(faces: list[np.ndarray], measure: Callable[[np.ndarray], np.ndarray]
           ) -> list[np.ndarray]:
    return [measure(face) for face in faces]


def _measured(faces: np.ndarray, measure: Callable[[np.ndarray], np.ndarray], name: str,
              store: Store | None, networks: tuple[str, ...]) -> np.ndarray:
    """Return (N, K) float32: the result of `measure` for each face, once for equal faces."""
    keys = [face_key(face) for face in faces]
    # The kind of an entry names the networks and how faces are prepared for them.
    kind = '-'.join((name, DESCRIPTION, *(network_hash(network)[:16] for network in networks)))
    known = store.get(kind, keys) if store else {}
    missing = list({key: face for key, face in zip(keys, faces) if key not in known}.items())
    chunks = [missing[start:start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
    with _mapping(len(chunks)) as mapped:
        results = mapped(partial(_chunk, measure=measure),
                         [[face for _, face in chunk] for chunk in chunks])
        for chunk, values in tqdm(zip(chunks, results), desc=name, total=len(chunks),
                                  unit=f'×{_CHUNK}', mininterval=5, disable=not chunks):
            entries = [(key, value) for (key, _), value in zip(chunk, values)]
            known.update(entries)
            if store:
                store.put(kind, entries)
    return np.stack([known[key] for key in keys])


@contextmanager
def _mapping(chunks: int) -> Iterator[Callable[..., Iterable[list[np.ndarray]]]]:
    """Yield a `map` over so many chunks; new processes are started from two chunks on."""
    if chunks < 2:
        yield map
        return
    with worker_processes() as workers:
        yield workers.map


def detected(faces: np.ndarray, store: Store | None = None) -> np.ndarray:
    """Return (N,) bool: whether dlib's neural detector finds a face, the FCNS of each face.

    :param faces: (N, 64, 64) luminance or (N, 64, 64, 3) BGR, uint8.
    :param store: cache of results.
    """
    return _measured(faces, _is_face, 'faceness', store, (FacenessDetector.NETWORK,))[:, 0] > 0


def descriptors(faces: np.ndarray, store: Store | None = None) -> np.ndarray:
    """Return dlib's face descriptors, (N, 128) float32; see `detected` for the parameters."""
    return _measured(faces, _descriptor, 'descriptors', store,
                     (FaceRecognizer.NETWORK, FaceRecognizer.LANDMARKS))


def landmarks(faces: np.ndarray, store: Store | None = None) -> np.ndarray:
    """Return dlib's five landmarks, (N, 5, 2) float32, see `FaceRecognizer.landmarks`."""
    return _measured(faces, _landmarks, 'landmarks', store,
                     (FaceRecognizer.LANDMARKS,)).reshape(-1, 5, 2)
