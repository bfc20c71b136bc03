# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Parameter files of the node and assignments on a command line, read without ROS."""

import os
import pathlib
from typing import Any, Dict, Iterator, Sequence, Tuple, Union

from deid_ros.core.errors import ConfigurationError
from deid_ros.core.parameters import parameter_values
from deid_ros.core.resources import require

_INSTALL_YAML = 'pip install PyYAML'


def read_parameters(file: Union[None, str, 'os.PathLike[str]'],
                    assignments: Sequence[str] = ()) -> Dict[str, Any]:
    """Return the values of all parameters by name, as the node would have them.

    :param file: a parameter file of the node, such as `config/uav.yaml`; None for the defaults.
    :param assignments: `NAME:=VALUE`, which override the file.
    :raises ConfigurationError: a name, type or value is not allowed; the message says what is.
    """
    entries = list(_entries(pathlib.Path(file))) if file else []
    return parameter_values(entries + [_assignment(text) for text in assignments])


def _entries(file: pathlib.Path) -> Iterator[Tuple[str, Any]]:
    """Yield the parameters in all sections of a file: there is one node they can be for."""
    yaml = require('yaml', _INSTALL_YAML)
    try:
        content = yaml.safe_load(file.read_text(encoding='utf-8'))
        for section in content.values():
            yield from _flat(section['ros__parameters'], '')
    except (OSError, UnicodeError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ConfigurationError('{} is no parameter file of a ROS node: {}. See config/uav.yaml '
                                 'for one.'.format(file, error)) from error


def _flat(tree: Dict[str, Any], prefix: str) -> Iterator[Tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, '{}{}.'.format(prefix, key))
        else:
            yield prefix + key, value


def _assignment(text: str) -> Tuple[str, Any]:
    name, separator, value = text.partition(':=')
    if not separator:
        raise ConfigurationError('{!r} is no assignment; write NAME:=VALUE.'.format(text))
    yaml = require('yaml', _INSTALL_YAML)
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigurationError(
            '{!r}: the value is no YAML ({}).'.format(text, error)) from error
