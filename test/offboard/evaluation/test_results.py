# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Measuring tables row by row, what is kept of it, and the page and plots made of that."""

import argparse
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('sklearn')
pytest.importorskip('matplotlib')

from deid_ros.core.errors import ConfigurationError  # noqa: E402
from deid_ros.offboard.common.datasets import Faces  # noqa: E402
from deid_ros.offboard.evaluation import cli, results  # noqa: E402
from deid_ros.offboard.evaluation.measures.figures import Figure  # noqa: E402
from deid_ros.offboard.evaluation.paper import latent_map, page
from deid_ros.offboard.evaluation.paper.methods import Baseline  # noqa: E402
from deid_ros.offboard.evaluation.paper.tables import (  # noqa: E402
    DETECTION,
    DETECTORS,
    LATENTS,
    METHODS,
    TABLES,
    Row,
    Table,
)
from deid_ros.offboard.evaluation.report import write_csv  # noqa: E402

_REPOSITORY = Path(__file__).resolve().parents[3]


def _figure(value, count=12):
    return Figure(value, value - 1, value + 1, count)


@pytest.fixture
def options(tmp_path, monkeypatch):
    """Return options for a table of two rows, on twelve faces, with a measurement that is quick."""
    faces = Faces(np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), np.uint8),
                  np.array([f'{index}.png' for index in range(12)]),
                  np.array([f'person {index // 3}' for index in range(12)]))
    monkeypatch.setattr(results, 'load_faces', lambda data, cache: faces)

    monkeypatch.setattr(results, '_precompute', lambda faces, store: None)

    def measure(originals, new_faces, made_of, with_other_keys):
        return {name: _figure(float(new_faces.mean() % 100), len(new_faces))
                for name in ('FCNS', 'DEID', 'DIV', 'ANON', 'ATTR')}

    monkeypatch.setattr(results.suite, 'measure', measure)
    rows = tuple(Row(f'gray {value}', Baseline(_paint, value), (1.0, 2.0, 3.0))
                 for value in (10, 20))
    table = Table('9', 'Two grays', 'A note.', rows)
    monkeypatch.setitem(TABLES, '9', table)
    monkeypatch.setattr(page, 'PAPER_TABLES', (table,))
    return argparse.Namespace(
        names=('9',), data=Path('faces.tar'), labels=None,
        training_data=Path('train.tar'), training_labels=Path('train.csv'),
        classifier=None, photos=None, models=None,
        runs=tmp_path / 'runs', count=8, cache=tmp_path / 'cache',
        output=tmp_path / 'docs' / 'results', sheets=None)


def _paint(faces, value):
    return np.full_like(faces, value)


def test_rows_are_measured_and_kept(options):
    measured = results.run(options)
    assert measured['9: gray 10']['DEID'] == _figure(10.0, 8)
    assert page.stored(options.output, '9')['gray 20']['DIV'] == _figure(20.0, 8)
    assert '| gray 10 | 10.0 (9.0–11.0) | 1 | 10.0 (9.0–11.0) | 2 |' in options.table(measured)


def test_one_face_of_each_person_where_the_table_is_about_people(options, monkeypatch):
    monkeypatch.setitem(TABLES, '9', Table('9', 'People', '', TABLES['9'].rows, people=True))
    assert results.run(options)['9: gray 10']['DEID'].count == 4


def test_stopped_run_keeps_its_rows_and_goes_on(options, monkeypatch):
    measure = results.suite.measure

    def stop(originals, new_faces, made_of, with_other_keys):
        if new_faces.mean() == 20:
            raise ValueError('no gray 20 today')
        return measure(originals, new_faces, made_of, with_other_keys)

    with monkeypatch.context() as patch:
        patch.setattr(results.suite, 'measure', stop)
        with pytest.raises(ValueError, match='no gray 20'):
            results.run(options)
    assert list(page.stored(options.output, '9')) == ['gray 10']
    results.run(options)
    assert list(page.stored(options.output, '9')) == ['gray 10', 'gray 20']


def test_page_names_what_was_not_measured(options):
    results.run(options)
    write_csv(page.file_of(options.output, '9'), {'gray 10': {'DEID': _figure(1.0)}})
    text = page.page(options.output)
    assert '- Table 9, gray 20: not measured' in text
    assert '| gray 20 | – | 1 | – | 2 | – | 3 | – |' in text


def test_sheets_are_drawn_where_asked(options, tmp_path):
    options.sheets = tmp_path / 'sheets'
    results.run(options)
    assert (tmp_path / 'sheets' / 'table_9.png').exists()


def test_detectors_need_photos(options):
    options.names = ('detection',)
    with pytest.raises(ConfigurationError, match='--photos'):
        results.run(options)


def test_wrong_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.parser().parse_args(['table', '12'])
    assert "'12'" in capsys.readouterr().err


def _fill(folder):
    """Write figures for all there is."""
    folder.mkdir(parents=True)
    page.record_facts(folder, data='data.tar', training='training.tar', photos='photos.tar')
    for name, table in TABLES.items():
        write_csv(page.file_of(folder, name), {
            row.label: {measure: _figure(50.0 + index) for measure in (
                *table.measures, 're-id rank-1', 'LEAK near')}
            for index, row in enumerate(table.rows)})
    recalls = {name: _figure(90.0) for name in page.RECALL_MEASURES}
    write_csv(page.file_of(folder, DETECTION), {row.label: recalls for row in DETECTORS})
    points = np.arange(8.0).reshape(4, 2)
    women, young = np.array([True, True, False, False]), np.array([True, False, True, False])
    latent_map.write(page.file_of(folder, LATENTS),
                     [latent_map.Panel(title, points, women, young) for title in 'ab'])


def test_page_has_all_tables_with_the_papers_figures(tmp_path):
    _fill(tmp_path / 'results')
    page.write(tmp_path / 'results')
    text = (tmp_path / 'RESULTS.md').read_text()
    assert '## Gaps' not in text
    for table in TABLES.values():
        for row in table.rows:
            lines = [line for line in text.splitlines() if line.startswith(f'| {row.label} |')]
            assert lines, row.label
            if row.paper and table is not METHODS:
                cells = [[cell.strip() for cell in line.split('|')] for line in lines]
                shown = ['–' if figure is None else f'{figure:g}' for figure in row.paper]
                assert any(each[3:2 + 2 * len(shown):2] == shown for each in cells), row.label


def test_page_names_what_was_measured_with_other_networks(tmp_path):
    _fill(tmp_path / 'results')
    page.record_facts(tmp_path / 'results', cluster='the hash of another chain')
    assert ('- Table methods, cluster: measured with networks that are no longer shipped'
            in page.page(tmp_path / 'results'))


def test_latents_are_read_as_written(tmp_path):
    _fill(tmp_path / 'results')
    panels = latent_map.read(page.file_of(tmp_path / 'results', LATENTS))
    assert [panel.title for panel in panels] == ['a', 'b']
    assert panels[1].points.tolist() == np.arange(8.0).reshape(4, 2).tolist()
    assert panels[1].young.tolist() == [True, False, True, False]


def test_plots_are_the_same_each_time(tmp_path):
    folder = tmp_path / 'results'
    _fill(folder)
    results.draw(folder)
    drawn = {path.name: path.read_bytes() for path in folder.glob('*.svg')}
    assert set(drawn) == {page.TRADE_OFF, page.RECALL, page.FIGURE_2}
    results.draw(folder)
    assert {path.name: path.read_bytes() for path in folder.glob('*.svg')} == drawn


def test_kept_page_is_what_the_kept_figures_give():
    folder = _REPOSITORY / 'docs' / 'results'
    written = (_REPOSITORY / 'docs' / 'RESULTS.md').read_text(encoding='utf-8')
    assert written == page.page(folder), 'write it again: evaluate page'
    for plot in (page.TRADE_OFF, page.RECALL, page.FIGURE_2):
        assert (folder / plot).exists()
