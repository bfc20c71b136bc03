# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What becomes of each topic: nothing that may show people is copied unasked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import mcap.writer
import numpy as np
import pytest
from mcap.records import Attachment
from recordings import (
    CUSTOM_TYPE,
    START,
    Entry,
    Maker,
    drive,
    picture,
    write_mcap,
    write_rosbag2,
)
from rosbags.highlevel import AnyReader
from rosbags.typesys import get_types_from_msg

from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.formats.reading import open_recording
from deid_ros.offboard.recordings.formats.recording import CDR, Channel
from deid_ros.offboard.recordings.policy.definitions import types_of
from deid_ros.offboard.recordings.policy.selection import (
    ANONYMIZE,
    COPY,
    LEAVE_OUT,
    Rules,
    decide,
    is_picture,
    picture_in,
)

Anonymize = Callable[..., int]

PICTURES = {
    'foxglove_msgs/msg/CompressedVideo':
        'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format',
    'ffmpeg_image_transport_msgs/msg/FFMPEGPacket':
        'std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n'
        'uint8 flags\nbool is_bigendian\nuint8[] data',
    'theora_image_transport/msg/Packet':
        'std_msgs/Header header\nuint8[] data\nint32 b_o_s\nint32 e_o_s\nint64 granulepos\n'
        'int64 packetno',
    'acme_msgs/msg/Nested': 'sensor_msgs/Image[] views',
    'acme_msgs/msg/Thermal': 'uint32 width\nuint32 height\nuint16[] celsius',
    'acme_msgs/msg/Jpeg': 'byte[] content',
    'acme_msgs/msg/Event': 'string name\nuint8[] snapshot_image',
    'acme_msgs/msg/Blob': 'string mime_type\nuint8[] blob',
    'acme_msgs/msg/Numbered': 'uint8 JPEG=1\nuint8 encoding\nuint8[] bytes',
    'acme_msgs/msg/Sized': 'uint16 image_width\nuint16 image_height\nuint16[] values',
    'acme_msgs/msg/Endless': 'acme_msgs/Endless[] next',
    'acme_msgs/msg/Unknown': 'acme_msgs/Missing what',
}
HARMLESS = {
    CUSTOM_TYPE: 'std_msgs/Header header\nuint64 count\nfloat32[3] levels\nstring[] notes',
    'acme_msgs/msg/Lidar': 'sensor_msgs/PointCloud2 cloud\nnav_msgs/OccupancyGrid map',
    'acme_msgs/msg/Size': 'uint32 width\nuint32 height\nfloat64[9] k',
    'acme_msgs/msg/Serial': 'uint8[] payload\nstring information',
    'acme_msgs/msg/Truck': 'float32 lane_width\nfloat32 truck_height\nfloat32[] ranges',
}


def channel(name: str, definition: str) -> Channel:
    return Channel('/topic', name, CDR, 'ros2msg', definition)


@pytest.mark.parametrize('name', PICTURES)
def test_what_may_hold_a_picture(name: str) -> None:
    types = types_of(channel(name, PICTURES[name]))
    assert types is not None
    assert picture_in(name, types)


@pytest.mark.parametrize('name', HARMLESS)
def test_what_holds_none(name: str) -> None:
    types = types_of(channel(name, HARMLESS[name]))
    assert types is not None
    assert picture_in(name, types) == ''


def test_idl_is_understood() -> None:
    idl = ('=' * 80 + '\nIDL: acme_msgs/msg/Shot\nmodule acme_msgs { module msg { struct Shot { '
           'string codec; sequence<uint8> data; }; }; };\n')
    types = types_of(Channel('/topic', 'acme_msgs/msg/Shot', CDR, 'ros2idl', idl))
    assert types is not None
    assert picture_in('acme_msgs/msg/Shot', types) == 'data'


@pytest.mark.parametrize('definition', ['', 'uint8[] data\n]['])
def test_a_type_without_a_definition_is_not_known(definition: str) -> None:
    assert types_of(channel('acme_msgs/msg/Some', definition)) is None
    assert types_of(channel('sensor_msgs/msg/Imu', definition)) is not None


def everything(maker: Maker) -> list[Entry]:
    """A drive with topics that cannot be opened."""
    definition = PICTURES['foxglove_msgs/msg/CompressedVideo']
    maker.store.register(get_types_from_msg(definition, 'foxglove_msgs/msg/CompressedVideo'))
    bgr, time = picture(0), START
    depth = maker.image(time, bgr, '16UC1', np.zeros(64 * 96 * 3, np.uint8))
    stamp = maker.make('builtin_interfaces/msg/Time', sec=1, nanosec=2)
    video = maker.make('foxglove_msgs/msg/CompressedVideo', timestamp=stamp, frame_id='c',
                       data=np.zeros(9, np.uint8), format='h264')
    return [
        *drive(maker, frames=2),
        Entry('/depth', 'sensor_msgs/msg/Image', time, depth),
        Entry('/depth/compressedDepth', 'sensor_msgs/msg/CompressedImage', time,
              maker.compressed(time, bgr, '16UC1; compressedDepth png')),
        Entry('/video', 'foxglove_msgs/msg/CompressedVideo', time, video)]


@pytest.fixture
def bag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    maker = Maker()
    monkeypatch.setattr('recordings.Maker', lambda: maker)
    return write_rosbag2(tmp_path / 'bag', everything(maker))


def actions(bag: Path, **rules: Any) -> dict[str, str]:
    with open_recording(bag) as recording:
        return {each.topic: decision.action for each, decision
                in zip(recording.channels, decide(recording, Rules(**rules)), strict=True)}


def test_each_topic_of_a_recording(bag: Path) -> None:
    images = {'/camera/image_raw': ANONYMIZE, '/rear/image_raw/compressed': ANONYMIZE}
    left_out = dict.fromkeys(['/depth', '/depth/compressedDepth', '/video'], LEAVE_OUT)
    others = dict.fromkeys(['/imu', '/tf', '/camera/camera_info', '/lidar', '/tick'], COPY)
    assert actions(bag) == {**images, **left_out, **others}
    assert actions(bag, keep=frozenset(['/depth', '/video'])) == {
        **images, **left_out, **others, '/depth': COPY, '/video': COPY}
    assert actions(bag, topics='/camera/.*|/imu', exclude='.*info') == {
        **dict.fromkeys([*images, *left_out, *others], LEAVE_OUT),
        '/camera/image_raw': ANONYMIZE, '/imu': COPY}


@pytest.mark.parametrize(('rules', 'message'), [
    ({'topics': '/camera'}, 'matches no topic'), ({'exclude': 'imu'}, 'matches no topic'),
    ({'topics': '('}, 'no regular expression')])
def test_a_rule_that_fits_nothing_is_an_error(bag: Path, rules: Any, message: str) -> None:
    with pytest.raises(BagError, match=message):
        actions(bag, **rules)


def test_the_dry_run_tells_it_and_writes_nothing(
        bag: Path, tmp_path: Path, anonymize: Anonymize,
        capsys: pytest.CaptureFixture[str]) -> None:
    assert anonymize(bag, tmp_path / 'out', '--dry-run') == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert 'anonymize' in lines['/camera/image_raw']
    assert 'copy' in lines['/imu']
    assert "'16UC1'" in lines['/depth']
    assert 'depth' in lines['/depth/compressedDepth']
    assert 'its field data may be a picture' in lines['/video']
    assert 'mcap' in lines['to']
    assert [path.name for path in tmp_path.iterdir()] == ['bag']


def test_what_is_left_out_is_named(bag: Path, tmp_path: Path, anonymize: Anonymize,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    assert anonymize(bag, tmp_path / 'out', '--keep', '/depth') == 0
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / 'out/deid_report.json').read_text())
    names = {entry['name'] for entry in report['left_out']}
    assert names == {'/depth/compressedDepth', '/video'}
    assert all(name in printed for name in names)
    assert 'kept as it is, whatever it shows: /depth' in printed
    with AnyReader([tmp_path / 'out']) as reader:
        assert not names & set(reader.topics)
        assert '/depth' in reader.topics


@pytest.mark.parametrize(('content', 'action'), [
    (b'$GPGGA,123519', COPY), (cv2.imencode('.jpg', picture(0))[1].tobytes(), LEAVE_OUT),
    (b'12 bytes of head' + cv2.imencode('.png', picture(0))[1].tobytes(), LEAVE_OUT),
    (b'\0\0\0\x01\x67\x42\0\x1f', LEAVE_OUT)], ids=['text', 'jpeg', 'png', 'h264'])
def test_bytes_that_look_like_a_picture(content: bytes, action: str, tmp_path: Path,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    maker, name = Maker(), 'acme_msgs/msg/Serial'
    maker.store.register(get_types_from_msg(HARMLESS[name], name))
    monkeypatch.setattr('recordings.Maker', lambda: maker)
    message = maker.make(name, payload=np.frombuffer(content, np.uint8), information='')
    bag = write_rosbag2(tmp_path / 'bytes', [Entry('/serial', name, START, message)])
    assert actions(bag) == {'/serial': action}


@pytest.mark.parametrize(('name', 'kind', 'data', 'expected'), [
    ('log.txt', 'text/plain', b'all quiet', False), ('a.bin', '', b'PK\x03\x04', True),
    ('flight.mcap', '', b'', True), ('a', '', b'\0\0\0\x18ftypmp42', True),
    ('a', 'Image/JPEG', b'', True), ('calibration.yaml', '', b'camera: 1', False)])
def test_attachments_in_which_a_picture_may_be(name: str, kind: str, data: bytes, expected: bool
                                               ) -> None:
    assert is_picture(Attachment(0, 0, name, kind, data)) is expected


def test_pictures_among_attachments_are_left_out(tmp_path: Path, anonymize: Anonymize) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())), picture_attachment=True)

    def attachments(name: str, *options: str) -> list[str]:
        assert anonymize(bag, tmp_path / name, *options) == 0
        from mcap.reader import make_reader
        with (tmp_path / name / f'{name}_0.mcap').open('rb') as file:
            return [attachment.name for attachment in make_reader(file).iter_attachments()]

    assert attachments('out') == ['notes.txt']
    assert 'crew.bin' in (tmp_path / 'out/deid_report.html').read_text()
    assert attachments('kept', '--keep', 'crew.bin') == ['notes.txt', 'crew.bin']


def test_what_is_not_ros_is_left_out(tmp_path: Path, anonymize: Anonymize) -> None:
    path = tmp_path / 'in.mcap'
    with path.open('wb') as file:
        writer = mcap.writer.Writer(file)
        writer.start()
        schema = writer.register_schema('foxglove.CompressedImage', 'protobuf', b'\xff\x00\x80')
        writer.add_message(writer.register_channel('/a', 'protobuf', schema), 1, b'abc', 1)
        writer.add_message(writer.register_channel('/b', 'json', 0), 2, b'{}', 2)
        writer.finish()
    assert set(actions(path).values()) == {LEAVE_OUT}
    assert anonymize(path, tmp_path / 'out', '--keep', '/a', '--storage', 'sqlite3') == 1
    assert anonymize(path, tmp_path / 'kept', '--keep', '/a') == 0
    from mcap.reader import make_reader
    with (tmp_path / 'kept/kept_0.mcap').open('rb') as file:
        (schema, channel, message), = make_reader(file).iter_messages()
    assert schema is not None
    assert (schema.encoding, schema.data, message.data) == ('protobuf', b'\xff\x00\x80', b'abc')


def test_ros1_messages_in_an_mcap_file(tmp_path: Path, anonymize: Anonymize) -> None:
    maker = Maker(is_ros1=True)
    path = tmp_path / 'in.mcap'
    with path.open('wb') as file:
        writer = mcap.writer.Writer(file)
        writer.start('ros1')
        for number, entry in enumerate(drive(maker, frames=1)):
            definition, _ = maker.store.generate_msgdef(entry.type)
            schema = writer.register_schema(entry.type.replace('/msg/', '/'), 'ros1msg',
                                            definition.encode())
            writer.add_message(writer.register_channel(entry.topic, 'ros1', schema), number,
                               maker.serialize(entry), number)
        writer.finish()
    assert set(actions(path).values()) == {ANONYMIZE, COPY}
    assert anonymize(path, tmp_path / 'out') == 0
    report = json.loads((tmp_path / 'out/deid_report.json').read_text())
    assert report['anonymized']['/camera/image_raw']['published'] == 1


def test_an_image_type_of_another_shape_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / 'in.mcap'
    with path.open('wb') as file:
        writer = mcap.writer.Writer(file)
        writer.start('ros2')
        schema = writer.register_schema('sensor_msgs/msg/Image', 'ros2msg', b'uint8[] data\n')
        writer.add_message(writer.register_channel('/a', 'cdr', schema), 1, bytes(16), 1)
        writer.finish()
    assert actions(path) == {'/a': LEAVE_OUT}
