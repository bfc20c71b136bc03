# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A figure: the value of a measure, its 95 % bootstrap interval, and over how many samples.

Almost every measure is a weighted mean over faces or pairs of faces. The bootstrap resamples the
faces 1,000 times. A pair counts as often as the product of how often its two faces were drawn,
since pairs that share a face are not independent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
#: Seed of every random choice in the evaluation, so that figures can be reproduced.
SEED = 0


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % bootstrap interval.

    `count`: the number of faces, pairs, people or frames in it. `unit`: `%` for shares, whose value
    is in percent; else `faces`, `°`, `dB`, `ms` or nothing.
    """

    value: float
    low: float
    high: float
    count: int
    unit: str = '%'

    def __str__(self) -> str:
        digits = {'faces': 0, '': 3}.get(self.unit, 1)
        return f'{self.value:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})'


def draws(count: int, seed: int = SEED) -> np.ndarray:
    """Return (RESAMPLES, count) float32: how often each sample is in each bootstrap sample."""
    random = np.random.default_rng(seed)
    return np.stack([np.bincount(random.integers(0, count, count), minlength=count)
                     for _ in range(RESAMPLES)]).astype(np.float32)


def share(hits: np.ndarray, seed: int = SEED) -> Figure:
    """Return the share of true values among (N,) hits, in percent."""
    return mean(100.0 * hits, '%', seed)


def mean(values: np.ndarray, unit: str = '', seed: int = SEED) -> Figure:
    """Return the mean of (N,) values."""
    return ratio(values, np.ones(len(values)), unit, seed)


def ratio(values: np.ndarray, weights: np.ndarray, unit: str = '', seed: int = SEED) -> Figure:
    """Return Σ values / Σ weights over (N,) samples, such as hits and trials of each sample.

    :raises ValueError: there is no sample, or all weights are 0.
    """
    return _weighted(values, weights, draws(_some(len(values)), seed), len(values), unit)


def pair_share(hits: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int = SEED
               ) -> Figure:
    """Return the share of true values among pairs of faces, in percent.

    :param hits: (P,) bool.
    :param first, second: (P,) indices of the faces of each pair.
    """
    _some(len(hits))
    drawn = draws(int(max(first.max(), second.max())) + 1, seed)
    return _weighted(100.0 * hits, np.ones(len(hits)), drawn[:, first] * drawn[:, second],
                     len(hits), '%')


def statistic(function: Callable[[np.ndarray], float], count: int, unit: str = '',
              seed: int = SEED) -> Figure:
    """Return a statistic that is not a mean, such as a quantile.

    :param function: returns the statistic for (count,) weights of the samples.
    """
    values = [function(weights) for weights in draws(_some(count), seed)]
    # No interpolation: it would fail for infinite values.
    low, high = np.percentile(values, [2.5, 97.5], method='inverted_cdf')
    return Figure(float(function(np.ones(count, np.float32))), float(low), float(high), count, unit)


def _weighted(values: np.ndarray, weights: np.ndarray, drawn: np.ndarray, count: int, unit: str
              ) -> Figure:
    total = float(weights.sum())
    if not total:
        raise ValueError('a share of nothing: no sample counts for it')
    below = drawn @ weights.astype(np.float32)
    # Bootstrap samples of weight 0 are left out.
    ratios = (drawn @ values.astype(np.float32))[below > 0] / below[below > 0]
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Figure(float(values.sum() / total), float(low), float(high), count, unit)


def _some(count: int) -> int:
    if not count:
        raise ValueError('a share of nothing: there is no sample')
    return count
