# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The simulated camera and its scene."""

import cv2
import numpy as np
import pytest

from deid_ros.core.detection.dlib_hog import DlibHog
from deid_ros.core.faces import Box
from deid_ros.offboard.demo.errors import DemoError
from deid_ros.offboard.demo.scene import load_portraits, make_scene, packaged_portraits, pictures_in
from deid_ros.offboard.demo.simulated_camera import SimulatedCamera
from deid_ros.offboard.demo.video import VideoFile


@pytest.fixture(scope='module')
def scene():
    return make_scene(packaged_portraits())


@pytest.fixture(scope='module')
def camera(scene):
    return SimulatedCamera(scene, rate=15.0, seconds=10.0)


def test_frames_are_720p_bgr(camera):
    assert camera.frame_count == 150
    for index in (0, 149):
        frame = camera.frame(index)
        assert frame.shape == (720, 1280, 3)
        assert frame.dtype == np.uint8


def test_a_frame_can_be_asked_for_again(camera):
    first = camera.frame(40)
    camera.frame(80)
    other = SimulatedCamera(make_scene(packaged_portraits()), rate=15.0, seconds=10.0)
    np.testing.assert_array_equal(other.frame(40), first)


def test_the_camera_moves_smoothly(camera):
    views = np.stack([camera.view(index / camera.rate) for index in range(camera.frame_count)])
    centres = np.abs(np.diff(views @ (1354.0, 650.0, 1.0), axis=0))
    assert np.median(centres) > 0.5
    assert centres.max() < 60


def test_every_frame_shows_a_face_and_some_show_all(camera):
    counts = [len(camera.faces(index)) for index in range(camera.frame_count)]
    assert min(counts) >= 1
    assert sum(count == 2 for count in counts) > 50


@pytest.mark.parametrize('index', [0, 25, 55, 95])
def test_faces_are_where_the_camera_says(camera, index):
    found = [face.box for face in DlibHog().detect(camera.frame(index))]
    for face in camera.faces(index):
        assert max((face.iou(box) for box in found), default=0) > 0.6


def test_user_pictures_hang_in_the_order_of_their_names(tmp_path):
    astronaut, hopper = packaged_portraits()
    cv2.imwrite(str(tmp_path / 'b.png'), astronaut.image)
    cv2.imwrite(str(tmp_path / 'a.JPG'), hopper.image)
    cv2.imwrite(str(tmp_path / 'c.png'), np.zeros((100, 100, 3), np.uint8))
    (tmp_path / 'd.png').write_text('no image')
    (tmp_path / 'notes.txt').write_text('no picture')
    files = pictures_in(tmp_path)
    assert [file.name for file in files] == ['a.JPG', 'b.png', 'c.png', 'd.png']
    portraits = load_portraits(files)
    assert [one.image.shape for one in portraits] == [hopper.image.shape, astronaut.image.shape]
    assert len(make_scene(portraits).faces) == 2


def test_pictures_without_faces_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / 'black.png'), np.zeros((100, 100, 3), np.uint8))
    with pytest.raises(DemoError, match='In none of the 1 pictures'):
        load_portraits(pictures_in(tmp_path))


def test_a_video_gives_its_frames_in_any_order(tmp_path):
    path = tmp_path / 'gray.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 20.0, (64, 48))
    for level in range(0, 250, 25):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    video = VideoFile(path, rate=None, seconds=10.0)
    assert (video.rate, video.frame_count, video.width, video.height) == (20.0, 10, 64, 48)
    for index in (3, 4, 9, 0):
        assert abs(video.frame(index).mean() - 25 * index) < 3
    assert VideoFile(path, rate=10.0, seconds=0.5).frame_count == 5
    assert video.faces(0) == []


def test_faces_cut_by_the_edge_are_not_promised(camera):
    for index in range(camera.frame_count):
        for box in camera.faces(index):
            assert Box(0, 0, 1280, 720).iou(box) == pytest.approx(
                box.width * box.height / (1280 * 720))
