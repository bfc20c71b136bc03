# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The command `evaluate`: real faces through it, gates, and what it refuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('sklearn')
pytest.importorskip('skimage')
pytest.importorskip('rosbags')

from bags import write_bag  # noqa: E402
from messages import header  # noqa: E402
from portraits import admiral, astronaut  # noqa: E402

from deid_ros.core.deidentification import make_anonymizer  # noqa: E402
from deid_ros.core.deidentification.alignment import BOX_MAPPINGS, tight_box  # noqa: E402
from deid_ros.core.detection import make_detector  # noqa: E402
from deid_ros.core.pipeline import FramePipeline, PipelineSettings  # noqa: E402
from deid_ros.offboard.evaluation import cli  # noqa: E402


class _Message:
    """A `sensor_msgs/Image` of a picture."""

    encoding, is_bigendian = 'bgr8', 0

    def __init__(self, bgr: np.ndarray) -> None:
        self.height, self.width = bgr.shape[:2]
        self.step, self.data = 3 * self.width, bgr.tobytes()
        self.header = header()


def _masked(bgr: np.ndarray) -> np.ndarray:
    mask = make_anonymizer('mask')
    pipeline = FramePipeline(make_detector('centerface'), mask, mask)
    return pipeline.process(_Message(bgr), PipelineSettings(detection_width=0)).bgr


@pytest.fixture(scope='module')
def frames(dlib_networks: None) -> list[np.ndarray]:
    return [astronaut(), admiral()]


@pytest.fixture(scope='module')
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces of these tests are measured once."""
    return tmp_path_factory.mktemp('cache')


@pytest.fixture
def evaluate(cache: Path) -> Callable[..., int]:
    return lambda *arguments: cli.main([*map(str, arguments), '--cache', str(cache)])


def _folder(path: Path, images: list[np.ndarray]) -> Path:
    path.mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(path / f'{number}.png'), image)
    return path


@pytest.fixture
def original(frames: list[np.ndarray], tmp_path: Path) -> Path:
    return _folder(tmp_path / 'original', frames)


def test_masked_frames_hold_the_gates(evaluate: Callable[..., int], frames: list[np.ndarray],
                                      original: Path, tmp_path: Path,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    masked = _folder(tmp_path / 'masked', [_masked(frame) for frame in frames])
    gates = ('deid>=0.95', 'outside-exact>=1', 'unchanged<=0', 'outside-ssim>=0.999', 'fcns<0.1')
    assert evaluate('pair', original, masked, '--require', *gates, '--json',
                    tmp_path / 'figures.json', '--csv', tmp_path / 'figures.csv') == 0
    table = capsys.readouterr().out
    assert '| DEID (%) ↑ | 100.0 (100.0–100.0) | 2 |' in table
    assert '| outside PSNR (dB) ↑ | inf' in table
    figures = json.loads((tmp_path / 'figures.json').read_text())['masked']
    assert figures['DEID']['value'] == 100
    assert (tmp_path / 'figures.csv').read_text().startswith('subject,measure,value')

    assert evaluate('pair', original, masked, '--require', 'fcns>=0.98', 'attr>=0.5') == 3
    errors = capsys.readouterr().err
    assert 'masked: FCNS >= 98 % is required, but FCNS is 0' in errors
    assert 'ATTR was not measured' in errors


def test_identity_is_flagged_unasked(evaluate: Callable[..., int], original: Path,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate('pair', original, original) == 3
    output = capsys.readouterr()
    assert '| DEID (%) ↑ | 0.0 (0.0–0.0) | 2 |' in output.out
    assert 'unchanged <= 0 % is required, but unchanged is 100' in output.err
    assert re.search(r'unchanged: 0.png at \(\d+, \d+\), \d+ px', output.err)
    assert evaluate('pair', original, original, '--require', 'deid>=0.95') == 3
    assert 'DEID >= 95 % is required, but DEID is 0' in capsys.readouterr().err


def test_identity_behind_a_lossy_copy_fails_the_gate(
        evaluate: Callable[..., int], frames: list[np.ndarray], original: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    copies = _folder(tmp_path / 'copies', [cv2.GaussianBlur(frame, (0, 0), 0.6)
                                           for frame in frames])
    assert evaluate('pair', original, copies, '--require', 'deid>=0.95') == 3
    output = capsys.readouterr()
    assert 'DEID is 0' in output.err
    assert '| outside exact (%) ↑ | 0.0' in output.out


def test_a_pair_of_bags(evaluate: Callable[..., int], frames: list[np.ndarray], tmp_path: Path,
                        capsys: pytest.CaptureFixture[str]) -> None:
    original = write_bag(tmp_path / 'original', {'/camera': list(enumerate(frames, 1))})
    masked = write_bag(tmp_path / 'masked', {
        '/deid/camera': [(stamp, _masked(frame)) for stamp, frame in enumerate(frames, 1)]})
    assert evaluate('pair', original, masked, '--require', 'deid>=0.95', 'outside-exact>=1') == 0
    capsys.readouterr()
    assert evaluate('pair', original, masked, '--topics', '/other') == 1
    output = capsys.readouterr()
    assert 'no image topic /other, only /camera' in output.err
    assert not output.out


def test_crops_of_known_people(evaluate: Callable[..., int], portrait_crops: np.ndarray,
                               tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, change in (('faces', 0), ('darker', 40)):
        for person, face in zip('ab', portrait_crops, strict=True):
            folder = tmp_path / name / person
            folder.mkdir(parents=True)
            for number in range(2):
                image = cv2.subtract(face, np.full_like(face, change + 5 * number))
                cv2.imwrite(str(folder / f'{number}.png'), image)
    assert evaluate('pair', tmp_path / 'faces', tmp_path / 'darker', '--crops') == 0
    table = capsys.readouterr().out
    assert '| re-id rank-1 (%) ↓ | 100.0 (100.0–100.0) | 2 |' in table
    assert '| re-id rank-1 by chance (%) | 50.0' in table
    assert '| DEID (%) ↑ | 0.0' in table
    assert '| ANON (faces) ↑ | 1 (1–1) | 2 |' in table


def test_no_face_is_no_figure(evaluate: Callable[..., int], tmp_path: Path,
                              capsys: pytest.CaptureFixture[str]) -> None:
    gray = _folder(tmp_path / 'gray', [np.full((90, 90, 3), 90, np.uint8)])
    assert evaluate('pair', gray, gray) == 1
    output = capsys.readouterr()
    assert 'no face of 32 px or more in' in output.err
    assert not output.out


@pytest.mark.parametrize(('arguments', 'message'), [
    (['modes', '--data', 'nowhere'], 'nowhere'),
    (['modes', '--data', 'notes.txt'], 'notes.txt is neither a folder nor a tar'),
    (['modes', '--data', 'empty'], 'no face found'),
    (['modes', '--data', 'empty', '--modes', 'sideways'], "'sideways' is none of .*cluster"),
    (['modes', '--data', 'empty', '--modes', 'attribute', '--apply', 'runtime'], 'only as'),
    (['modes', '--data', 'empty', '--modes', 'attribute', '--alpha', '0.5'], '--apply runtime'),
    (['modes', '--data', 'empty', '--record', '--key', 'mine'], '--key evaluate, not mine'),
    (['sanity', '--data', 'empty', '--pairs', 'empty'], 'no face found'),
    (['pair', 'empty', 'empty'], 'hold no image'),
    (['pair', 'empty', 'empty', '--downstream', 'centerface'], 'name another one'),
    (['detection', '--data', 'empty'], 'boxes.json'),
])
def test_wrong_input_is_an_error_and_no_figure(
        evaluate: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    models = Path('models').resolve()
    monkeypatch.chdir(tmp_path)
    Path('models').symlink_to(models)
    Path('empty').mkdir()
    Path('notes.txt').write_text('no tar')
    assert evaluate(*arguments) == 1
    output = capsys.readouterr()
    assert output.err.splitlines()[-1].startswith('evaluate: ')
    assert not output.out
    assert re.search(message, output.err)


@pytest.mark.parametrize('arguments', [
    [], ['somewhat'], ['pair', 'one'], ['pair', 'a', 'b', '--require', 'dead>=1'],
    ['pair', 'a', 'b', '--require', 'deid>=95'],
])
def test_wrong_usage(evaluate: Callable[..., int], arguments: list[str],
                     capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        evaluate(*arguments)
    assert error.value.code == 2
    assert 'usage: evaluate' in capsys.readouterr().err


def test_unknown_measure_lists_the_known(evaluate: Callable[..., int],
                                         capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate('pair', 'a', 'b', '--require', 'dead>=1')
    error = capsys.readouterr().err
    assert ("there is no measure 'dead'; known are anon, another-in-another-run, attr, "
            'beyond-heads, deid') in error


@pytest.mark.parametrize('command', ['modes', 'pair', 'detection', 'sanity'])
def test_help_names_gates_and_cache(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        cli.main([command, '--help'])
    assert error.value.code == 0
    text = capsys.readouterr().out
    assert '--require' in text
    assert '--cache' in text


def test_boxes_are_those_that_the_recognizer_knows(frames: list[np.ndarray]) -> None:
    by_dlib = max(make_detector('dlib_hog').detect(frames[0]), key=lambda face: face.score).box
    by_network = max(make_detector('centerface').detect(frames[0]), key=lambda face: face.score)
    assert tight_box(by_network, BOX_MAPPINGS['centerface']).iou(by_dlib) > 0.75
