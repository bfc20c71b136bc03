# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`--verify`: who is recognizable is treated again, and told of if that does not help."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import ActingAnonymizer, FakeDetector
from portraits import astronaut
from recordings import START, Entry, Maker, write_rosbag2
from rosbags.highlevel import AnyReader

from deid_ros.core.compositing import Patch
from deid_ros.core.detection.dlib_hog import DlibHog
from deid_ros.core.faces import Face
from deid_ros.offboard.common.recognition import SAME_PERSON, FaceRecognizer
from deid_ros.offboard.recordings.cli import main

pytest.importorskip('dlib')
TOPIC = '/camera/image_raw'
VERIFY = ('--jobs', '1', '--verify', '-p', 'detector.type:=dlib_hog', '-p', 'deid.method:=blur')


@pytest.fixture
def portrait() -> np.ndarray:
    return np.ascontiguousarray(astronaut()[:300, 80:380])


@pytest.fixture
def bag(portrait: np.ndarray, tmp_path: Path) -> Path:
    maker = Maker()
    return write_rosbag2(tmp_path / 'bag', [
        Entry(TOPIC, 'sensor_msgs/msg/Image', START, maker.image(START, portrait))])


def hardly(bgr: np.ndarray, faces: Sequence[Face], patches: list[Patch]) -> list[Patch]:
    """Treat faces so weakly that everybody still is recognized."""
    return [patch._replace(pixels=bgr[patch.region.slices] | 1) for patch in patches]


def to_and_fro(bgr: np.ndarray, faces: Sequence[Face], patches: list[Patch]) -> list[Patch]:
    """Treat faces so that a second time undoes the first."""
    return [patch._replace(pixels=bgr[patch.region.slices] ^ 1) for patch in patches]


def verify(bag: Path, out: Path) -> tuple[int, dict, np.ndarray]:
    """Return the exit code, what the report says of the topic, and the picture."""
    code = main([str(bag), str(out), *VERIFY, '-p', 'detector.width:=640'])
    with AnyReader([out]) as reader:
        (connection, _, data), = reader.messages()
        message = reader.deserialize(data, connection.msgtype)
        picture = message.data.reshape(message.height, message.width, 3)  # type: ignore
    report = json.loads((out / 'deid_report.json').read_text())
    return code, report['anonymized'][TOPIC], picture


def distance(portrait: np.ndarray, picture: np.ndarray) -> float:
    box = DlibHog().detect(portrait)[0].box
    crop = np.s_[int(box.y):int(box.y + box.height), int(box.x):int(box.x + box.width)]
    return FaceRecognizer().distance(portrait[crop], picture[crop])


def test_who_is_not_recognizable_is_left_as_treated(bag: Path, portrait: np.ndarray,
                                                    tmp_path: Path) -> None:
    code, topic, picture = verify(bag, tmp_path / 'out')
    assert code == 0
    assert (topic['compared'], topic['treated_again'], topic['recognizable']) == (1, 0, 0)
    assert topic['closest'] == pytest.approx(distance(portrait, picture), abs=0.02)
    assert topic['closest'] > SAME_PERSON


def test_who_is_recognizable_is_treated_again(
        bag: Path, portrait: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deid_ros.core import deidentification
    make = deidentification.make_anonymizer
    methods = iter([ActingAnonymizer(hardly), make('blur')])
    monkeypatch.setattr('deid_ros.core.parameters.make_anonymizer',
                        lambda *arguments: next(methods))
    code, topic, picture = verify(bag, tmp_path / 'out')
    assert code == 0
    assert (topic['treated_again'], topic['recognizable']) == (1, 0)
    assert topic['methods'] == {'blur': 1}
    assert distance(portrait, picture) > SAME_PERSON


def test_who_stays_recognizable_is_an_exit_code(
        bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr('deid_ros.core.parameters.make_anonymizer',
                        lambda *arguments: ActingAnonymizer(hardly))
    monkeypatch.setattr('deid_ros.offboard.recordings.run.verification.make_anonymizer',
                        lambda *arguments: ActingAnonymizer(hardly))
    code, topic, _ = verify(bag, tmp_path / 'out')
    assert code == 3
    assert topic['recognizable'] == 1
    assert '1 still recognizable' in capsys.readouterr().out


def test_a_treatment_that_brings_the_original_back_withholds_the_frame(
        bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('deid_ros.core.parameters.make_anonymizer',
                        lambda *arguments: ActingAnonymizer(to_and_fro))
    main([str(bag), str(tmp_path / 'out'), *VERIFY])
    report = json.loads((tmp_path / 'out' / 'deid_report.json').read_text())
    assert report['anonymized'][TOPIC]['withheld'] == 1
    with AnyReader([tmp_path / 'out']) as reader:
        assert list(reader.messages()) == []


def test_a_frame_that_cannot_be_verified_is_masked_where_that_is_wanted(
        bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('deid_ros.core.parameters.make_anonymizer',
                        lambda *arguments: ActingAnonymizer(to_and_fro))
    main([str(bag), str(tmp_path / 'out'), *VERIFY, '-p', 'on_failure:=mask_frame'])
    report = json.loads((tmp_path / 'out' / 'deid_report.json').read_text())
    assert report['anonymized'][TOPIC]['masked'] == 1
    with AnyReader([tmp_path / 'out']) as reader:
        (connection, _, data), = reader.messages()
        assert not reader.deserialize(data, connection.msgtype).data.any()  # type: ignore


def test_a_face_that_is_found_only_afterwards_is_treated(
        bag: Path, portrait: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class SecondLook(FakeDetector):
        name = 'dlib_hog'

        def detect(self, bgr: np.ndarray, threshold: float | None = None) -> list[Face]:
            found, self.faces = self.faces, DlibHog().detect(portrait)
            return found

    monkeypatch.setattr('deid_ros.core.parameters.make_detector',
                        lambda names, model_path: SecondLook())
    code, topic, picture = verify(bag, tmp_path / 'out')
    assert code == 0
    assert topic['missed'] == topic['faces'] == 1
    assert distance(portrait, picture) > SAME_PERSON
