# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A run that was killed goes on to the same recording."""

import itertools
import json
import multiprocessing
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bag_command import anonymize_in_small_steps
from recordings import Maker, drive, write_mcap, write_ros1, write_rosbag2
from rosbags.highlevel import AnyReader

Anonymize = Callable[..., int]
# Seconds after which a process is taken to hang.
_PATIENCE = 120


def files(path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes()} if path.is_file() else {
        file.name: file.read_bytes() for file in path.iterdir()}


class Runner:
    """Runs the command in processes of its own, which are killed at random moments.

    They are spawned: a fork of this process, which has threads, could wait for them forever.
    """

    def __init__(self) -> None:
        self.kills = 0

    def whole(self, *arguments: Any) -> float:
        """Run the command to its end; return the seconds that it took."""
        process = self._start(*arguments)
        start = time.monotonic()
        process.join(_PATIENCE)
        assert process.exitcode == 0
        return time.monotonic() - start

    def with_kills(self, seconds: float, *arguments: Any) -> None:
        """Run the command until it ends before it is killed, each time going on."""
        while True:
            process = self._start(*arguments, '--resume')
            process.join(random.uniform(0.05, 1.1) * seconds)
            if process.exitcode is not None:
                assert process.exitcode == 0
                return
            process.kill()
            process.join()
            self.kills += 1
            if arguments[1].exists():  # So late that nothing was left to do.
                return

    def _start(self, *arguments: Any) -> Any:
        context = multiprocessing.get_context('spawn')
        ready = context.Event()
        process = context.Process(target=anonymize_in_small_steps, args=(ready, *arguments),
                                  daemon=True)
        process.start()
        assert ready.wait(_PATIENCE)
        return process


@pytest.mark.parametrize(('options', 'kills'), [([], 10), (['--bridge-gaps'], 4)],
                         ids=['', 'bridging gaps'])
def test_killed_at_random_moments(options: list[str], kills: int, tmp_path: Path
                                 ) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker(), frames=12)))
    out, runner = tmp_path / 'out', Runner()
    seconds = runner.whole(bag, out, *options)
    expected = files(out)
    for number in itertools.count():
        if runner.kills >= kills:
            break
        out.rename(tmp_path / f'before{number}')
        runner.with_kills(seconds, bag, out, *options)
        # To the byte, reports included.
        assert files(out) == expected


@pytest.mark.parametrize('storage', ['split mcap', 'sqlite3', 'ros1'])
def test_every_storage_goes_on(storage: str, tmp_path: Path) -> None:
    is_ros1 = storage == 'ros1'
    entries = list(drive(Maker(is_ros1), frames=12))
    bag = (write_ros1(tmp_path / 'in.bag', entries) if is_ros1
           else write_rosbag2(tmp_path / 'in', entries))
    out = tmp_path / ('out.bag' if is_ros1 else 'out')
    options = {'split mcap': ['--split-size', '150000'], 'sqlite3': ['--storage', 'sqlite3'],
               'ros1': []}[storage]
    runner = Runner()
    seconds = runner.whole(bag, out, *options)
    whole = out.rename(tmp_path / f'whole{out.suffix}')
    for number in itertools.count():
        if runner.kills >= 3:
            break
        if out.exists():
            out.rename(tmp_path / f'before{number}')
        runner.with_kills(seconds, bag, out, *options)
        assert contents(out) == contents(whole)
        if storage == 'split mcap':
            assert {name.replace('out_', ''): content for name, content in files(out).items()
                    if 'mcap' in name} == {
                name.replace('out_', ''): content for name, content in files(whole).items()
                if 'mcap' in name}


def contents(path: Path) -> list[Any]:
    with AnyReader([path]) as reader:
        return [(connection.topic, connection.msgtype, connection.msgcount, time, bytes(data))
                for connection, time, data in reader.messages()]


def test_other_options_or_another_input_cannot_go_on(
        tmp_path: Path, anonymize: Anonymize, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())))
    out = tmp_path / 'out'
    # This run fails at its end.
    assert anonymize(bag, out, '--keep', 'no such attachment') == 1
    assert (tmp_path / 'out.unfinished').is_dir()
    assert not out.exists()
    assert anonymize(bag, out) == 1
    assert '--resume' in capsys.readouterr().err
    for options, what in ((['-p', 'deid.min_face_size:=30'], 'parameters'),
                          (['--exclude', '/imu'], 'choice of topics'),
                          (['--split-size', '1'], '--split-size'),
                          (['--bridge-gaps'], '--bridge-gaps')):
        assert anonymize(bag, out, '--resume', *options) == 1
        assert f'another {what}' in capsys.readouterr().err
    bag.write_bytes(bag.read_bytes())  # The same, but changed at another time.
    assert anonymize(bag, out, '--resume') == 1
    assert 'another input' in capsys.readouterr().err


def test_other_folders_are_not_gone_on_with(tmp_path: Path, anonymize: Anonymize) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())))
    (tmp_path / 'out.unfinished').mkdir()
    (tmp_path / 'out.unfinished/thesis.mcap').write_text('years of work')
    assert anonymize(bag, tmp_path / 'out', '--resume') == 1
    assert (tmp_path / 'out.unfinished/thesis.mcap').is_file()


def test_there_need_be_nothing_to_go_on_with(tmp_path: Path, anonymize: Anonymize) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())))
    assert anonymize(bag, tmp_path / 'out', '--resume') == 0


@pytest.mark.parametrize('options', [[], ['--bridge-gaps']], ids=['', 'bridging gaps'])
def test_what_is_only_needed_to_go_on_never_gets_into_the_result(
        options: list[str], tmp_path: Path, anonymize: Anonymize, monkeypatch: pytest.MonkeyPatch
        ) -> None:
    """There are small copies of original frames among it."""
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())))
    out = tmp_path / 'out'

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('deid_ros.offboard.recordings.run.runner.shutil',
                      SimpleNamespace(rmtree=killed))
        assert anonymize(bag, out, *options) == 1
    names = ['deid_report.html', 'deid_report.json', 'metadata.yaml', 'out_0.mcap']
    assert sorted(path.name for path in out.iterdir()) == names
    before = files(out.rename(tmp_path / 'before'))
    # What is left can be gone on with, even though the result is elsewhere.
    assert anonymize(bag, out, '--resume', *options) == 0
    assert files(out) == before
    assert not (tmp_path / 'out.unfinished').exists()


def test_the_secret_of_a_run_stays_with_it_and_is_told_nobody(
        tmp_path: Path, anonymize: Anonymize, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())))
    out, key = tmp_path / 'out', ['-p', 'deid.key:=between-us']
    # This run fails at its end.
    assert anonymize(bag, out, '--keep', 'no such attachment', *key) == 1
    assert anonymize(bag, out, '--keep', 'no such attachment', '--resume', '-p',
                     'deid.key:=another') == 1
    assert 'another deid.key' in capsys.readouterr().err
    shutil.rmtree(tmp_path / 'out.unfinished')
    assert anonymize(bag, out, *key) == 0
    written = b''.join(file.read_bytes() for file in out.iterdir())
    assert b'between-us' not in written
    report = json.loads((out / 'deid_report.json').read_text())
    assert report['provenance']['parameters']['deid.key'] == '(set)'
    printed = capsys.readouterr()
    assert 'between-us' not in printed.out + printed.err
