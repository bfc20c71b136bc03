# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recall of detectors: matching, figures, command."""

import json
import pathlib
import tarfile

import cv2
import numpy as np
import pytest
from portraits import astronaut

from deid_ros.core.faces import Box, Face
from deid_ros.offboard.evaluation import cli, detection


def test_a_detection_finds_one_drawn_face_at_most() -> None:
    boxes = [Box(0, 0, 10, 10), Box(5, 0, 10, 10), Box(50, 50, 10, 10)]
    assert detection.match([Face(Box(2, 0, 10, 10), 0.9)], boxes) == {0}
    assert detection.match([Face(Box(2, 0, 10, 10), 0.9), Face(Box(3, 0, 10, 10), 0.8)],
                           boxes) == {0, 1}
    assert detection.match([Face(Box(90, 0, 10, 10), 0.9)], boxes) == set()
    assert detection.match([Face(Box(90, 0, 10, 10), 0.9)], []) == set()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / 'photos').mkdir()
    cv2.imwrite(str(tmp_path / 'photos' / 'a.png'), astronaut())
    (tmp_path / 'photos' / 'boxes.json').write_text(
        json.dumps({'a.png': {'faces': [{'box': [180, 65, 268, 175]}]}}))
    return tmp_path


@pytest.mark.parametrize('packed', [False, True])
def test_prints_recall_by_height(folder: pathlib.Path, capsys: pytest.CaptureFixture[str],
                                 packed: bool) -> None:
    data = folder
    if packed:
        data = folder / 'data.tar'
        with tarfile.open(data, 'w') as archive:
            archive.add(folder / 'photos', 'photos')
    arguments = ['detection', '--data', str(data), '--widths', '256', '--thresholds', '0.3']
    assert cli.main([*arguments, '--require', 'recall>=1', 'false-positives<1']) == 0
    header, _, line = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in header.split('|')][2:5] == [
        'recall, %, N = 1', 'recall 64 px up, %, N = 1', 'false positives, N = 1']
    assert line.startswith('| centerface on cpu, 256 px, from 0.3 | 100.0 (100.0–100.0) | 100.0')
    assert cli.main([*arguments, '--require', 'recall-16-32-px>=0.9']) == 3, 'no such face'


def test_recall_by_height_of_known_faces() -> None:
    faces = [(10.0, True), (20.0, True), (20.0, False), (31.9, False), (32.0, True)]
    found = detection.figures(detection.Measurement(faces, np.array([0, 3]), np.array([7.0, 9.0])))
    assert {name: figure.value for name, figure in found.items()} == pytest.approx({
        'recall': 60, 'recall 0-16 px': 100, 'recall 16-32 px': 100 / 3, 'recall 32-64 px': 100,
        'false positives': 1.5, 'time': 8})
    assert found['recall'].count == 5


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--detectors', 'yolo'], 'centerface'),
    (['--data', '/nowhere'], 'no folder or tar file /nowhere'),
])
def test_errors_say_what_is_wrong(folder: pathlib.Path, capsys: pytest.CaptureFixture[str],
                                  arguments: list[str], message: str) -> None:
    assert cli.main(['detection', '--data', str(folder), *arguments]) == 1
    output = capsys.readouterr()
    assert message in output.err
    assert not output.out


@pytest.mark.parametrize('boxes', [None, '{}'])
def test_data_without_boxes_is_an_error(tmp_path: pathlib.Path, boxes: str | None,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    if boxes is not None:
        (tmp_path / 'boxes.json').write_text(boxes)
    assert cli.main(['detection', '--data', str(tmp_path)]) == 1
    assert 'boxes.json' in capsys.readouterr().err
