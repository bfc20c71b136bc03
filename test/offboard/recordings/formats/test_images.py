# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Folders of images and videos come out as the same kind."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from recordings import FACE, picture

from deid_ros.core.faces import region_of

Anonymize = Callable[..., int]

REGION = region_of(FACE.grown(0.25), 96, 64)


def changed(before: np.ndarray, after: np.ndarray) -> tuple[bool, bool]:
    """Whether pixels inside and outside of the face's region differ more than by compression."""
    differs = np.abs(before.astype(int) - after).max(2) > 60
    inside = bool(differs[REGION.slices].any())
    differs[REGION.slices] = False
    return inside, bool(differs.any())


def test_a_folder_of_images(tmp_path: Path, anonymize: Anonymize) -> None:
    folder = tmp_path / 'in'
    (folder / 'below').mkdir(parents=True)
    names = ['a.png', 'b.jpg', 'c.bmp', 'd.webp', 'below/e.JPEG']
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), picture(number))
    (folder / 'notes.txt').write_text('who is who')
    (folder / 'broken.png').write_bytes(b'no image')
    (folder / 'empty.bmp').write_bytes(b'')
    assert anonymize(folder, tmp_path / 'out') == 0
    for name in names:
        before, after = cv2.imread(str(folder / name)), cv2.imread(str(tmp_path / 'out' / name))
        assert changed(before, after) == (True, False), name
    written = {path.relative_to(tmp_path / 'out').as_posix()
               for path in (tmp_path / 'out').rglob('*') if path.is_file()}
    assert written == {*names, 'deid_report.json', 'deid_report.html'}
    report = json.loads((tmp_path / 'out/deid_report.json').read_text())
    assert [entry['name'] for entry in report['left_out']] == ['file notes.txt']
    assert report['anonymized']['*.png']['withheld'] == 1
    assert report['anonymized']['*.bmp']['withheld'] == 1


@pytest.mark.parametrize('options', [[], ['--bridge-gaps']])
def test_a_video(options: list[str], tmp_path: Path, anonymize: Anonymize) -> None:
    frames = [picture(number) for number in range(12)]
    codec = cv2.VideoWriter.fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(tmp_path / 'in.avi'), codec, 20, (96, 64))
    for frame in frames:
        writer.write(frame)
    writer.release()
    assert anonymize(tmp_path / 'in.avi', tmp_path / 'out.avi', *options) == 0
    before, after = (cv2.VideoCapture(str(tmp_path / name)) for name in ('in.avi', 'out.avi'))
    assert after.get(cv2.CAP_PROP_FPS) == 20
    for _ in frames:
        assert changed(before.read()[1], after.read()[1]) == (True, False)
    assert not after.read()[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'in.avi', 'out.avi', 'out.deid_report.html', 'out.deid_report.json']


def test_what_does_not_fit_is_told(tmp_path: Path, anonymize: Anonymize,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / 'in'
    folder.mkdir()
    cv2.imwrite(str(folder / 'a.png'), picture(0))
    for options in (['--storage', 'mcap'], ['--bridge-gaps'], ['--keep', '/a']):
        assert anonymize(folder, tmp_path / 'out', *options) == 1
        assert options[0] in capsys.readouterr().err
    (tmp_path / 'in.mp4').write_bytes(b'no video')
    assert anonymize(tmp_path / 'in.mp4', tmp_path / 'out.mp4') == 1
    assert 'cannot be read as a video' in capsys.readouterr().err
