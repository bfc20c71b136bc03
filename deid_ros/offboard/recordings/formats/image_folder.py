# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A folder of images as a recording: each file is a message, and stays a file."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deid_ros.offboard.common.datasets import IMAGE_SUFFIXES
from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.formats.recording import FILE, Channel, Item, Message, Recording


class ImageFolder(Recording):
    """The images in a folder and those below it, in the order of their names.

    Each suffix is a channel. A message's sequence number is that of its file.

    :raises BagError: there are none.
    """

    storage = 'images'

    def __init__(self, path: Path) -> None:
        found = sorted(each for each in path.rglob('*') if each.is_file())
        self.files = [each for each in found if each.suffix.lower() in IMAGE_SUFFIXES]
        if not self.files:
            raise BagError(f'{path} holds neither a recording nor images. If it is a rosbag2 '
                           f'recording without metadata.yaml, run: ros2 bag reindex {path}')
        #: Paths of the files within the folder.
        self.names = [each.relative_to(path).as_posix() for each in self.files]
        #: Of those that are no images, or none that can be written again.
        self.others = [each.relative_to(path).as_posix() for each in found
                       if each not in set(self.files)]
        suffixes = sorted({each.suffix.lower() for each in self.files})
        self.channels = [Channel(f'*{suffix}', suffix, FILE, '', '') for suffix in suffixes]
        self._indices = [suffixes.index(each.suffix.lower()) for each in self.files]
        self.counts = [self._indices.count(index) for index in range(len(suffixes))]
        self.end = len(self.files) - 1

    def items(self) -> Iterator[Item]:
        """Yield the files; the time of each is its number."""
        for number, (index, path) in enumerate(zip(self._indices, self.files, strict=True)):
            yield Message(index, number, number, number, path.read_bytes())

    def first(self, channel: int) -> Message | None:
        """Return nothing: every file may be another picture."""
        return None

    def close(self) -> None:
        """Do nothing: no file stays open."""


class ImageFolderWriter:
    """Writes images by the names that they had.

    :param folder: where they go; it is there.
    :param names: their paths, by sequence number.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, names

    def write(self, message: Message) -> None:
        """Write one file."""
        path = self._folder / self._names[message.sequence]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(message.data)

    def write_extra(self, record: Any) -> None:
        """There is nothing beside the images."""

    def checkpoint(self) -> dict[str, Any]:
        """Return that a later writer can go on from here, with all files on the disk."""
        os.sync()
        return {}

    def finish(self, provenance: dict[str, Any], custom_data: dict[str, str]) -> None:
        """Do nothing: provenance is in the report."""

    def close(self) -> None:
        """Do nothing: no file stays open."""
