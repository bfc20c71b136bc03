# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Figures: values worked out by hand, and intervals that behave."""

import math

import numpy as np
import pytest

from deid_ros.offboard.evaluation.measures import figures
from deid_ros.offboard.evaluation.measures.figures import Figure


def test_share_and_its_interval():
    share = figures.share(np.arange(1000) < 900)
    assert share.value == pytest.approx(90)
    assert (share.count, share.unit) == (1000, '%')
    # ± 1.96 √(0.9 · 0.1 / 1000), the normal approximation
    assert share.low == pytest.approx(88.14, abs=0.3)
    assert share.high == pytest.approx(91.86, abs=0.3)
    assert figures.share(np.ones(50, bool)) == Figure(100, 100, 100, 50, '%')
    assert figures.share(np.arange(1000) < 900) == share, 'the seed is fixed'


def test_ratio_weighs_its_samples():
    found = figures.ratio(np.array([1.0, 0.0, 3.0]), np.array([2.0, 0.0, 4.0]))
    assert found.value == pytest.approx(4 / 6)
    assert 0.5 <= found.low <= found.high <= 0.75, 'between the samples that count'


def test_pairs_that_share_a_face_are_no_independent_evidence():
    # One face of 30 is unlike all others: 29 of 435 pairs differ, all because of it.
    first, second = np.triu_indices(30, 1)
    hits = first == 0
    pairs = figures.pair_share(hits, first, second)
    assert pairs.value == pytest.approx(100 * 29 / 435)
    assert pairs.count == 435
    assert pairs.low == 0, 'a sample may lack that face'
    assert pairs.high - pairs.low > 2 * (figures.share(hits).high - figures.share(hits).low)


def test_statistic_of_weights():
    values = np.arange(101.0)
    median = figures.statistic(
        lambda weights: float(np.median(np.repeat(values, weights.astype(int)))), 101)
    assert median.value == 50
    assert 35 < median.low < 50 < median.high < 65
    infinite = figures.statistic(lambda weights: math.inf, 5, 'dB')
    assert (infinite.value, infinite.low, infinite.high) == (math.inf,) * 3


def test_nothing_gives_no_figure():
    for measure in (figures.share, figures.mean):
        with pytest.raises(ValueError, match='share of nothing'):
            measure(np.array([]))
    with pytest.raises(ValueError, match='share of nothing'):
        figures.ratio(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match='share of nothing'):
        figures.pair_share(np.array([]), np.array([], int), np.array([], int))


@pytest.mark.parametrize(('figure', 'text'), [
    (Figure(97.54, 96.9, 98.2, 10, '%'), '97.5 (96.9–98.2)'),
    (Figure(39, 35, 41, 10, 'faces'), '39 (35–41)'),
    (Figure(0.46123, 0.45, 0.47, 10, ''), '0.461 (0.450–0.470)'),
    (Figure(math.inf, math.inf, math.inf, 10, 'dB'), 'inf (inf–inf)'),
])
def test_as_text(figure, text):
    assert str(figure) == text
