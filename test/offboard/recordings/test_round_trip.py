# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is not a face comes out as it went in, from every format into every format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from mcap.writer import IndexType
from recordings import (
    FACE,
    IMAGE_TOPICS,
    QOS,
    Maker,
    drive,
    write_lz4,
    write_mcap,
    write_ros1,
    write_rosbag2,
    write_split,
)
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionMode

from deid_ros.core.faces import region_of
from deid_ros.offboard.recordings.formats.reading import open_recording

Anonymize = Callable[..., int]


def _one_db3(folder: Path) -> Path:
    return next(write_rosbag2(folder / 'bag', list(drive(Maker())), 'sqlite3').glob('*.db3'))


SOURCES: dict[str, Callable[[Path], Path]] = {
    'mcap': lambda folder: write_rosbag2(folder / 'bag', list(drive(Maker()))),
    'mcap of version 8': lambda folder: write_rosbag2(folder / 'bag', list(drive(Maker())),
                                                      version=8),
    'one mcap file, zstd': lambda folder: write_mcap(folder / 'a.mcap', list(drive(Maker()))),
    'one mcap file, lz4': lambda folder: write_mcap(folder / 'a.mcap', list(drive(Maker())), 'LZ4'),
    'one mcap file without chunks': lambda folder: write_mcap(
        folder / 'a.mcap', list(drive(Maker())), 'NONE', use_chunking=False,
        enable_data_crcs=True),
    'one mcap file without a summary': lambda folder: write_mcap(
        folder / 'a.mcap', list(drive(Maker())), repeat_channels=False, repeat_schemas=False,
        use_statistics=False, use_summary_offsets=False),
    'one mcap file without any index': lambda folder: write_mcap(
        folder / 'a.mcap', list(drive(Maker())), index_types=IndexType.NONE,
        repeat_channels=False, repeat_schemas=False, use_statistics=False,
        use_summary_offsets=False),
    'split mcap': lambda folder: write_split(folder / 'bag', list(drive(Maker())), 'mcap'),
    'sqlite3': lambda folder: write_rosbag2(folder / 'bag', list(drive(Maker())), 'sqlite3'),
    'one sqlite3 file': _one_db3,
    'split sqlite3': lambda folder: write_split(folder / 'bag', list(drive(Maker())), 'sqlite3'),
    'file-compressed sqlite3': lambda folder: write_rosbag2(
        folder / 'bag', list(drive(Maker())), 'sqlite3', CompressionMode.FILE),
    'file-compressed mcap': lambda folder: write_rosbag2(
        folder / 'bag', list(drive(Maker())), 'mcap', CompressionMode.FILE),
    'message-compressed sqlite3': lambda folder: write_rosbag2(
        folder / 'bag', list(drive(Maker())), 'sqlite3', CompressionMode.MESSAGE),
    'sqlite3 whose file is compressed by lz4, without a reader': lambda folder: write_lz4(
        folder / 'bag', list(drive(Maker())), 'file'),
    'sqlite3 whose messages are compressed by lz4, without a reader': lambda folder: write_lz4(
        folder / 'bag', list(drive(Maker())), 'message'),
}
TARGETS = {
    'mcap': [], 'mcap, lz4': ['--compression', 'lz4'], 'mcap, zstd': ['--compression', 'zstd'],
    'sqlite3': ['--storage', 'sqlite3', '--compression', 'none'],
    'sqlite3, zstd': ['--storage', 'sqlite3', '--compression', 'zstd'],
}
ROS1_SOURCES = ['', 'lz4', 'bz2']


CASES = [(source, 'mcap') for source in SOURCES] + [
    (source, target) for source in ('mcap', 'sqlite3') for target in list(TARGETS)[1:]]


def contents(path: Path) -> list[tuple[str, str, int, bytes]]:
    """Topic, type, time and bytes of all messages, as rosbags reads them."""
    with AnyReader([path]) as reader:
        return [(connection.topic, connection.msgtype, time, bytes(data))
                for connection, time, data in reader.messages()]


def images(path: Path) -> list[tuple[str, int, Any]]:
    with AnyReader([path]) as reader:
        return [(connection.topic, time, reader.deserialize(data, connection.msgtype))
                for connection, time, data in reader.messages()
                if connection.topic in IMAGE_TOPICS]


def connections(path: Path) -> Any:
    """All that rosbags knows of each topic."""
    with AnyReader([path]) as reader:
        return sorted((each.topic, each.msgtype, each.msgdef, each.ext, each.msgcount)
                      for each in reader.connections)


def check_equal_but_for_faces(source: Path, target: Path) -> None:
    before, after = contents(source), contents(target)
    assert [entry[:3] for entry in after] == [entry[:3] for entry in before]
    assert [entry for entry in after if entry[0] not in IMAGE_TOPICS] \
        == [entry for entry in before if entry[0] not in IMAGE_TOPICS]
    check_images(source, target)


def check_images(source: Path, target: Path) -> None:
    before, after = images(source), images(target)
    assert len(before) == len(after) == 12
    for (topic, time, old), (new_topic, new_time, new) in zip(before, after, strict=True):
        assert (topic, time) == (new_topic, new_time)
        assert old.header.stamp == new.header.stamp
        assert old.header.frame_id == new.header.frame_id
        if topic.endswith('compressed'):
            assert new.format == old.format
            changed = np.abs(cv2.imdecode(old.data, 1).astype(int)
                             - cv2.imdecode(new.data, 1)).max(2) > 40
        else:
            for name in ('encoding', 'height', 'width', 'step', 'is_bigendian'):
                assert getattr(new, name) == getattr(old, name)
            changed = (old.data != new.data).reshape(old.height, old.width, 3).any(2)
        region = region_of(FACE.grown(0.25), 96, 64)
        assert changed[region.slices].any()
        changed[region.slices] = False
        assert not changed.any()


@pytest.mark.parametrize(('source', 'target'), CASES)
def test_rosbag2(source: str, target: str, tmp_path: Path, anonymize: Anonymize) -> None:
    bag = SOURCES[source](tmp_path)
    out = tmp_path / 'out'
    assert anonymize(bag, out, *TARGETS[target]) == 0
    if 'without' in source:  # of which rosbags reads nothing
        bag = write_mcap(tmp_path / 'twin.mcap', list(drive(Maker())))
    check_equal_but_for_faces(bag, out)
    before, after = connections(bag), connections(out)
    if source.startswith('split'):  # rosbags does not add up what split files hold
        assert {entry[:4] for entry in map(str_of, before)} == {
            entry[:4] for entry in map(str_of, after)}
    else:
        assert after == before
    assert not (tmp_path / 'out.unfinished').exists()
    check_metadata(out, bag)


def str_of(entry: Any) -> tuple[str, ...]:
    return tuple(str(part) for part in entry)


def check_metadata(out: Path, bag: Path) -> None:
    """The facts that `ros2 bag info` shows are those of the messages."""
    information = yaml.safe_load((out / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    messages = contents(out)
    times = [time for _, _, time, _ in messages]
    assert information['message_count'] == len(messages)
    assert information['starting_time']['nanoseconds_since_epoch'] == min(times)
    assert information['duration']['nanoseconds'] == max(times) - min(times)
    assert sum(file['message_count'] for file in information['files']) == len(messages)
    assert [file['path'] for file in information['files']] == information['relative_file_paths']
    for path in information['relative_file_paths']:
        assert (out / path).is_file()
    counts = {entry['topic_metadata']['name']: entry['message_count']
              for entry in information['topics_with_message_count']}
    assert counts == {topic: sum(name == topic for name, *_ in messages)
                      for topic, *_ in messages}
    if (bag / 'metadata.yaml').exists():
        before = yaml.safe_load((bag / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
        assert information['version'] == before['version']
        assert information['ros_distro'] == before['ros_distro']
        for new, old in zip(information['topics_with_message_count'],
                            before['topics_with_message_count'], strict=True):
            new, old = new['topic_metadata'], old['topic_metadata']
            assert new['type_description_hash'] == old['type_description_hash'] != ''
            assert new['offered_qos_profiles'] == old['offered_qos_profiles']
    provenance = json.loads(information['custom_data']['deid_ros'])
    assert provenance['method'] == 'blur'
    assert str(bag.parent) not in json.dumps(information)


@pytest.mark.parametrize('compression', ROS1_SOURCES)
def test_ros1(compression: str, tmp_path: Path, anonymize: Anonymize) -> None:
    bag = write_ros1(tmp_path / 'in.bag', list(drive(Maker(is_ros1=True))), compression)
    assert anonymize(bag, tmp_path / 'out.bag') == 0
    check_equal_but_for_faces(bag, tmp_path / 'out.bag')
    with AnyReader([bag]) as before, AnyReader([tmp_path / 'out.bag']) as after:
        for old, new in zip(before.connections, after.connections, strict=True):
            assert new[:7] == old[:7]
    assert (f'compression={compression or "none"}'.encode()
            in (tmp_path / 'out.bag').read_bytes()[4096:4296])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'in.bag', 'out.bag', 'out.deid_report.html', 'out.deid_report.json']


@pytest.mark.parametrize('target', ['mcap', 'sqlite3'])
def test_ros1_to_rosbag2(target: str, tmp_path: Path, anonymize: Anonymize) -> None:
    bag = write_ros1(tmp_path / 'in.bag', list(drive(Maker(is_ros1=True))))
    out = tmp_path / 'out'
    assert anonymize(bag, out, *TARGETS[target]) == 0
    # The same values as a recording that ROS 2 made of this drive.
    twin = write_rosbag2(tmp_path / 'twin', list(drive(Maker())))
    check_equal_but_for_faces(twin, out)
    assert [entry[:3] for entry in connections(out)] == [entry[:3] for entry in connections(twin)]
    with AnyReader([out]) as reader:
        latched = {each.topic for each in reader.connections
                   if each.ext.offered_qos_profiles}  # type: ignore[union-attr]
    assert latched == {'/tf'}
    check_metadata(out, bag)


def test_a_folder_of_ros1_bags_is_one_recording(tmp_path: Path, anonymize: Anonymize) -> None:
    entries = list(drive(Maker(is_ros1=True)))
    (tmp_path / 'in').mkdir()
    # Named so that the names do not tell the order.
    write_ros1(tmp_path / 'in/b.bag', entries[:21])
    write_ros1(tmp_path / 'in/a.bag', entries[21:])
    whole = write_ros1(tmp_path / 'whole.bag', entries)
    assert anonymize(tmp_path / 'in', tmp_path / 'out.bag') == 0
    check_equal_but_for_faces(whole, tmp_path / 'out.bag')


def records(path: Path) -> Any:
    """All that mcap reads of a file: messages with channels and schemas, and what is beside."""
    with path.open('rb') as file:
        reader = make_reader(file, validate_crcs=True)
        messages = [(schema and (schema.name, schema.encoding, schema.data),
                     (channel.topic, channel.message_encoding, channel.metadata),
                     message.log_time, message.publish_time, message.sequence, message.data)
                    for schema, channel, message in reader.iter_messages(log_time_order=False)]
        metadata = [record for record in reader.iter_metadata()
                    if record.name not in ('rosbag2', 'deid_ros')]
        return messages, list(reader.iter_attachments()), metadata


@pytest.mark.parametrize('compression', ['NONE', 'LZ4', 'ZSTD'])
def test_all_of_an_mcap_file(compression: str, tmp_path: Path, anonymize: Anonymize) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())), compression)
    assert anonymize(bag, tmp_path / 'out') == 0
    before, after = records(bag), records(tmp_path / 'out/out_0.mcap')
    assert after[1:] == before[1:]
    assert [attachment.name for attachment in after[1]] == ['notes.txt']
    assert [record.metadata['place'] for record in after[2]] == ['Ørsted']
    for old, new in zip(before[0], after[0], strict=True):
        assert new[:5] == old[:5]
        assert new[5] == old[5] or old[1][0] in IMAGE_TOPICS
    with (tmp_path / 'out/out_0.mcap').open('rb') as file:
        summary = make_reader(file).get_summary()
        assert summary
        assert {chunk.compression for chunk in summary.chunk_indexes} == {
            '' if compression == 'NONE' else compression.lower()}


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_split_output_is_one_recording(storage: str, tmp_path: Path, anonymize: Anonymize,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('deid_ros.offboard.recordings.cli._mebibytes', int)
    bag = write_rosbag2(tmp_path / 'bag', list(drive(Maker())))
    monkeypatch.setattr('deid_ros.offboard.recordings.formats.mcap_writer.CHUNK_SIZE', 10_000)
    assert anonymize(bag, tmp_path / 'out', '--storage', storage, '--split-size', '40000') == 0
    assert len(list((tmp_path / 'out').glob('out_*'))) > 2
    check_equal_but_for_faces(bag, tmp_path / 'out')
    check_metadata(tmp_path / 'out', bag)
    for path in (tmp_path / 'out').glob('out_*.mcap'):
        records(path)


def test_the_quality_of_service_is_kept_to_the_letter(tmp_path: Path, anonymize: Anonymize) -> None:
    bag = write_rosbag2(tmp_path / 'bag', list(drive(Maker())))
    assert anonymize(bag, tmp_path / 'out') == 0
    with AnyReader([tmp_path / 'out']) as reader:
        assert {tuple(each.ext.offered_qos_profiles)  # type: ignore[union-attr]
                for each in reader.connections} == {(QOS,)}


@pytest.mark.parametrize('source', ['mcap', 'file-compressed sqlite3', 'file-compressed mcap'])
def test_an_open_recording_has_nothing_in_the_temporary_folder(tmp_path, monkeypatch, source):
    bag = SOURCES[source](tmp_path)
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    monkeypatch.setattr('tempfile.tempdir', str(temporary))
    recording = open_recording(bag)
    assert not list(temporary.iterdir())
    assert sum(1 for _ in recording.items()) > 1
    recording.close()
    assert not list(temporary.iterdir())
