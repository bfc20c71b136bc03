# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a test that needs what is not there: packages, data, a newer Python."""

import importlib
import os
import sys
from typing import Any, NoReturn

import pytest

#: As on a TX2, for which there are no builds of much that the tests could use.
IS_OLD_PYTHON = sys.version_info < (3, 10)
IN_CI = os.environ.get('CI') == 'true'


def missing(reason: str) -> NoReturn:
    """Skip the test. In CI, where all that there is must be installed, fail it."""
    if IN_CI and not IS_OLD_PYTHON:
        pytest.fail(reason)
    pytest.skip(reason)


def package(name: str) -> Any:
    """Return the package of that name, imported; see `missing`."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return missing('the Python package {} cannot be imported: {}'.format(name, error))


def offboard(name: str) -> Any:
    """Return the module of the outer ring, imported; skip the test where Python is too old."""
    if IS_OLD_PYTHON:
        pytest.skip('deid_ros.offboard needs Python 3.10')
    return importlib.import_module('deid_ros.offboard.' + name)
