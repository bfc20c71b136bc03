# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What lies in the cache is run, so it must be what was put there, by this user."""

import os
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid_ros.core.backends.cache import UnusableFileError, read_file, write_file

FACTS = {'chain': 'abc', 'build': '1'}


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / 'deid_ros' / 'file'


def test_what_was_kept_is_read(path):
    write_file(str(path), FACTS, b'a network\n\x00\xff')
    assert read_file(str(path), FACTS) == b'a network\n\x00\xff'
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ['file']


def test_a_missing_file_or_folder_is_no_fault(path):
    with pytest.raises(FileNotFoundError):
        read_file(str(path), FACTS)
    path.parent.mkdir()
    with pytest.raises(FileNotFoundError):
        read_file(str(path), FACTS)


def test_a_file_made_for_something_else_is_refused(path):
    write_file(str(path), FACTS, b'a network')
    with pytest.raises(UnusableFileError, match="its chain is 'abc', not 'other'"):
        read_file(str(path), {**FACTS, 'chain': 'other'})
    with pytest.raises(UnusableFileError, match="its device is None, not 'TX2'"):
        read_file(str(path), {**FACTS, 'device': 'TX2'})


@given(position=st.integers(0, 255), change=st.integers(1, 255))
def test_any_changed_byte_of_the_content_is_noticed(tmp_path_factory, position, change):
    path = tmp_path_factory.mktemp('cache') / 'deid_ros' / 'file'
    write_file(str(path), FACTS, bytes(range(256)))
    content = bytearray(path.read_bytes())
    content[-1 - position] ^= change
    path.write_bytes(content)
    with pytest.raises(UnusableFileError):
        read_file(str(path), FACTS)


@pytest.mark.parametrize('mode', [0o770, 0o707, 0o720, 0o702])
def test_a_folder_that_others_may_write_to_is_not_used(path, mode):
    write_file(str(path), FACTS, b'a network')
    path.parent.chmod(mode)
    with pytest.raises(UnusableFileError, match='run: chmod go-w ' + str(path.parent)):
        read_file(str(path), FACTS)
    with pytest.raises(PermissionError):
        write_file(str(path), FACTS, b'another network')


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a folder to somebody else')
def test_a_folder_of_another_user_is_not_used(path, monkeypatch):
    write_file(str(path), FACTS, b'a network')
    os.chown(path.parent, 12345, -1)
    with pytest.raises(UnusableFileError, match='belongs to user 12345'):
        read_file(str(path), FACTS)
    with pytest.raises(PermissionError):
        write_file(str(path), FACTS, b'another network')
    monkeypatch.setattr(os, 'geteuid', lambda: 12345)
    assert read_file(str(path), FACTS) == b'a network'
