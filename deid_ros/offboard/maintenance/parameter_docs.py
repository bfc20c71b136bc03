# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/parameters.md from the table of parameters.

Use: `python -m deid_ros.offboard.maintenance.parameter_docs > docs/parameters.md`
"""

from typing import Any

from deid_ros.core.parameters import NO_NAMES, PARAMETERS, ParameterSpec

_INTRODUCTION = '''\
# Parameters of the node `deid`

<!-- Do not edit. Made by
`python -m deid_ros.offboard.maintenance.parameter_docs > docs/parameters.md`. -->

*Live* parameters may change while frames flow; each frame is treated by one whole set of values.
The others need `ros2 lifecycle set /deid deactivate` and then `cleanup` first. A value that is not
allowed is refused with a sentence that names it; at start it ends the node.

| parameter | default | allowed | live | meaning |
|---|---|---|---|---|
'''


def markdown() -> str:
    """Return the page."""
    return _INTRODUCTION + ''.join(_row(spec) for spec in PARAMETERS)


def _row(spec: ParameterSpec) -> str:
    return (f'| `{spec.name}` | {_default(spec.default)} | {spec.allowed or _kind(spec.default)} | '
            f'{"yes" if spec.live else "no"} | {spec.description} |\n')


def _default(value: Any) -> str:
    if value == NO_NAMES:
        return 'none'
    if isinstance(value, bool):
        return f'`{str(value).lower()}`'
    return f'`{value}`' if value != '' else 'empty'


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return 'true or false'
    return 'list of strings' if isinstance(value, (list, tuple)) else 'string'


if __name__ == '__main__':
    print(markdown(), end='')
