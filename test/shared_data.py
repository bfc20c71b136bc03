# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The data that tests may use but that the project does not hold: photos, clips, faces."""

import os
from pathlib import Path

import pytest


def shared_data() -> Path:
    """Return the data folder; where it is absent, skip the test, or in CI fail it."""
    repository = Path(__file__).resolve().parents[1]
    shared = Path(os.environ.get('DEID_SHARED', repository.parent / 'shared'))
    data = shared / 'data'
    if data.is_dir():
        return data
    reason = f'no test data at {data}; set DEID_SHARED to the folder that holds data/'
    if os.environ.get('CI') == 'true' and os.environ.get('DEID_SHARED') != 'none':
        pytest.fail(reason)
    pytest.skip(reason)
