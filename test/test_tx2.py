# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The frame path under the Python and the packages of a Jetson TX2 gives what it gives here.

`make test-tx2` names their interpreter by the variable TX2_PYTHON.
"""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from frame_outputs import METHODS, MODES, frame_outputs, portraits

ROOT = pathlib.Path(__file__).parents[1]
#: Gray levels. OpenCV 4.1 scales, turns and blurs with other roundings, and the networks see those.
MOST = 3
#: Share of the values of the picture that may differ at all.
DIFFERING = 0.02


@pytest.fixture(scope='module')
def here() -> dict[str, np.ndarray]:
    return frame_outputs()


@pytest.fixture(scope='module')
def there(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    python = os.environ.get('TX2_PYTHON')
    if not python:
        pytest.skip('make test-tx2 runs it')
    path = tmp_path_factory.mktemp('tx2') / 'outputs.npz'
    subprocess.run([python, ROOT / 'test' / 'frame_outputs.py', path], check=True,
                   env={**os.environ, 'PYTHONPATH': str(ROOT)})
    with np.load(path) as outputs:
        return dict(outputs)


@pytest.mark.parametrize('name', MODES + METHODS)
def test_a_tx2_publishes_the_same_faces(name: str, here: dict[str, np.ndarray],
                                        there: dict[str, np.ndarray]) -> None:
    difference = np.abs(here[name].astype(int) - there[name])
    print(f'{name}: {difference.max()} gray levels at most, {(difference > 0).mean():.2%} of the '
          f'values differ', file=sys.stderr)
    assert difference.max() <= MOST
    assert (difference > 0).mean() <= DIFFERING
    assert np.abs(here[name].astype(int) - portraits()).max() > 50  # something was done at all
