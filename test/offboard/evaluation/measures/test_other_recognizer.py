# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Another recognizer: how it is shown faces, and what is made of what it says."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

pytest.importorskip('sklearn')

from deid_ros.core.errors import ConfigurationError  # noqa: E402
from deid_ros.offboard.common.datasets import Faces  # noqa: E402
from deid_ros.offboard.evaluation.measures import suite  # noqa: E402
from deid_ros.offboard.evaluation.measures.catalogue import MEASURES  # noqa: E402
from deid_ros.offboard.evaluation.measures.other_recognizer import (  # noqa: E402
    OtherRecognizer,
    figures_by_other_recognizer,
)

# Eyes level, 0.4 of the side apart; outer and inner corners, as FaceRecognizer gives them.
_LANDMARKS = np.array([[0.78, 0.35], [0.62, 0.35], [0.22, 0.35], [0.38, 0.35], [0.5, 0.62]])


def _network(path, shape, outputs=('N', 'D'), kind=TensorProto.FLOAT):
    """Write a network that describes faces by their pixels, as it gets them."""
    graph = helper.make_graph(
        [helper.make_node('Flatten', ['faces'], ['described'])], 'pixels',
        [helper.make_tensor_value_info('faces', kind, shape)],
        [helper.make_tensor_value_info('described', kind, outputs)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def _face_with_eyes():
    face = np.full((64, 64, 3), (40, 60, 80), np.uint8)
    for x in (0.3, 0.7):
        face[20:25, int(64 * x) - 2:int(64 * x) + 3] = (0, 100, 250)
    return face


@pytest.mark.parametrize('planes', [True, False])
def test_faces_are_aligned_as_most_networks_know_them(tmp_path, planes):
    shape = [('N',), 3, 112, 112] if planes else [('N',), 112, 112, 3]
    path = _network(tmp_path / 'r.onnx', ['N', *shape[1:]])
    described = OtherRecognizer(path, '0..255').describe(_face_with_eyes()[None], _LANDMARKS[None])
    assert np.linalg.norm(described) == pytest.approx(1, abs=1e-4)
    seen = described.reshape(shape[1:])
    red, green, blue = seen if planes else seen.transpose(2, 0, 1)
    assert red[0, 0] > green[0, 0] > blue[0, 0] > 0
    # Both eyes at their places, and skin between them.
    for x in (38.3, 73.5):
        assert red[51, int(x)] > 2 * green[51, int(x)]
        assert blue[51, int(x)] == pytest.approx(0, abs=1e-3)
    assert red[51, 56] < 1.5 * green[51, 56]


@pytest.mark.parametrize(('values', 'least', 'most'), [
    ('-1..1', -1, 1), ('0..1', 0, 1), ('0..255', 0, 255)])
def test_pixels_come_in_the_range_asked_for(tmp_path, values, least, most):
    recognizer = OtherRecognizer(_network(tmp_path / 'r.onnx', ['N', 3, 8, 8]), values)
    dark, light = (recognizer._aligned(np.full((64, 64), value, np.uint8), _LANDMARKS)
                   for value in (0, 255))
    assert dark == pytest.approx(np.full((8, 8, 3), least))
    assert light == pytest.approx(np.full((8, 8, 3), most))


def test_a_file_for_one_face_takes_many(tmp_path):
    faces = np.random.default_rng(0).integers(0, 256, (5, 64, 64), np.uint8)
    landmarks = np.repeat(_LANDMARKS[None], 5, axis=0)
    single = OtherRecognizer(_network(tmp_path / 'one.onnx', [1, 3, 16, 16]))
    many = OtherRecognizer(_network(tmp_path / 'many.onnx', ['N', 3, 16, 16]))
    assert single.describe(faces, landmarks).shape == (5, 3 * 16 * 16)
    assert single.describe(faces, landmarks) == pytest.approx(many.describe(faces, landmarks))


@pytest.mark.parametrize(('shape', 'outputs', 'kind', 'said'), [
    (['N', 3, 112, 96], ('N', 'D'), TensorProto.FLOAT, r'takes faces .*112, 96.*it has to take'),
    (['N', 1, 112, 112], ('N', 'D'), TensorProto.FLOAT, 'it has to take'),
    (['N', 3, 'H', 'W'], ('N', 'D'), TensorProto.FLOAT, 'it has to take'),
    (['N', 4096], ('N', 'D'), TensorProto.FLOAT, 'it has to take'),
    (['N', 3, 64, 64], ('N', 'D'), TensorProto.DOUBLE, 'it has to take'),
    (['N', 3, 64, 64], ('D',), TensorProto.FLOAT, r'gives .* has to be \(N, D\)')])
def test_another_kind_of_network_is_refused(tmp_path, shape, outputs, kind, said):
    if len(outputs) == 1:
        graph = helper.make_graph(
            [helper.make_node('ReduceMean', ['faces'], ['d'], axes=[1, 2, 3], keepdims=0)], 'mean',
            [helper.make_tensor_value_info('faces', kind, shape)],
            [helper.make_tensor_value_info('d', kind, ['N'])])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
        model.ir_version = 8
        onnx.save(model, tmp_path / 'r.onnx')
    else:
        _network(tmp_path / 'r.onnx', shape, outputs, kind)
    with pytest.raises(ConfigurationError, match=said):
        OtherRecognizer(tmp_path / 'r.onnx')


def test_what_is_no_network_is_refused(tmp_path):
    (tmp_path / 'r.onnx').write_bytes(b'no')
    for name in ('r.onnx', 'missing.onnx'):
        with pytest.raises(ConfigurationError, match=f'--recognizer .*{name} cannot be opened'):
            OtherRecognizer(tmp_path / name)


def _people(random, count):
    """Return descriptors of three images each of so many people, and their names."""
    people = random.normal(size=(count, 1, 64))
    described = (people + 0.3 * random.normal(size=(count, 3, 64))).reshape(-1, 64)
    return (described / np.linalg.norm(described, axis=1, keepdims=True),
            np.repeat([f'{index}' for index in range(count)], 3))


def test_who_keeps_the_face_is_recognized():
    random = np.random.default_rng(0)
    originals, people = _people(random, 30)
    figures = figures_by_other_recognizer(originals, [originals], people)
    assert set(figures) <= set(MEASURES)
    assert figures['other matched'].value == figures['other re-id rank-1'].value == 100
    assert figures['other DEID'].value == 0
    # One pair in a hundred of different people passes, and all of one person do.
    assert figures['other DIV'].value == pytest.approx(100 - 100 * 2 / 89 - 1, abs=0.5)


def test_who_gets_the_same_other_face_is_not():
    random = np.random.default_rng(0)
    originals, people = _people(random, 30)
    new = np.repeat(_people(random, 1)[0][:1], 90, axis=0)
    figures = figures_by_other_recognizer(originals, [new], people)
    assert figures['other DEID'].value > 90
    assert figures['other DIV'].value == 0
    assert figures['other re-id rank-1'].value < 20


def test_too_few_people_tell_nothing():
    originals, people = _people(np.random.default_rng(0), 5)
    with pytest.raises(ValueError, match='100 pairs of different people or more, not 90'):
        figures_by_other_recognizer(originals, [originals], people)


def test_the_suite_asks_it(portrait_crops, tmp_path):
    random = np.random.default_rng(0)
    pixels = np.stack([np.clip(face.astype(int) + random.integers(-40, 40, face.shape), 0, 255)
                       for face in portrait_crops for _ in range(11)]).astype(np.uint8)
    people = np.repeat(['a', 'b'], 11)
    names = np.array([f'{index}' for index in range(22)])
    recognizer = OtherRecognizer(_network(tmp_path / 'r.onnx', ['N', 3, 32, 32]))
    figures = suite.measure(suite.Originals(Faces(pixels, names, people),
                                                recognizer=recognizer), pixels)
    assert figures['other DEID'].value == 0
    assert figures['other re-id rank-1'].value == 100
    nobody = Faces(pixels, names, np.array(['all'] * 22))
    with pytest.raises(ConfigurationError, match='--recognizer needs to know whose face'):
        suite.measure(suite.Originals(nobody, recognizer=recognizer), pixels)
