# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The list of tables: it holds together, and has the paper's figures."""

import re
from pathlib import Path

import pytest
from shared_data import shared_data

pytest.importorskip('sklearn')

from deid_ros.offboard.evaluation.measures.catalogue import MEASURES  # noqa: E402
from deid_ros.offboard.evaluation.paper.methods import Ablation, ShippedMode  # noqa: E402
from deid_ros.offboard.evaluation.paper.tables import (  # noqa: E402
    DETECTORS,
    METHODS,
    NAMES,
    PAPER_TABLES,
    TABLES,
)

_REPOSITORY = Path(__file__).resolve().parents[4]
_RECIPES = _REPOSITORY / 'config' / 'training'
_ABLATIONS = [row.method for table in PAPER_TABLES for row in table.rows
              if isinstance(row.method, Ablation)]


def test_every_table_of_the_paper_is_there():
    assert [table.name for table in PAPER_TABLES] == list('12345678')
    assert set(NAMES) == {*'12345678', 'methods', 'detection', 'figure_2'}


@pytest.mark.parametrize('table', TABLES.values(), ids=lambda table: table.name)
def test_rows_are_told_apart_and_have_a_figure_for_each_measure(table):
    labels = [row.label for row in table.rows]
    assert len(set(labels)) == len(labels)
    assert set(table.measures) <= set(MEASURES)
    for row in table.rows:
        if row.paper or table is not METHODS:
            assert len(row.paper) == len(table.measures)


@pytest.mark.parametrize('number', [1, 2, 3, 4, 5, 6, 7])
def test_figures_are_those_of_the_paper(number):
    text = (shared_data().parent / 'PAPER.md').read_text(encoding='utf-8')
    line = next(line for line in text.splitlines() if line.startswith(f'**Table {number},'))
    expected = [tuple(float(figure) for figure in figures)
                for figures in re.findall(r'([\d.]+)/([\d.]+)/([\d.]+)', line)]
    assert [row.paper for row in TABLES[str(number)].rows] == expected


def test_figures_of_the_table_of_people_are_those_of_the_paper():
    text = (shared_data().parent / 'PAPER.md').read_text(encoding='utf-8')
    line = next(line for line in text.splitlines() if line.startswith('**Table 8,'))
    expected = [tuple(float(figure) for figure in figures)
                for figures in re.findall(r'(\d+)/(\d+)/(\d+)', line)]
    # The last row is the competitor, of which the paper has a rate alone.
    assert [row.paper for row in TABLES['8'].rows][:-1] == expected
    assert TABLES['8'].rows[-1].paper == (90, None, None)


@pytest.mark.parametrize('ablation', _ABLATIONS, ids=lambda ablation: ablation.name)
def test_ablations_are_recipes(ablation):
    recipe = ablation.resolved(_RECIPES)
    assert recipe.networks()
    assert recipe.name == ablation.name
    # Equal names share a run.
    assert all(other == ablation for other in _ABLATIONS if other.name == ablation.name)


def test_ablations_are_what_their_rows_say():
    recipes = {(table.name, row.label): row.method.resolved(_RECIPES) for table in PAPER_TABLES
               for row in table.rows if isinstance(row.method, Ablation)}
    assert recipes['1', '1024-768'].widths == (1024, 768)
    assert recipes['2', '400 (ours: 16)'].epochs == 16
    assert recipes['3', 'k=10 Ethn+Mood'].shift.n == 10
    assert recipes['3', 'k=10 Ethn+Mood'].shift.attributes == ('ethnicity', 'emotion')
    assert recipes['4', 'Mth+Ethn+Mood'].shift.attributes == (
        'Mouth_Slightly_Open', 'ethnicity', 'emotion')
    assert (recipes['5', 'K=300'].shift.k, recipes['5', 'K=300'].shift.alpha) == (300, 1.0)
    assert (recipes['6', 'α=0.4 n=7'].shift.n, recipes['6', 'α=0.4 n=7'].shift.alpha) == (7, 0.4)
    assert recipes['7', 'n=10'].shift.n == 10


def test_every_shipped_mode_is_measured():
    from deid_ros.core.deidentification.weights import ModelStore

    modes = ModelStore(str(_REPOSITORY / 'models')).modes
    measured = {(row.method.mode, row.method.apply) for row in METHODS.rows
                if isinstance(row.method, ShippedMode)}
    assert measured == {(name, apply) for name, mode in modes.items() for apply in mode['apply']}


def test_detectors_are_told_apart():
    labels = [row.label for row in DETECTORS]
    assert len(set(labels)) == len(labels)
    assert any(row.is_plain and row.detectors == ('centerface',) for row in DETECTORS)
