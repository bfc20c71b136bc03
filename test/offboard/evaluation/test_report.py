# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tables and files of figures."""

import csv
import json
import math

from deid_ros.offboard.evaluation import report
from deid_ros.offboard.evaluation.measures.catalogue import MEASURES, key
from deid_ros.offboard.evaluation.measures.figures import Figure

MEASURED = {'one': {'DEID': Figure(95.04, 94.0, 96.0, 200, '%'),
                    'outside PSNR': Figure(math.inf, math.inf, math.inf, 3, 'dB')},
            'other': {'DEID': Figure(3, 2, 4, 100, '%')}}


def test_markdown_has_a_row_for_each_measure():
    lines = report.markdown(MEASURED).splitlines()
    assert lines[0] == '| measure | one | other | N | meaning |'
    assert lines[2].startswith('| DEID (%) ↑ | 95.0 (94.0–96.0) | 3.0 (2.0–4.0) | 100 or 200 | ')
    assert lines[3].startswith('| outside PSNR (dB) ↑ | inf (inf–inf) | – | 3 | ')
    assert len(lines) == 4


def test_markdown_by_method():
    lines = report.markdown_by_method(MEASURED).splitlines()
    assert lines == ['|  | DEID, %, N = 100 or 200 | outside PSNR, dB, N = 3 |',
                     '| --- | --- | --- |',
                     '| one | 95.0 (94.0–96.0) | inf (inf–inf) |', '| other | 3.0 (2.0–4.0) | – |']


def test_csv(tmp_path):
    report.write_csv(tmp_path / 'figures.csv', MEASURED)
    with open(tmp_path / 'figures.csv', newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {'subject': 'one', 'measure': 'DEID', 'value': '95.04', 'low': '94.0',
                       'high': '96.0', 'count': '200', 'unit': '%'}
    assert [row['subject'] for row in rows] == ['one', 'one', 'other']


def test_csv_is_read_as_written(tmp_path):
    report.write_csv(tmp_path / 'figures.csv', MEASURED)
    assert report.read_csv(tmp_path / 'figures.csv') == MEASURED


def test_json_has_no_infinity(tmp_path):
    report.write_json(tmp_path / 'figures.json', MEASURED)
    content = json.loads((tmp_path / 'figures.json').read_text(encoding='utf-8'))
    assert content['one']['DEID']['value'] == 95.04
    assert content['one']['outside PSNR']['value'] is None


def test_names_of_measures_differ_for_gates():
    assert len({key(name) for name in MEASURES}) == len(MEASURES)
    assert key('LEAK crowd: unseen people, 5 % quantile') == 'leak-crowd-unseen-people-5-%-quantile'
