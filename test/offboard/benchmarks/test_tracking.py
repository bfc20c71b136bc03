# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json
import pathlib

import cv2
import messages
import numpy as np
import pytest
from fakes import ActingDetector

from deid_ros.core.faces import Box, Face
from deid_ros.core.tracking import view_of
from deid_ros.offboard.benchmarks import tracking
from deid_ros.offboard.benchmarks.tracking import Linked, Observation, blind, live, measure

VIEW = view_of(messages.smooth_bgr(320, 180))


def sequence(*sights: list[Box]) -> list[Observation]:
    return [Observation(0.04 * index, VIEW, [Face(box, 0.9) for box in boxes])
            for index, boxes in enumerate(sights)]


def walking(frames: int) -> list[list[Box]]:
    return [[Box(20 + 4 * index, 60, 40, 50)] for index in range(frames)]


def without(sights: list[list[Box]], *missed: int) -> list[list[Box]]:
    return [[] if index in missed else boxes for index, boxes in enumerate(sights)]


def test_what_is_missed_is_counted_and_holding_makes_up_for_it() -> None:
    reference, blinded = sequence(*walking(20)), sequence(*without(walking(20), 0, 5, 9, 10))
    plain, held = (measure(reference, blinded, live(frames)) for frames in (0, 8))
    assert (plain.faces, plain.treated, plain.missed, plain.missed_treated) == (20, 16, 4, 0)
    assert (plain.track_frames, plain.flicker) == (20, 4)
    # What the detector has not seen yet, nothing that looks back can know of.
    assert (held.treated, held.missed_treated, held.flicker) == (19, 3, 1)
    assert plain.extra_area < 0 < held.extra_area - plain.extra_area


def test_gaps_of_the_reference_itself_are_flicker() -> None:
    reference = sequence(*without(walking(20), 7, 8))
    plain, held = (measure(reference, reference, live(frames)) for frames in (0, 8))
    assert (plain.faces, plain.treated, plain.missed) == (18, 18, 0)
    assert (plain.track_frames, plain.flicker, held.flicker) == (20, 2, 0)


def test_a_face_that_is_covered_in_part_is_not_treated() -> None:
    reference = sequence([Box(100, 60, 40, 50)])
    beside = Linked([[Face(Box(125, 60, 40, 50), 0.9)]], 1)
    assert measure(reference, reference, lambda frames: beside).treated == 0


def test_any_linker_can_be_measured() -> None:
    reference, blinded = sequence(*walking(20)), sequence(*without(walking(20), 0, 5, 9, 10))

    def knows_all(frames: object) -> Linked:
        return Linked([frame.faces for frame in reference], 20)

    result = measure(reference, blinded, knows_all)
    assert (result.treated, result.flicker, result.extra_area) == (20, 0, 0)


@pytest.mark.parametrize('blinding', ['frames', 'faces', 'camera'])
def test_blinding_takes_out_the_asked_share_and_is_repeatable(blinding: str) -> None:
    reference = sequence(*[[Box(x, 60, 20, 20) for x in range(0, 300, 30)]] * 200)
    counts = [len(frame.faces) for frame in blind(reference, blinding, 0.2, 1)]
    assert np.mean(counts) == pytest.approx(8, abs=0.7)
    assert set(counts) == {0, 10} if blinding == 'frames' else len(set(counts)) > 3
    assert counts == [len(frame.faces) for frame in blind(reference, blinding, 0.2, 1)]
    assert counts != [len(frame.faces) for frame in blind(reference, blinding, 0.2, 2)]


def test_the_command(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
                     capsys: pytest.CaptureFixture[str]) -> None:
    video = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 25, (160, 120))
    for _ in range(12):
        writer.write(messages.smooth_bgr(160, 120))
    writer.release()
    monkeypatch.setattr(tracking, 'make_detector', lambda name, path: ActingDetector(
        lambda bgr: [Face(Box(40, 30, 20, 24), 0.9)]))
    figures = tmp_path / 'figures.json'
    assert tracking.main(['--video', str(video), '--hold-frames', '0', '3', '--intervals', '2',
                          '--seeds', '2', '--json', str(figures)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + 2 + 4 * 4
    results = {(each['blinded'], each['linker']): each
               for each in json.loads(figures.read_text())['results']}
    assert results['none', 'hold 0']['treated'] == 1
    assert results['frames', 'hold 0']['missed_treated'] == 0
    assert results['frames', 'hold 3']['flicker'] < results['frames', 'hold 0']['flicker']
    assert results['none', 'hold 3, interval 2']['looks'] == 0.5


def test_a_video_that_is_none_is_refused(tmp_path: pathlib.Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    assert tracking.main(['--video', str(tmp_path / 'nothing.mp4')]) == 1
    assert 'nothing.mp4' in capsys.readouterr().err
