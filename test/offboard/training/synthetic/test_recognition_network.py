# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""dlib's recognition network in torch says what dlib's own says."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('dlib')

from deid_ros.core.deidentification.calibration_faces import calibration_faces  # noqa: E402
from deid_ros.core.recognition import FaceRecognizer, model_file  # noqa: E402
from deid_ros.offboard.training.synthetic.recognition_network import (  # noqa: E402
    RecognitionNetwork,
    alignments_of,
)


@pytest.fixture(scope='module')
def network():
    return RecognitionNetwork(Path(model_file(FaceRecognizer.NETWORK)))


@pytest.fixture(scope='module')
def faces():
    """Return (12, 64, 64) uint8 synthetic faces."""
    return calibration_faces(color=False)[:12]


def _inputs(faces):
    recognizer = FaceRecognizer()
    landmarks = np.stack([recognizer.landmarks(face) for face in faces])
    return torch.from_numpy(faces[:, None].astype(np.float32) / 127.5 - 1), alignments_of(landmarks)


def test_descriptors_are_dlibs(network, faces):
    recognizer = FaceRecognizer()
    expected = np.stack([recognizer.describe(face) for face in faces])
    described = network(*_inputs(faces)).numpy()
    # It interpolates once, dlib twice.
    own = np.linalg.norm(described - expected, axis=1)
    others = np.linalg.norm(described - np.roll(expected, 1, axis=0), axis=1)
    assert own.max() < 0.12
    assert others.min() > 2 * own.max()


def test_faces_can_learn_from_it(network, faces):
    inputs, alignments = _inputs(faces[:2])
    inputs.requires_grad_()
    distance = (network(inputs, alignments)[0] - network(inputs, alignments)[1]).norm()
    distance.backward()
    moved = inputs.detach() + 0.5 * inputs.grad / inputs.grad.abs().max()
    described = network(moved, alignments)
    assert (described[0] - described[1]).norm() > distance
    assert not any(each.requires_grad for each in network.parameters())


def test_an_aligned_face_stays_as_it_is():
    # Corners of the eyes and base of the nose where dlib's aligned faces have them.
    aligned = np.array([[0.7397, 0.3090], [0.5974, 0.3193], [0.2470, 0.3091], [0.3894, 0.3194],
                        [0.4934, 0.5852]])
    turned = 0.5 + 0.5 * (aligned - 0.5)[:, ::-1] * [-1, 1]  # a quarter turn, half as large
    same, other = alignments_of(np.stack([aligned, turned])).numpy()
    assert same == pytest.approx(np.array([[1, 0, 0], [0, 1, 0]]), abs=1e-3)
    assert other == pytest.approx(np.array([[0, -0.5, 0], [0.5, 0, 0]]), abs=1e-3)


def test_another_file_is_refused(tmp_path, network):
    whole = Path(model_file(FaceRecognizer.NETWORK)).read_bytes()
    for content in (b'', b'something else', whole[:2_000_000], whole[:whole.index(b'con_4') + 5],
                    Path(model_file(FaceRecognizer.LANDMARKS)).read_bytes()[:100_000]):
        path = tmp_path / 'network.dat'
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r'network\.dat does not hold the network'):
            RecognitionNetwork(path)
