# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Shared memory between two processes."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from deid_ros.offboard.recordings.run.shared_buffer import SharedBuffer


@settings(max_examples=30)
@given(contents=st.lists(st.lists(st.binary(max_size=20_000), max_size=3), max_size=8))
def test_what_is_put_in_comes_out(contents: list[list[bytes]]) -> None:
    slot = SharedBuffer()
    # As another process would have it.
    other = SharedBuffer(os.dup(slot._file))
    for parts in contents:
        assert bytes(other.get(slot.put(*parts))) == b''.join(parts)
    slot.close()
    other.close()


def test_a_kill_leaves_nothing_behind() -> None:
    slot = SharedBuffer()
    slot.put(b'face')
    assert not os.path.exists(os.readlink(f'/proc/self/fd/{slot._file}'))
    slot.close()
