# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Weights on disk: one `.npz` per network, and `models.json`, which says what each one is.

Nothing is ever unpickled, and nothing is used whose SHA-256 is not the one in `models.json`.
"""

import io
import json
import os
import pathlib
from typing import Any, Dict, NamedTuple

import numpy as np

from deid_ros.core.deidentification.networks import Layers
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import read_model, sha256_of

MODELS_FILE = 'models.json'
_ADVICE = 'Install the package again, or train and export the networks again.'


class Network(NamedTuple):
    """A network ready to be built by a backend: its layers and its arrays."""

    layers: Layers
    arrays: Dict[str, np.ndarray]


class ModelStore:
    """The folder with the shipped weights."""

    def __init__(self, directory: str) -> None:
        """Read `models.json`.

        :raises ConfigurationError: when it is missing or is not what this version can read.
        """
        self.directory = directory
        path = os.path.join(directory, MODELS_FILE)
        try:
            with open(path, encoding='utf-8') as file:
                content = json.load(file)
            self.entries = content['files']  # type: Dict[str, Dict[str, Any]]
            self.modes = content['modes']  # type: Dict[str, Dict[str, Any]]
            #: By mode/way: each measure as [percent, low, high] of its 95 % interval.
            self.measures = content.get('measures', {})  # type: Dict[str, Dict[str, Any]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f'{path} cannot be read as the list of models: {error!r}') from error

    def arrays(self, name: str) -> Dict[str, np.ndarray]:
        """Return the arrays of one file as float32, by name.

        :raises ConfigurationError: when the file is missing, is not the one that `models.json`
            names, or holds anything but plain arrays of numbers.
        """
        entry = self._entry(name)
        path = pathlib.Path(self.directory) / str(entry['file'])
        content = read_model(path, _ADVICE)
        found = sha256_of(content)
        if found != entry['sha256']:
            raise ConfigurationError(
                f'{path} is not the file named in {MODELS_FILE}: its SHA-256 is {found}, '
                f'not {entry["sha256"]}. {_ADVICE}')
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return {key: file[key].astype(np.float32) for key in file.files}
        except Exception as error:  # whatever np.load raises, these are no weights
            raise ConfigurationError(f'{path} holds no plain arrays: {error}') from error

    def network(self, name: str) -> Network:
        """Return one network with its weights; raises as `arrays` does."""
        layers = [tuple(layer) for layer in self._entry(name)['layers']]
        return Network(layers, self.arrays(name))

    def _entry(self, name: str) -> Dict[str, Any]:
        if name not in self.entries:
            raise ConfigurationError(
                f'{self.directory} has no weights {name!r}, only {", ".join(sorted(self.entries))}')
        return self.entries[name]


def save_arrays(path: str, arrays: Dict[str, np.ndarray]) -> None:
    """Write arrays in half precision, compressed; the same arrays give the same bytes."""
    np.savez_compressed(path, **{name: array.astype(np.float16)  # type: ignore[arg-type]
                                 for name, array in arrays.items()})
