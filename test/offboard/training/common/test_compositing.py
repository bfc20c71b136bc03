# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Faces are composited in training as in the node."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from deid_ros.core.compositing import composite  # noqa: E402
from deid_ros.core.deidentification.autoencoder import AutoencoderAnonymizer  # noqa: E402
from deid_ros.core.faces import Box, Face  # noqa: E402
from deid_ros.offboard.training.common import compositing  # noqa: E402
from deid_ros.offboard.training.synthetic.recognition_network import aligned  # noqa: E402


def _tensor(faces: np.ndarray) -> 'torch.Tensor':
    return torch.from_numpy(faces[:, None]).float() / 127.5 - 1


def _smooth(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    noise = cv2.GaussianBlur(random.normal(size=shape), (0, 0), 4)
    return np.clip(128 + 250 * noise / np.abs(noise).max(), 0, 255).astype(np.uint8)


def test_a_face_is_composited_into_a_frame_as_in_the_node():
    frame = np.repeat(_smooth(np.random.default_rng(2), (160, 160))[:, :, None], 3, axis=2)
    face = Face(Box(48, 48, 64, 64), 1.0)
    anonymizer = AutoencoderAnonymizer('cluster')
    made = []
    run = anonymizer._backend.run
    anonymizer._backend.run = lambda *inputs: made.append(run(*inputs)) or made[-1]
    result = composite(frame, anonymizer.anonymize(frame, [face], 0.15))[48:112, 48:112, 0]

    original = frame[None, 48:112, 48:112, 0]
    expected = compositing.in_frame(_tensor(made[0]), _tensor(original),
                                _tensor(compositing.backgrounds(original)))
    difference = np.abs((expected[0, 0].numpy() + 1) * 127.5 - result)
    weight = compositing.face_weight()
    assert difference[weight > 0.95].mean() < 2
    # The blur of the node begins in the face's box, this one around it.
    assert difference.mean() < 6


def test_faces_have_gradients_in_frames():
    random = np.random.default_rng(0)
    photos = np.stack([_smooth(random, (64, 64)) for _ in range(3)])
    faces = torch.rand(3, 1, 64, 64, requires_grad=True)
    framed = compositing.in_frame(faces, _tensor(photos), _tensor(compositing.backgrounds(photos)))
    compositing.at_size(framed, 24).square().sum().backward()
    assert faces.grad is not None
    assert torch.isfinite(faces.grad).all()
    assert faces.grad[:, :, 32, 32].abs().min() > 0
    assert faces.grad[:, :, 0, 0].abs().max() < 0.05 * faces.grad.abs().max()


def test_a_face_without_contrast_stays_finite():
    flat = torch.full((1, 1, 64, 64), 0.3, requires_grad=True)
    photo = _tensor(_smooth(np.random.default_rng(1), (64, 64))[None])
    framed = compositing.in_frame(flat, photo, photo)
    framed.sum().backward()
    assert torch.isfinite(framed).all()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_small_faces_have_no_detail():
    checked = (torch.arange(64)[:, None] + torch.arange(64)) % 2 * 2.0 - 1
    small = compositing.at_size(checked[None, None], 24)
    assert small.shape == (1, 1, 64, 64)
    assert small.std() < 0.2 * checked.std()


def test_faces_with_box_jitter_are_aligned_as_before():
    random = np.random.default_rng(4)
    photos = _tensor(np.stack([_smooth(random, (64, 64)) for _ in range(8)]))
    alignments = torch.tensor([[0.7, 0.1, 0.05], [-0.1, 0.7, -0.02]]).expand(8, -1, -1)
    again, moved = compositing.with_box_jitter(photos, alignments, 64, random)
    assert not torch.allclose(again, photos, atol=0.1)
    assert not torch.allclose(moved, alignments, atol=0.02)
    before, after = (aligned(*each, 48) for each in ((photos, alignments), (again, moved)))
    inside = np.s_[:, :, 8:-8, 8:-8]
    assert (before[inside] - after[inside]).abs().mean() < 1
    assert before[inside].std() > 10


def test_faces_with_box_jitter_lose_detail():
    noise = torch.rand(4, 1, 64, 64) * 2 - 1
    again, _ = compositing.with_box_jitter(noise, torch.eye(2, 3).expand(4, -1, -1), 16,
                                  np.random.default_rng(1))
    assert again.std() < 0.7 * noise.std()
