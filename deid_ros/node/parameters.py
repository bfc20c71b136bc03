# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The table of parameters (`deid_ros.core.parameters`) on a node: declared, read, checked."""

from typing import Any, Dict, Optional, Sequence

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from deid_ros.core.parameters import PARAMETERS, ParameterSpec

_BY_NAME = {spec.name: spec for spec in PARAMETERS}


def declare(node: Node) -> None:
    """Declare all parameters on a node, with the overrides it was started with.

    :raises rclpy.exceptions.InvalidParameterException: an override is not allowed; the message
        names the parameter, the value and what is allowed.
    """
    for spec in PARAMETERS:
        node.declare_parameter(spec.name, spec.default, _descriptor(spec))


def read(node: Node) -> Dict[str, Any]:
    """Return the values of all parameters by name."""
    return {name: _value(node.get_parameter(name)) for name in _BY_NAME}


def changed(values: Dict[str, Any], changes: Sequence[Parameter]) -> Dict[str, Any]:
    """Return the values that `read` gave with `changes` made; other nodes' parameters are left."""
    result = dict(values)
    result.update((change.name, _value(change)) for change in changes if change.name in _BY_NAME)
    return result


def check(parameters: Sequence[Parameter], locked: bool) -> SetParametersResult:
    """Decide on new values, before anything is changed.

    :param locked: whether models are loaded, so that only the live parameters may change.
    """
    for parameter in parameters:
        spec = _BY_NAME.get(parameter.name)
        objection = spec and _objection(spec, parameter, locked)
        if objection:
            return SetParametersResult(successful=False, reason=objection)
    return SetParametersResult(successful=True)


def _value(parameter: Parameter) -> Any:
    value = parameter.value
    return [entry for entry in value if entry] if isinstance(value, (list, tuple)) else value


def _descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=spec.description,
                                     additional_constraints=spec.allowed)
    if spec.minimum is None:
        return descriptor
    if isinstance(spec.default, int):
        descriptor.integer_range = [IntegerRange(
            from_value=spec.minimum, to_value=spec.maximum, step=1)]
    else:
        descriptor.floating_point_range = [FloatingPointRange(
            from_value=spec.minimum, to_value=spec.maximum, step=0.0)]
    return descriptor


def _objection(spec: ParameterSpec, parameter: Parameter, locked: bool) -> Optional[str]:
    if locked and not spec.live:
        return ('{} cannot change while the node is configured; run "ros2 lifecycle set NODE '
                'deactivate", the same with "cleanup", set it, then "configure" and "activate"'
                .format(spec.name))
    if parameter.type_ != Parameter.Type.from_parameter_value(spec.default):
        return None  # rclpy refuses another type by itself.
    return spec.objection(parameter.value)
