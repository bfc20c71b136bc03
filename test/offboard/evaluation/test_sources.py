# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pairs of sources: what fits together, and what must not be compared."""

import tarfile

import cv2
import numpy as np
import pytest

pytest.importorskip('rosbags')

from bags import write_bag  # noqa: E402
from rosbags.rosbag2 import StoragePlugin  # noqa: E402

from deid_ros.core.faces import Region  # noqa: E402
from deid_ros.offboard.evaluation.sources import SourceError, frame_pairs  # noqa: E402

SECOND = 10**9


def _image(value, width=20, height=10):
    return np.full((height, width, 3), value, np.uint8)


def _folder(path, images):
    for name, image in images.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path / name), image)
    path.mkdir(exist_ok=True)
    return path


def _video(path, values, size=(32, 16)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, size)
    for value in values:
        writer.write(_image(value, *size))
    writer.release()
    return path


def _pairs(original, anonymized, **options):
    return list(frame_pairs(original, anonymized, **options))


@pytest.mark.parametrize('packed', [False, True])
def test_images_are_matched_by_name(tmp_path, packed):
    one = _folder(tmp_path / 'one', {'ann/1.png': _image(1), 'bob/2.png': _image(2)})
    other = _folder(tmp_path / 'other', {'ann/1.bmp': _image(11), 'bob/2.png': _image(12)})
    if packed:
        with tarfile.open(tmp_path / 'other.tar', 'w') as archive:
            archive.add(other, '.')
        other = tmp_path / 'other.tar'
    pairs = _pairs(one, other)
    assert [(pair.name, pair.person) for pair in pairs] == [('ann/1.png', 'ann'),
                                                            ('bob/2.png', 'bob')]
    assert [(pair.before[0, 0, 0], pair.after[0, 0, 0]) for pair in pairs] == [(1, 11), (2, 12)]
    assert pairs[0].treated is None


def test_images_that_do_not_fit(tmp_path):
    one = _folder(tmp_path / 'one', {'1.png': _image(1), '2.png': _image(2)})
    fewer = _folder(tmp_path / 'fewer', {'1.png': _image(1)})
    with pytest.raises(SourceError, match='do not hold the same images: 2 is in one of them only'):
        _pairs(one, fewer)
    with pytest.raises(SourceError, match='2 is in one of them only'):
        _pairs(fewer, one)
    smaller = _folder(tmp_path / 'smaller', {'1.png': _image(1), '2.png': _image(2, 19)})
    with pytest.raises(SourceError, match='2.png is 20 × 10 in .*one, but 19 × 10 in .*smaller'):
        _pairs(one, smaller)
    (smaller / '2.png').write_bytes(b'not an image')
    with pytest.raises(SourceError, match='smaller: 2.png cannot be read as an image'):
        _pairs(one, smaller)


def test_empty_or_missing_sources(tmp_path):
    empty = _folder(tmp_path / 'empty', {})
    with pytest.raises(SourceError, match='hold no image'):
        _pairs(empty, empty)
    with pytest.raises(SourceError, match='there is no .*nowhere'):
        _pairs(empty, tmp_path / 'nowhere')
    text = tmp_path / 'notes.txt'
    text.write_text('no video')
    with pytest.raises(SourceError, match='notes.txt cannot be read as a video'):
        _pairs(text, text)
    with pytest.raises(SourceError, match='empty is a set of images, .*notes.txt a video'):
        _pairs(empty, text)
    with pytest.raises(SourceError, match='are for bags'):
        _pairs(empty, empty, topics=['/camera'])
    (tmp_path / 'broken.mcap').write_bytes(b'no bag')
    with pytest.raises(SourceError, match='broken.mcap cannot be read as a bag'):
        _pairs(tmp_path / 'broken.mcap', tmp_path / 'broken.mcap')


def test_videos_frame_by_frame(tmp_path):
    one = _video(tmp_path / 'one.avi', (10, 100, 200))
    other = _video(tmp_path / 'other.avi', (50, 60, 70))
    pairs = _pairs(one, other)
    assert [pair.name for pair in pairs] == ['frame 0', 'frame 1', 'frame 2']
    assert [round(pair.before.mean(), -1) for pair in pairs] == [10, 100, 200]
    shorter = _video(tmp_path / 'shorter.avi', (10, 100))
    with pytest.raises(SourceError, match='shorter.avi ends after 2 frames'):
        _pairs(one, shorter)
    with pytest.raises(SourceError, match='shorter.avi ends after 2 frames'):
        _pairs(shorter, one)
    wider = _video(tmp_path / 'wider.avi', (10, 100, 200), (48, 16))
    with pytest.raises(SourceError, match='frame 0 is 32 × 16 in .*, but 48 × 16'):
        _pairs(one, wider)


@pytest.mark.parametrize('storage', list(StoragePlugin))
def test_bags_by_topic_and_stamp(tmp_path, storage):
    stamps = [SECOND, 2 * SECOND + 5]
    original = write_bag(tmp_path / 'original', {
        '/front': [(stamp, _image(index)) for index, stamp in enumerate(stamps)],
        '/rear': [(SECOND, _image(9))]}, storage=storage)
    anonymized = write_bag(tmp_path / 'anonymized', {
        '/deid/front': [(stamp, _image(50 + index)) for index, stamp in enumerate(stamps)],
        '/rear': [(SECOND, _image(59))]}, storage=storage,
        reports={'/deid/front': {stamps[1]: [[1, 2, 3, 4]]}})
    pairs = _pairs(original, anonymized)
    assert [(pair.name, int(pair.before[0, 0, 0]), int(pair.after[0, 0, 0])) for pair in pairs
            ] == [('/front 1.000000000', 0, 50), ('/front 2.000000005', 1, 51),
                  ('/rear 1.000000000', 9, 59)]
    assert [pair.treated for pair in pairs] == [None, [Region(1, 2, 3, 4)], None]
    assert len(_pairs(original, anonymized, topics=['/rear'])) == 1


def test_bags_that_do_not_fit(tmp_path):
    def bag(name, topic, *stamps, width=20):
        return write_bag(tmp_path / name, {topic: [(stamp, _image(0, width)) for stamp in stamps]})

    original = bag('original', '/front', 1, 2, 3)
    with pytest.raises(SourceError, match='neither /deid/front nor /front, only .* /side'):
        _pairs(original, bag('other_topic', '/side', 1, 2, 3))
    with pytest.raises(SourceError, match='no image topic /top, only /front'):
        _pairs(original, original, topics=['/top'])
    fewer = bag('fewer', '/deid/front', 1, 2)
    with pytest.raises(SourceError, match='/deid/front in .*fewer has 1 messages less'):
        _pairs(original, fewer)
    gap = bag('gap', '/deid/front', 1, 3)
    with pytest.raises(SourceError, match='stamp 0.000000003, where .* has 0.000000002'):
        _pairs(original, gap)
    for lacking in (fewer, gap):
        assert len(_pairs(original, lacking, may_lack_frames=True)) == 2
    with pytest.raises(SourceError, match='stamp 0.000000004, where .* has none'):
        _pairs(original, bag('more', '/deid/front', 1, 2, 3, 4))
    with pytest.raises(SourceError, match='stamp 0.000000009, where .* has none'):
        _pairs(original, bag('strange', '/deid/front', 1, 9), may_lack_frames=True)
    with pytest.raises(SourceError, match='/front 0.000000001 is 20 × 10'):
        _pairs(original, bag('wide', '/deid/front', 1, 2, 3, width=24))
    with pytest.raises(SourceError, match='hold no image'):
        _pairs(original, bag('silent', '/deid/front'), may_lack_frames=True)


def test_an_image_that_cannot_be_opened_is_named(tmp_path):
    depth = write_bag(tmp_path / 'bag', {'/depth': [(1, _image(0))]}, encoding='32FC1')
    with pytest.raises(SourceError, match='/depth 0.000000001 in .*bag cannot be opened: .*32FC1'):
        _pairs(depth, depth)


def test_a_bag_without_images(tmp_path):
    empty = write_bag(tmp_path / 'bag', {}, reports={'/front': {1: []}})
    with pytest.raises(SourceError, match='has no image topic'):
        _pairs(empty, empty)
