# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/library.md run as they stand there, without ROS."""

import re
import subprocess
import sys
from pathlib import Path

import messages
import numpy as np
import pytest
from portraits import astronaut
from recordings import Maker, drive, write_rosbag2

import deid_ros

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(r'```python\n(.*?)```',
                      (ROOT / 'docs' / 'library.md').read_text(encoding='utf-8'), re.S)


def test_the_examples_do_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    images, settings, sequence, message, recording = EXAMPLES
    bgr = astronaut()
    names = {'bgr': bgr}
    exec(images, names)  # noqa: S102
    safe, (face,) = names['safe'], names['report'].faces
    assert face.method == 'autoencoder'
    assert np.abs(safe.astype(int) - bgr)[face.region.slices].mean() > 3
    outside = np.ones(bgr.shape[:2], bool)
    outside[face.region.slices] = False
    assert np.array_equal(safe[outside], bgr[outside])
    assert 'autoencoder Region(' in capsys.readouterr().out

    monkeypatch.chdir(ROOT)
    exec(settings, names)  # noqa: S102
    assert names['fast'](bgr)[1].faces[0].method == 'blur'
    assert names['as_on_the_drone'].values['deid.shift_mode'] == 'cluster'

    names['frames'] = [(1.0, bgr), (1.04, np.roll(bgr, 2, axis=1))]
    exec(sequence, names)  # noqa: S102
    assert names['report'].faces[0].track == 1

    names['message'] = messages.raw_message('bgr8', 512, 512, bgr.tobytes())
    exec(message, names)  # noqa: S102
    shown = np.frombuffer(names['safe_message'].data, np.uint8).reshape(bgr.shape)
    assert not np.array_equal(shown[face.region.slices], bgr[face.region.slices])

    monkeypatch.chdir(tmp_path)
    write_rosbag2(Path('flight_7'), list(drive(Maker())))
    recording = recording.replace('/thermal/.*', '/imu')
    exec(recording, names)  # noqa: S102
    assert Path('flight_7_safe').is_dir()
    assert names['summary'].total('frames') > 0


def test_it_needs_no_ros() -> None:
    code = ('import sys, deid_ros\n'
            'assert callable(deid_ros.Deidentifier) and callable(deid_ros.anonymize)\n'
            'print([name for name in sys.modules if name.startswith(("rclpy", "sensor_msgs"))])')
    assert subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True, text=True,
                          capture_output=True).stdout == '[]\n'


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'anonymise'"):
        getattr(deid_ros, 'anonymise')  # noqa: B009
