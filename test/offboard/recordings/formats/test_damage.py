# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Damaged input and full disks: a clear error, and nothing that looks finished."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recordings import (
    START,
    Entry,
    Maker,
    drive,
    picture,
    write_mcap,
    write_ros1,
    write_rosbag2,
)
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionMode

from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.formats.reading import open_recording

Anonymize = Callable[..., int]

WRITERS: dict[str, Callable[[Path], Path]] = {
    '.mcap': lambda path: write_mcap(path, list(drive(Maker()))),
    '.bag': lambda path: write_ros1(path, list(drive(Maker(is_ros1=True))), 'bz2'),
    '.db3': lambda path: next(write_rosbag2(
        path.with_name('rosbag2'), list(drive(Maker())), 'sqlite3').glob('*.db3')),
}


def check_failed(out: Path) -> None:
    assert not out.exists()
    left = out.with_name(out.name + '.unfinished')
    assert not list(left.rglob('metadata.yaml'))
    assert not list(out.parent.glob('*deid_report*'))


@pytest.mark.parametrize('share', [0.0, 0.001, 0.3, 0.9, 0.999])
@pytest.mark.parametrize('suffix', WRITERS)
def test_cut_input(suffix: str, share: float, tmp_path: Path, anonymize: Anonymize,
                   capsys: pytest.CaptureFixture[str]) -> None:
    whole = WRITERS[suffix](tmp_path / f'whole{suffix}').read_bytes()
    cut = tmp_path / f'cut{suffix}'
    cut.write_bytes(whole[:int(share * len(whole))])
    assert anonymize(cut, tmp_path / 'out') == 1
    assert f'cut{suffix}' in capsys.readouterr().err
    check_failed(tmp_path / 'out')


@pytest.mark.parametrize('compression', ['NONE', 'LZ4', 'ZSTD'])
def test_flipped_bytes_in_chunks(compression: str, tmp_path: Path, anonymize: Anonymize,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())), compression)
    content = bytearray(bag.read_bytes())
    start = content.index(b'\x06', 200)
    content[start + 6000] ^= 0x10
    bag.write_bytes(content)
    assert anonymize(bag, tmp_path / 'out') == 1
    assert 'in.mcap is damaged' in capsys.readouterr().err
    check_failed(tmp_path / 'out')


@pytest.fixture(scope='module')
def sound_mcap(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp('sound')
    return write_mcap(folder / 'in.mcap', list(drive(Maker(), frames=2)),
                      enable_data_crcs=True).read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_no_changed_byte_of_an_mcap_file_goes_unseen(data: st.DataObject, sound_mcap: bytes,
                                                     tmp_path: Path) -> None:
    place = data.draw(st.integers(0, len(sound_mcap) - 1))
    value = data.draw(st.integers(1, 255))
    content = bytearray(sound_mcap)
    content[place] ^= value
    path = tmp_path / 'changed.mcap'
    path.write_bytes(content)
    with pytest.raises(BagError, match='changed.mcap'), open_recording(path) as recording:
        list(recording.items())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(content=st.binary(max_size=300), suffix=st.sampled_from(['.mcap', '.db3', '.bag']))
def test_any_bytes_are_an_error(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f'any{suffix}'
    path.write_bytes(content)
    with pytest.raises(BagError, match='any'):
        open_recording(path)


def test_damaged_frames_are_withheld_and_listed(tmp_path: Path, anonymize: Anonymize,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    maker = Maker()
    entries = list(drive(maker))
    images = [index for index, entry in enumerate(entries) if entry.topic == '/camera/image_raw']
    small = entries[images[1]]
    short = maker.image(small.time, picture(1), data=picture(1).reshape(-1)[:-1])
    entries[images[1]] = Entry(small.topic, small.type, small.time, short)
    bag = write_rosbag2(tmp_path / 'bag', entries)
    assert anonymize(bag, tmp_path / 'out') == 0
    report = json.loads((tmp_path / 'out/deid_report.json').read_text())
    topic = report['anonymized']['/camera/image_raw']
    assert (topic['frames'], topic['published'], topic['withheld']) == (6, 5, 1)
    failure, = topic['failures']
    assert failure['time'] == small.time
    assert failure['reason'] == 'data'
    assert '1 frames of /camera/image_raw (data)' in capsys.readouterr().out
    with AnyReader([tmp_path / 'out']) as reader:
        assert reader.message_count == len(entries) - 1
    # A frame that can be opened, but not treated, can be masked.
    assert anonymize(bag, tmp_path / 'masked', '-p', 'on_failure:=mask_frame') == 0


def test_a_message_that_is_no_image_is_withheld(tmp_path: Path, anonymize: Anonymize) -> None:
    entries = list(drive(Maker()))
    bag = write_rosbag2(tmp_path / 'bag', entries, 'sqlite3')
    import sqlite3
    with sqlite3.connect(next(bag.glob('*.db3'))) as database:
        number, = database.execute(
            'SELECT messages.id FROM messages JOIN topics ON topic_id = topics.id '
            "WHERE name = '/camera/image_raw'").fetchone()
        database.execute('UPDATE messages SET data = ? WHERE id = ?', [random.randbytes(500),
                                                                       number])
    assert anonymize(bag, tmp_path / 'out') == 0
    report = json.loads((tmp_path / 'out/deid_report.json').read_text())
    assert report['anonymized']['/camera/image_raw']['withheld'] == 1


def broken_frame_id(maker: Maker) -> Entry:
    """A header whose text is no text."""
    image = maker.image(START, picture(0))
    return Entry('/camera/image_raw', 'sensor_msgs/msg/Image', START,
                 image.__class__(**{**vars(image), 'header': maker.header(START, 'caméra')}))


@pytest.mark.parametrize('options', [[], ['--bridge-gaps'], ['--jobs', '2']])
def test_a_header_that_cannot_be_read_withholds_the_frame(
        options: list[str], tmp_path: Path, anonymize: Anonymize) -> None:
    bag = write_rosbag2(tmp_path / 'bag', [broken_frame_id(Maker())], 'sqlite3')
    file = next(bag.glob('*.db3'))
    file.write_bytes(file.read_bytes().replace('caméra'.encode(), b'cam\xff\xfera'))
    assert anonymize(bag, tmp_path / 'out', *options) == 0
    report = json.loads((tmp_path / 'out/deid_report.json').read_text())
    assert report['anonymized']['/camera/image_raw']['withheld'] == 1


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_nothing_is_left_of_an_unpacked_file(storage: str, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'temporary'))
    (tmp_path / 'temporary').mkdir()
    bag = write_rosbag2(tmp_path / 'bag', list(drive(Maker())), storage, CompressionMode.FILE)
    with open_recording(bag) as recording:
        assert [path for path in (tmp_path / 'temporary').rglob('*') if path.is_file()] == []
        assert len(list(recording.items())) == 42
        assert len(list(recording.items())) == 42


# Without the measuring of coverage, which would write its own file, over the limit.
UNMEASURED = {name: value for name, value in os.environ.items() if not name.startswith('COV')}
LIMITED = '''
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
from deid_ros.offboard.recordings.cli import main
sys.exit(main(sys.argv[1:]))
'''


def write_video(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 25, (96, 64))
    for number in range(120):
        writer.write(picture(number))
    writer.release()
    return path


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3', 'video'])
def test_no_room_left(storage: str, tmp_path: Path) -> None:
    if storage == 'video':
        source, out, options = write_video(tmp_path / 'in.avi'), tmp_path / 'out.avi', []
    else:
        source, out = write_rosbag2(tmp_path / 'bag', list(drive(Maker()))), tmp_path / 'out'
        options = ['--storage', storage]
    command = [str(source), str(out), *options, '--jobs', '1', '-p', 'detector.type:=dlib_hog',
               '-p', 'deid.method:=blur']
    limited = subprocess.run([sys.executable, '-c', LIMITED, *command], text=True,
                             stderr=subprocess.PIPE, env=UNMEASURED)
    assert limited.returncode == 1
    assert 'too large' in limited.stderr or 'full' in limited.stderr or 'I/O' in limited.stderr
    assert 'Traceback' not in limited.stderr
    check_failed(out)
