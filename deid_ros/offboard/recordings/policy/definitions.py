# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Message definitions: which fields a type has, all the way down."""

import functools
from typing import Any, NamedTuple

from rosbags.interfaces import Nodetype
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)

from deid_ros.offboard.recordings.formats.recording import ROS1, Channel

_IDL_SEPARATOR = '=' * 80 + '\n'
# Where a recording has no definitions, as those of Humble and older in sqlite3.
_ROS2_STORES = (Stores.ROS2_JAZZY, Stores.ROS2_HUMBLE, Stores.ROS2_FOXY)


class Field(NamedTuple):
    """A field of a message."""

    name: str
    #: A basic type (`uint8`, `string`), or a message's (`std_msgs/msg/Header`).
    type: str
    is_array: bool


#: The fields of each type that a definition names.
Types = dict[str, list[Field]]


def types_of(channel: Channel) -> Types | None:
    """Return the types in a channel's definition, or else those that ROS is known to have.

    None where neither tells the channel's type.
    """
    name = full_name(channel.type)
    known = _known(channel.encoding == ROS1)
    parsed = _parsed(name, channel.definition_encoding, channel.definition)
    # Definitions do not repeat those of times, which every ROS has.
    types = {**known, **(parsed or {})}
    return types if name in types else None


def full_name(name: str) -> str:
    """Return the name of a type in three parts; recorders of ROS 1 leave out the middle one."""
    package, _, rest = name.partition('/')
    return f'{package}/msg/{rest}' if rest and '/' not in rest else name


@functools.lru_cache(maxsize=512)
def _parsed(name: str, encoding: str, definition: str) -> Types | None:
    if not definition:
        return None
    try:
        if encoding in ('ros2msg', 'ros1msg'):
            return _fields(get_types_from_msg(definition, name))
        if encoding != 'ros2idl':
            return None
        if not definition.startswith(_IDL_SEPARATOR):
            return _fields(get_types_from_idl(definition))
        types: Types = {}
        for part in definition.split(_IDL_SEPARATOR)[1:]:
            types.update(_fields(get_types_from_idl(part.partition('\n')[2])))
        return types
    except (TypesysError, ValueError, KeyError, TypeError):
        return None  # As good as none: what is not understood is not taken for harmless.


@functools.cache
def _known(is_ros1: bool) -> Types:
    types: Types = {}
    for store in reversed((Stores.ROS1_NOETIC,) if is_ros1 else _ROS2_STORES):
        types.update(_fields(get_typestore(store).fielddefs))
    return types


def _fields(definitions: Any) -> Types:
    return {name: [_field(field, description) for field, description in fields]
            for name, (_, fields) in definitions.items()}


def _field(name: str, description: Any) -> Field:
    node, content = description
    is_array = node in (Nodetype.ARRAY, Nodetype.SEQUENCE)
    if is_array:
        node, content = content[0]
    return Field(name, content if node == Nodetype.NAME else content[0], is_array)
