# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a test that needs what is not there: packages, data, a newer Python."""

import importlib
import os
import sys
from typing import Any, NoReturn, Optional

import pytest

#: As on a TX2, for which there are no builds of much that the tests could use.
IS_OLD_PYTHON = sys.version_info < (3, 10)
IN_CI = os.environ.get('CI') == 'true'
#: Whether all that the tests could use must be installed.
MUST_BE_THERE = IN_CI and not IS_OLD_PYTHON


def missing(reason: str) -> NoReturn:
    """Skip the test. In CI, where all that there is must be installed, fail it."""
    if MUST_BE_THERE:
        pytest.fail(reason)
    pytest.skip(reason)


def package_missing_for(error: Optional[BaseException]) -> str:
    """Return which package an error says is not installed, empty where it says nothing of it."""
    if isinstance(error, ModuleNotFoundError):
        name = str(error.name).split('.')[0]
        return '' if name == 'deid_ros' else 'the Python package {} is missing'.format(name)
    # As `deid_ros.core.resources` has it.
    return str(error) if 'Install it with: pip install' in str(error) else ''


def offboard(name: str) -> Any:
    """Return the module of the outer ring, imported; skip the test where Python is too old."""
    if IS_OLD_PYTHON:
        pytest.skip('deid_ros.offboard needs Python 3.10')
    return importlib.import_module('deid_ros.offboard.' + name)
