# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the detectors."""

import json
import pathlib
import tarfile

import cv2
import pytest
from portraits import astronaut

from deid_ros.core.faces import Box, Face
from deid_ros.offboard.benchmarks import detectors


def test_a_detection_finds_one_drawn_face_at_most() -> None:
    boxes = [Box(0, 0, 10, 10), Box(5, 0, 10, 10), Box(50, 50, 10, 10)]
    assert detectors.match([Face(Box(2, 0, 10, 10), 0.9)], boxes) == {0}
    assert detectors.match([Face(Box(2, 0, 10, 10), 0.9), Face(Box(3, 0, 10, 10), 0.8)],
                           boxes) == {0, 1}
    assert detectors.match([Face(Box(90, 0, 10, 10), 0.9)], boxes) == set()
    assert detectors.match([Face(Box(90, 0, 10, 10), 0.9)], []) == set()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / 'photos').mkdir()
    cv2.imwrite(str(tmp_path / 'photos' / 'a.png'), astronaut())
    (tmp_path / 'photos' / 'boxes.json').write_text(
        json.dumps({'a.png': {'faces': [{'box': [180, 65, 268, 175]}]}}))
    return tmp_path


@pytest.mark.parametrize('packed', [False, True])
def test_prints_a_table(folder: pathlib.Path, capsys: pytest.CaptureFixture[str],
                        packed: bool) -> None:
    data = folder
    if packed:
        data = folder / 'data.tar'
        with tarfile.open(data, 'w') as archive:
            archive.add(folder / 'photos', 'photos')
    assert detectors.main(['--data', str(data), '--widths', '256', '--thresholds', '0.3']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('1 photos, 1 faces')
    cells = [cell.strip() for cell in lines[-1].split('|')]
    assert cells[1:-2] == ['centerface', 'cpu', '256', '0.3', '1.00', '–', '–', '–', '1.00', '0.00']


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--detectors', 'yolo'], 'centerface'),
    (['--data', '/nowhere'], 'no folder or tar file /nowhere'),
])
def test_errors_say_what_is_wrong(folder: pathlib.Path, capsys: pytest.CaptureFixture[str],
                                  arguments: list[str], message: str) -> None:
    assert detectors.main(['--data', str(folder), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_data_without_boxes_is_an_error(tmp_path: pathlib.Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    assert detectors.main(['--data', str(tmp_path)]) == 1
    assert 'boxes.json' in capsys.readouterr().err
