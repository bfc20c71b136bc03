# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""New faces along tracks."""

import numpy as np
import pytest

pytest.importorskip('rosbags')

from deid_ros.offboard.evaluation.sources import SourceError  # noqa: E402
from deid_ros.offboard.evaluation.tracks import figures  # noqa: E402


def _described(value: float) -> np.ndarray:
    return np.full(128, value / np.sqrt(128))


def test_steps_within_a_track_and_faces_between_runs():
    one = {(1, 0): 0.0, (1, 1): 0.5, (1, 2): 1.2, (1, 5): 9.0, (2, 1): 4.0, (2, 2): 4.1}
    other = {(1, 0): 0.5, (1, 1): 2.0, (3, 1): 0.0}
    found = figures(*({key: _described(value) for key, value in run.items()}
                      for run in (one, other)))
    # 0 → 0.5 and 4 → 4.1 stay, 0.5 → 1.2 does not; frame 5 follows none.
    assert found['same in the next frame'].value == pytest.approx(200 / 3)
    assert found['same in the next frame'].count == 3
    assert found['another in another run'].value == pytest.approx(50)


@pytest.mark.parametrize(('one', 'other'), [({(1, 0): 0.0}, {(1, 0): 0.0}),
                                            ({(1, 0): 0.0, (1, 1): 0.0}, {(2, 0): 0.0})])
def test_nothing_to_compare_is_no_figure(one, other):
    with pytest.raises(SourceError, match='in a row'):
        figures(*({key: _described(value) for key, value in run.items()} for run in (one, other)))
