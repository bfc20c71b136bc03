# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Gates: required limits of measures, for use in release checks."""

import math
import operator
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from deid_ros.offboard.evaluation.measures.catalogue import MEASURES, key
from deid_ros.offboard.evaluation.measures.figures import Figure

_COMPARISONS = {'>=': operator.ge, '<=': operator.le, '>': operator.gt, '<': operator.lt}
_GATE = re.compile(r'\s*(?P<measure>[^<>=]+?)\s*(?P<comparison>>=|<=|>|<)\s*(?P<limit>[^%\s]+)'
                   r'\s*(?P<percent>%?)\s*')


class Gate(NamedTuple):
    """A required limit of a measure; in percent for shares."""

    measure: str
    comparison: str
    limit: float

    def __str__(self) -> str:
        unit = MEASURES[self.measure].unit
        return f'{self.measure} {self.comparison} {self.limit:g}{" " + unit if unit else ""}'

    def failure(self, figures: Mapping[str, Figure]) -> str | None:
        """Return None if the gate holds, else why not.

        The gate of a measure that was not measured does not hold.
        """
        figure = figures.get(self.measure)
        if figure is None:
            return f'{self} is required, but {self.measure} was not measured'
        # NaN fails every comparison.
        if _COMPARISONS[self.comparison](figure.value, self.limit):
            return None
        return f'{self} is required, but {self.measure} is {figure.value:.4g} (N = {figure.count})'


def parse_gate(text: str) -> Gate:
    """Read a gate such as `deid>=0.95`, `DEID >= 95 %` or `yaw < 10`.

    Names are those of the tables. Case does not matter, and `-` or `_` may replace spaces.

    :raises ValueError: the text is not a gate, the measure is unknown (the message lists the known
        ones), or the limit of a share is neither within 0…1 nor given in percent.
    """
    match = _GATE.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is no requirement; write one like deid>=0.95, with one of '
                         f'{", ".join(_COMPARISONS)}')
    known = {key(name): name for name in MEASURES}
    name = known.get(key(match['measure']))
    if name is None:
        raise ValueError(f'there is no measure {match["measure"]!r}; known are '
                         f'{", ".join(sorted(known))}')
    try:
        limit = float(match['limit'])
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise ValueError(f'{text!r}: the limit must be a number')
    if MEASURES[name].is_share:
        limit *= 1 if match['percent'] else 100
        if not 0 <= limit <= 100:
            raise ValueError(f'{text!r}: {name} is a share; its limit is within 0…1, or 0 % to '
                             '100 %')
    elif match['percent'] and MEASURES[name].unit != '%':
        raise ValueError(f'{text!r}: {name} is not in percent')
    return Gate(name, match['comparison'], limit)


def failures(gates: Sequence[Gate], measured: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    """Return a sentence for each gate that does not hold.

    :param measured: figures by measure, by method or recording. Without any, no gate holds.
    """
    found = [f'{gate} is required, but nothing was measured' for gate in gates if not measured]
    for subject, figures in measured.items():
        found += [f'{subject}: {failure}' for gate in gates
                  if (failure := gate.failure(figures)) is not None]
    return found
