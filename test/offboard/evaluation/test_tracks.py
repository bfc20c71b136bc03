# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""New faces along tracks."""

import numpy as np
import pytest

pytest.importorskip('rosbags')

from deid_ros.offboard.evaluation.cli import main  # noqa: E402
from deid_ros.offboard.evaluation.sources import SourceError  # noqa: E402
from deid_ros.offboard.evaluation.tracks import TrackedFaces, figures  # noqa: E402


def _described(value: float) -> np.ndarray:
    return np.full(128, value / np.sqrt(128))


def _runs(*runs: dict[tuple[int, int], float]) -> list[TrackedFaces]:
    return [{place: _described(value) for place, value in run.items()} for run in runs]


def test_steps_within_a_track_and_faces_between_runs():
    found = figures(_runs(
        {(1, 0): 0.0, (1, 1): 0.5, (1, 2): 1.2, (1, 5): 9.0, (2, 1): 4.0, (2, 2): 4.1},
        {(1, 0): 0.5, (1, 1): 2.0, (3, 1): 0.0}), {})
    # 0 → 0.5 and 4 → 4.1 stay, 0.5 → 1.2 and 0.5 → 2 do not; frame 5 follows none.
    assert found['same in the next frame'].value == pytest.approx(50)
    assert found['another in another run'].value == pytest.approx(50)
    assert set(found) == {'same in the next frame', 'another in another run'}


def test_people_of_one_frame_are_the_reference():
    run, original = _runs({(1, 0): 0.0, (1, 1): 0.0},
                          {(1, 0): 0.0, (2, 0): 1.0, (3, 0): 0.5, (1, 1): 0.0, (4, 2): 0.0})
    # Of the pairs of frame 0, 0 and 1 are two people; 0 and 0.5, and 1 and 0.5, are one.
    found = figures([run, run], original)['two people in a frame, originals']
    assert found.value == pytest.approx(100 / 3)
    assert found.count == 3


def test_every_run_is_compared_with_every_other():
    found = figures(_runs(*({(1, 0): value, (1, 1): value} for value in (0.0, 0.1, 5.0))), {})
    assert found['same in the next frame'].value == 100
    assert found['another in another run'].value == pytest.approx(200 / 3)


def test_intervals_are_those_of_other_tracks():
    # However many faces a track has, there are two tracks, one of each kind.
    one = {(track, frame): 0.0 for track in (1, 2) for frame in range(50)}
    other = {(track, frame): float(track - 1) for track, frame in one}
    found = figures(_runs(one, other), {})['another in another run']
    assert (found.low, found.value, found.high, found.count) == (0, 50, 100, 2)


@pytest.mark.parametrize(('one', 'other'), [({(1, 0): 0.0}, {(1, 0): 0.0}),
                                            ({(1, 0): 0.0, (1, 1): 0.0}, {(2, 0): 0.0})])
def test_nothing_to_compare_is_no_figure(one, other):
    with pytest.raises(SourceError, match='in a row'):
        figures(_runs(one, other), {})


def test_one_run_is_not_enough(capsys):
    assert main(['tracks', 'street.mp4', '--runs', '1']) == 1
    assert '--runs is 1' in capsys.readouterr().err
