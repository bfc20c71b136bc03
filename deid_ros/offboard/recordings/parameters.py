# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Parameter files of the node, read without ROS."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from deid_ros.core.errors import ConfigurationError
from deid_ros.core.parameters import NO_NAMES, PARAMETERS

_SPECS = {spec.name: spec for spec in PARAMETERS}


def read_parameters(file: Path | None, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """Return the values of all parameters by name, as the node would have them.

    :param file: a parameter file of the node, such as `config/uav.yaml`; None for the defaults.
    :param assignments: `NAME:=VALUE`, which override the file.
    :raises ConfigurationError: a name, type or value is not allowed; the message says what is.
    """
    values = {spec.name: spec.default for spec in PARAMETERS}
    for name, value in [*(_entries(file) if file else ()), *map(_assignment, assignments)]:
        spec = _SPECS.get(name)
        if spec is None:
            raise ConfigurationError(f'There is no parameter {name!r}; docs/parameters.md has all.')
        # As in ROS, nothing is converted: 10 is no double, and 10.0 no integer.
        if type(value) is not type(spec.default) or (
                isinstance(value, list) and not all(isinstance(item, str) for item in value)):
            raise ConfigurationError(f'{name} is {value!r}, must be of the type of '
                                     f'{spec.default!r}.')
        objection = spec.objection(value)
        if objection:
            raise ConfigurationError(f'{objection}.')
        values[name] = value
    return {name: [] if value == NO_NAMES else value for name, value in values.items()}


def _entries(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield the parameters in all sections of a file: there is one node they can be for."""
    try:
        content = yaml.safe_load(file.read_text(encoding='utf-8'))
        for section in content.values():
            yield from _flat(section['ros__parameters'], '')
    except (OSError, UnicodeError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ConfigurationError(f'{file} is no parameter file of a ROS node: {error}. See '
                                 'config/uav.yaml for one.') from error


def _flat(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield prefix + key, value


def _assignment(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition(':=')
    if not separator:
        raise ConfigurationError(f'{text!r} is no assignment; write NAME:=VALUE.')
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigurationError(f'{text!r}: the value is no YAML ({error}).') from error
