# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Face images on disk as arrays of crops: LFW, CelebA, or any folder or tar of face images.

The folder that holds an image is taken as the identity of the person, as in LFW and CelebA.
"""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from deid_ros.core.deidentification.alignment import crop
from deid_ros.core.deidentification.networks import FACE_SIZE
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.faces import Box

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')
#: The environment variable for the number of worker processes.
PROCESSES_VARIABLE = 'DEID_ROS_PROCESSES'
#: Side of crops with context, in tight boxes and in pixels. Their central 64×64 pixels are the
#: tight box; the rest is for augmentation.
CONTEXT = 1.5
CONTEXT_SIZE = int(CONTEXT * FACE_SIZE)
_BATCH = 256


@dataclass(frozen=True)
class Faces:
    """Crops of faces, with their names and identities.

    `pixels` is (N, size, size, 3) uint8 BGR; `names` and `identities` are (N,) strings: the file's
    name and the folder's.
    """

    pixels: np.ndarray
    names: np.ndarray
    identities: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: np.ndarray) -> 'Faces':
        """Return the faces with the given indices (or a boolean mask), in that order."""
        return Faces(self.pixels[indices], self.names[indices], self.identities[indices])


def encoded_images(source: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (path inside the source, encoded bytes) of all images of a folder or a tar, sorted.

    :raises ValueError: the source is a file, but no tar.
    """
    if source.is_dir():
        for path in sorted(source.rglob('*')):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                yield str(path.relative_to(source)), path.read_bytes()
        return
    if not tarfile.is_tarfile(source):
        raise ValueError(f'{source} is neither a folder nor a tar file')
    with tarfile.open(source) as archive:
        members = [member for member in archive.getmembers()
                   if member.isfile() and member.name.lower().endswith(IMAGE_SUFFIXES)]
        for member in sorted(members, key=lambda member: member.name):
            content = archive.extractfile(member)
            assert content is not None
            yield member.name, content.read()


def decoded(name: str, content: bytes) -> np.ndarray:
    """Return the (H, W, 3) uint8 BGR image in an encoded file.

    :raises ValueError: naming the file, when it cannot be read as an image.
    """
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None:
        raise ValueError(f'{name} cannot be read as an image')
    return image


def frames(source: Path) -> Iterator[np.ndarray]:
    """Yield the (H, W, 3) uint8 BGR frames of a video, or the images of a folder or tar."""
    if source.is_dir() or source.suffix == '.tar':
        for _, content in encoded_images(source):
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            if image is not None:
                yield image
        return
    video = cv2.VideoCapture(str(source))
    while True:
        more, frame = video.read()
        if not more:
            return
        yield frame


def worker_processes() -> ProcessPoolExecutor:
    """Return a pool of one process for each core, or of `DEID_ROS_PROCESSES`.

    Processes are spawned, not forked: a fork of a process whose OpenCV or torch has threads can
    hang.

    :raises ConfigurationError: the environment variable is not a whole number above 0.
    """
    count = os.environ.get(PROCESSES_VARIABLE) or str(os.cpu_count())
    if not count.isdigit() or not int(count):
        raise ConfigurationError(f'{PROCESSES_VARIABLE} is {count!r}, must be a whole number '
                                 'above 0')
    return ProcessPoolExecutor(int(count), get_context('spawn'))


@cache
def _detector() -> Callable[[np.ndarray], Iterable[Any]]:
    import dlib

    return dlib.get_frontal_face_detector()


def _dlib_box(image: np.ndarray, choice: str) -> Box | None:
    """Return the frontal face of dlib's HOG detector: the `largest` or the most `central` one."""
    rgb = np.ascontiguousarray(image[:, :, ::-1])
    found = [Box(face.left(), face.top(), face.right() - face.left() + 1,
                 face.bottom() - face.top() + 1) for face in _detector()(rgb)]
    if choice == 'largest':
        return max(found, key=lambda box: box.width * box.height, default=None)
    centre_x, centre_y = image.shape[1] / 2, image.shape[0] / 2
    return min(found, default=None, key=lambda box: (box.x + box.width / 2 - centre_x) ** 2
               + (box.y + box.height / 2 - centre_y) ** 2)


def _crops(batch: list[tuple[str, bytes]], choice: str, size: int,
           context: float) -> list[tuple[str, np.ndarray]]:
    cv2.setNumThreads(1)
    result = []
    for name, content in batch:
        image = decoded(name, content)
        box = _dlib_box(image, choice)
        if box is not None:
            result.append((name, crop(image, box.grown((context - 1) / 2), size)))
    return result


def _batches(items: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    iterator = iter(items)
    batch = list(islice(iterator, _BATCH))
    while batch:
        yield batch
        batch = list(islice(iterator, _BATCH))


def load_faces(source: Path, cache_dir: Path, *, choice: str = 'largest', size: int = 64,
               context: float = 1.0) -> Faces:
    """Find one face in every image with dlib's frontal detector and crop it.

    The crops are cached in `cache_dir`, so only the first call takes minutes.

    :param source: a tar or a folder of images; those in which no face is found are left out.
    :param choice: which face, where there are several: `largest`, or `central` (LFW).
    :param size: side of the crops in pixels.
    :param context: side of the crop in boxes; 1 is the tight box.
    :raises FileNotFoundError: when there is no such source.
    :raises ValueError: when no face is found in it, or a file in it is no image that can be read.
    """
    if not source.exists():
        raise FileNotFoundError(f'{source}: no such tar or folder of face images')
    state = source.stat()
    key = f'{source.resolve()} {state.st_size} {state.st_mtime_ns} {choice} {size} {context}'
    path = cache_dir / f'faces-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz'
    if not path.exists():
        found: list[tuple[str, np.ndarray]] = []
        with worker_processes() as workers:
            work = partial(_crops, choice=choice, size=size, context=context)
            for crops in tqdm(workers.map(work, _batches(encoded_images(source))),
                              desc=f'faces of {source.name}', unit=f'×{_BATCH}'):
                found += crops
        if not found:
            raise ValueError(f'{source}: no face found in any image')
        cache_dir.mkdir(parents=True, exist_ok=True)
        partial_path = path.with_suffix('.partial.npz')
        np.savez(partial_path, pixels=np.stack([pixels for _, pixels in found]),
                 names=np.array([Path(name).name for name, _ in found]),
                 identities=np.array([Path(name).parent.name for name, _ in found]))
        partial_path.rename(path)
    with np.load(path, allow_pickle=False) as arrays:
        return Faces(arrays['pixels'], arrays['names'], arrays['identities'])


def training_faces(data: Path, cache: Path) -> Faces:
    """Return the faces that the networks were trained on, (N, 96, 96, 3), with context.

    They are cropped and cached as by `train`.
    """
    return load_faces(data, cache, choice='central', size=CONTEXT_SIZE, context=CONTEXT)


def tight(faces: Faces, color: bool) -> Faces:
    """Return the tight crops of faces with context: the input of the networks.

    :param faces: (N, 96, 96, 3) BGR.
    :return: (N, 64, 64) luminance, or (N, 64, 64, 3) BGR.
    """
    border = (CONTEXT_SIZE - int(CONTEXT_SIZE / CONTEXT)) // 2
    inner = faces.pixels[:, border:-border, border:-border]
    return Faces(inner if color else gray(inner), faces.names, faces.identities)


def gray(faces: np.ndarray) -> np.ndarray:
    """Return the (N, H, W) luminance of (N, H, W, 3) BGR faces, uint8."""
    return np.stack([cv2.cvtColor(np.ascontiguousarray(face), cv2.COLOR_BGR2GRAY)
                     for face in faces])
