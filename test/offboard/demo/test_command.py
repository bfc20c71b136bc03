# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The demo's command line, and the node's process."""

import pytest

from deid_ros.offboard.common.node_process import NodeProcessError
from deid_ros.offboard.demo import __main__ as demo


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    monkeypatch.setattr(demo, '_isolate', lambda: None)
    monkeypatch.setattr(demo.signal, 'signal', lambda *_: None)


@pytest.mark.parametrize(('arguments', 'sentence'), [
    (['--image-dir', 'nowhere'], 'nowhere is not a folder'),
    (['--video', 'nowhere.mp4'], 'nowhere.mp4 is not a file'),
    (['--video', 'notes.txt'], 'notes.txt cannot be read as a video'),
    (['--image-dir', '.'], 'holds no image'),
])
def test_a_wrong_source_is_explained(arguments, sentence, tmp_path, monkeypatch, capsys):
    (tmp_path / 'notes.txt').write_text('no picture')
    monkeypatch.chdir(tmp_path)
    assert demo.main(arguments) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / 'demo').exists()


def test_a_node_that_ends_is_explained(monkeypatch, capsys):
    def end(options):
        raise NodeProcessError('The node ended by itself with exit status 2.')

    monkeypatch.setattr(demo, '_run', end)
    assert demo.main([]) == 1
    assert capsys.readouterr().err == 'demo: The node ended by itself with exit status 2.\n'


@pytest.mark.parametrize('arguments', [
    ['--rate', '0'], ['--seconds', 'nan'], ['--image-dir', 'a', '--video', 'b'], ['--rate', 'x']])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(SystemExit) as caught:
        demo.main(arguments)
    assert caught.value.code == 2
