# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Gates: what holds, what does not, what is no gate."""

import math

import pytest

from deid_ros.offboard.evaluation.gates import Gate, failures, parse_gate
from deid_ros.offboard.evaluation.measures.figures import Figure


def _figure(value, unit='%'):
    return Figure(value, value, value, 100, unit)


@pytest.mark.parametrize(('text', 'gate'), [
    ('deid>=0.95', Gate('DEID', '>=', 95)),
    (' DEID >= 95 % ', Gate('DEID', '>=', 95)),
    ('re-id-rank-1<0.05', Gate('re-id rank-1', '<', 5)),
    ('LEAK_crowd<=7.9%', Gate('LEAK crowd', '<=', 7.9)),
    ('smile, originals > 0.8', Gate('smile, originals', '>', 80)),
    ('re-id tar at far 0.01<=0.1', Gate('re-id TAR at FAR 0.01', '<=', 10)),
    ('anon>=39', Gate('ANON', '>=', 39)),
    ('yaw<10', Gate('yaw', '<', 10)),
    ('landmarks<12%', Gate('landmarks', '<', 12)),
    ('outside-psnr>=60', Gate('outside PSNR', '>=', 60)),
])
def test_gates_are_read(text, gate):
    read = parse_gate(text)
    assert read[:2] == gate[:2]
    assert read.limit == pytest.approx(gate.limit)


@pytest.mark.parametrize(('text', 'message'), [
    ('deid', 'write one like deid>=0.95'),
    ('deid=0.95', 'write one like deid>=0.95'),
    ('deid==0.95', 'limit must be a number|write one'),
    ('dead>=0.95', "no measure 'dead'; known are .*deid.*fcns"),
    ('deid>=95', 'within 0…1'),
    ('deid>=120%', 'within 0…1'),
    ('deid>=-0.1', 'within 0…1'),
    ('deid>=nan', 'must be a number'),
    ('deid>=inf', 'must be a number'),
    ('deid>=high', 'must be a number'),
    ('anon>=39%', 'not in percent'),
    ('', 'no requirement'),
])
def test_what_is_no_gate(text, message):
    with pytest.raises(ValueError, match=message):
        parse_gate(text)


@pytest.mark.parametrize(('text', 'value', 'holds'), [
    ('deid>=0.95', 95.0, True),
    ('deid>=0.95', 94.9, False),
    ('deid>0.95', 95.0, False),
    ('deid<=0.95', 95.0, True),
    ('deid<0.95', 95.0, False),
    ('deid>=0', math.nan, False),
    ('deid<=1', math.nan, False),
])
def test_limits(text, value, holds):
    assert (parse_gate(text).failure({'DEID': _figure(value)}) is None) == holds


def test_failure_names_measure_value_and_limit():
    failure = parse_gate('deid>=0.95').failure({'DEID': _figure(93.21)})
    assert failure == 'DEID >= 95 % is required, but DEID is 93.21 (N = 100)'


def test_what_was_not_measured_does_not_hold():
    gates = [parse_gate('deid>=0.9'), parse_gate('anon>=2')]
    assert failures(gates, {'one': {'DEID': _figure(95.0)}}) == [
        'one: ANON >= 2 faces is required, but ANON was not measured']
    assert len(failures(gates, {})) == 2
    assert failures([], {}) == []


def test_each_subject_must_hold():
    measured = {'good': {'DEID': _figure(95.0)}, 'bad': {'DEID': _figure(5.0)}}
    failed = failures([parse_gate('deid>=0.9')], measured)
    assert len(failed) == 1
    assert failed[0].startswith('bad: DEID >= 90 %')
