# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training data: faces, labels, and the people who are held out for validation."""

import csv
import dataclasses
import functools
import zlib
from pathlib import Path

import numpy as np

from deid_ros.offboard.common.datasets import Faces


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Faces cropped with context, and what some recipes need besides.

    `labels` maps a column's name to (N,) strings. `faceres` is the file of the network FaceRes.
    """

    faces: Faces
    labels: dict[str, np.ndarray]
    faceres: Path | None = None

    @functools.cached_property
    def held_out(self) -> np.ndarray:
        """Return (N,) bool: faces of every twentieth person, used for the validation loss only."""
        return np.array([zlib.crc32(str(name).encode()) % 20 == 0
                         for name in self.faces.identities])


def read_labels(path: Path, faces: Faces, columns: tuple[str, ...], *, soft: bool = False
                ) -> TrainingData:
    """Return the faces that are in the label file, with the given columns.

    Numbers are probabilities: from 0.5 on the label is `1`, else `0`. Words stay as they are.

    :param soft: whether probabilities stay as they are, too.
    :raises ValueError: when a column is not in the file.
    """
    with open(path, newline='', encoding='utf-8') as file:
        rows = {row['image']: row for row in csv.DictReader(file)}
    missing = set(columns) - set(next(iter(rows.values())))
    if missing:
        raise ValueError(f'{path} has no column {", ".join(sorted(missing))}')
    known = np.array([name in rows for name in faces.names])
    faces = faces.take(known)

    def label(value: str) -> str:
        try:
            return str(int(float(value) >= 0.5))
        except ValueError:
            return value

    def values(column: str) -> np.ndarray:
        written = [rows[name][column] for name in faces.names]
        return np.array(written if soft else [label(value) for value in written])

    return TrainingData(faces, {column: values(column) for column in columns})
