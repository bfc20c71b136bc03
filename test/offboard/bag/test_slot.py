# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Shared memory between two processes."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deid_ros.offboard.bag.slot import Slot


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(sizes=st.lists(st.integers(0, 20_000), max_size=8))
def test_what_is_put_in_at_one_end_comes_out_at_the_other(sizes: list[int], tmp_path: Path
                                                          ) -> None:
    path = tmp_path / 'slot'
    path.unlink(missing_ok=True)
    ends = Slot(path), Slot(path)
    for number, size in enumerate(sizes):
        one, other = ends[number % 2], ends[1 - number % 2]
        data = bytes([number + 1]) * size
        assert bytes(other.get(one.put(data))) == data
    for end in ends:
        end.close()
