# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The command: what it refuses, its exit codes, its parameters, its reports."""

import html.parser
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from recordings import Maker, drive, write_mcap, write_ros1, write_rosbag2

from deid_ros.core.errors import ConfigurationError
from deid_ros.core.parameter_file import read_parameters
from deid_ros.core.parameters import PARAMETERS
from deid_ros.core.resources import shared_directory
from deid_ros.offboard.recordings.cli import main

Anonymize = Callable[..., int]


def test_the_target_is_never_overwritten(tmp_path: Path, anonymize: Anonymize,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())))
    (tmp_path / 'out').mkdir()
    assert anonymize(bag, tmp_path / 'out') == 1
    assert 'never overwritten' in capsys.readouterr().err
    assert list((tmp_path / 'out').iterdir()) == []


@pytest.mark.parametrize(('options', 'message'), [
    (['-p', 'deid.method:=nothing'], 'deid.method'), (['-p', 'no.such:=1'], 'no.such'),
    (['-p', 'deid.box_margin:=1'], 'deid.box_margin'), (['-p', 'blur'], 'NAME:=VALUE'),
    (['--params', '/no/such.yaml'], '/no/such.yaml'), (['--compression', 'bz2'], 'bz2'),
    (['--keep', '/nothing'], '/nothing')])
def test_wrong_options_are_told(options: list[str], message: str, tmp_path: Path,
                                anonymize: Anonymize, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())))
    assert anonymize(bag, tmp_path / 'out', *options) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('source', 'message'), [
    ('nothing', 'does not exist'), ('folder', 'ros2 bag reindex'), ('text.txt', 'no recording')])
def test_what_is_no_recording_is_told(source: str, message: str, tmp_path: Path,
                                      anonymize: Anonymize,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'text.txt').write_text('words')
    assert anonymize(tmp_path / source, tmp_path / 'out') == 1
    assert message in capsys.readouterr().err


def test_a_missing_part_of_a_split_recording_is_told(tmp_path: Path, anonymize: Anonymize,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_rosbag2(tmp_path / 'bag', list(drive(Maker())))
    next(bag.glob('*.mcap')).unlink()
    assert anonymize(bag, tmp_path / 'out') == 1
    assert 'bag.mcap is missing' in capsys.readouterr().err


def test_ros1_out_needs_ros1_in(tmp_path: Path, anonymize: Anonymize) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())))
    assert anonymize(bag, tmp_path / 'out.bag') == 1
    old = write_ros1(tmp_path / 'in.bag', list(drive(Maker(is_ros1=True))))
    assert anonymize(old, tmp_path / 'out.bag', '--split-size', '1') == 1


def test_wrong_use_has_an_exit_code_of_its_own() -> None:
    with pytest.raises(SystemExit) as caught:
        main(['--jobs', '0', 'in', 'out'])
    assert caught.value.code == 2


@pytest.mark.parametrize('name', ['uav.yaml', 'desktop.yaml'])
def test_the_parameter_files_of_the_node_are_read(name: str) -> None:
    path = shared_directory('config') / name
    values = read_parameters(path)
    assert values.keys() == {spec.name for spec in PARAMETERS}
    section = yaml.safe_load(path.read_text())['/**']['ros__parameters']
    assert values['detector.budget'] == section['detector']['budget']
    assert values['deid.box_margin'] == section['deid']['box_margin']
    assert read_parameters(path, ['detector.width:=320'])['detector.width'] == 320


@pytest.mark.parametrize('content', ['', 'a: 1', '/**: {}', '[]', '/**: {ros__parameters: 1}',
                                     '/**: {ros__parameters: {detector: {type: haar}}}',
                                     '/**: {ros__parameters: {jpeg_quality: 0}}', '{'])
def test_other_files_are_none(content: str, tmp_path: Path) -> None:
    path = tmp_path / 'file.yaml'
    path.write_text(content)
    with pytest.raises(ConfigurationError):
        read_parameters(path)


class Page(html.parser.HTMLParser):
    """Checks that tags are closed, and collects what the page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ('meta', 'img', 'rect', 'path'):
            self.open.append(tag)
        self.references += [value or '' for name, value in attrs if name in ('src', 'href')]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass


def test_the_reports(tmp_path: Path, anonymize: Anonymize) -> None:
    bag = write_mcap(tmp_path / 'in.mcap', list(drive(Maker())))
    assert anonymize(bag, tmp_path / 'out') == 0
    text = (tmp_path / 'out/deid_report.json').read_text()
    report = json.loads(text)
    topic = report['anonymized']['/camera/image_raw']
    assert (topic['frames'], topic['published'], topic['faces']) == (6, 6, 6)
    assert topic['methods'] == {'blur': 6}
    assert sum(topic['faces_over_time']) == 6
    provenance = report['provenance']
    assert re.fullmatch('[0-9a-f]{64}', provenance['input_sha256']['in.mcap'])
    assert provenance['parameters']['deid.method'] == 'blur'
    page = (tmp_path / 'out/deid_report.html').read_text()
    for word in ('/camera/image_raw', 'blur', provenance['input_sha256']['in.mcap']):
        assert word in page
    assert str(tmp_path) not in text + page
    parser = Page()
    parser.feed(page)
    assert parser.open == []
    # Nothing from elsewhere: all pictures are in the page.
    assert len(parser.references) == 12
    assert all(reference.startswith('data:image/jpeg;base64,') for reference in parser.references)
    assert 'http' not in page.replace('http-equiv', '')
