# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The flight's figures as a short table."""

from collections.abc import Sequence

import numpy as np

from deid_ros.offboard.common.recognition import SAME_PERSON
from deid_ros.offboard.demo.flight import FlightLog
from deid_ros.offboard.demo.verification import Findings


def table(log: FlightLog, findings: Findings) -> str:
    """Return the table, ready to print."""
    figures = log.figures
    treated = sum(len(report['faces']) for report in log.reports.values())
    held = sum(face.get('held', False) for report in log.reports.values()
               for face in report['faces'])
    in_node = [report['milliseconds']['total'] for report in log.reports.values()
               if report['status'] == 'published']
    rows = [
        ('detector, method', f'{figures.get("detector")}, {figures.get("method")}'),
        ('frames sent', f'{len(log.sent)}'),
        ('frames received by the node', figures.get('received', '?')),
        ('  superseded by a newer one', figures.get('superseded', '?')),
        ('  withheld', figures.get('withheld', '?')),
        ('frames published, anonymized', f'{len(log.received)}'),
        ('faces treated', f'{treated}'),
        ('  held: missed by the detector', f'{held}'),
        ('faces known to be there', f'{findings.known_faces}'),
        ('latency, camera to consumer', _percentiles(log.latencies)),
        ('  of it inside the node', _percentiles(in_node)),
        (f'faces compared, in {findings.compared_frames} frames', f'{len(findings.distances)}'),
        ('  dlib distance to the original', _distances(findings.distances)),
        (f'  another person (beyond {SAME_PERSON})', _share_beyond(findings.distances)),
        ('  still a face for dlib', _share(findings.still_faces, len(findings.distances))),
    ]
    width = max(len(name) for name, _ in rows)
    return '\n'.join(f'{name:<{width}}  {value}' for name, value in rows)


def _percentiles(milliseconds: Sequence[float]) -> str:
    if not milliseconds:
        return '-'
    return 'p50 {:.0f} ms, p95 {:.0f} ms'.format(*np.percentile(milliseconds, (50, 95)))


def _distances(distances: Sequence[float]) -> str:
    if not distances:
        return '-'
    return f'min {min(distances):.2f}, median {np.median(distances):.2f}'


def _share_beyond(distances: Sequence[float]) -> str:
    return _share(sum(distance > SAME_PERSON for distance in distances), len(distances))


def _share(part: int, whole: int) -> str:
    return f'{100 * part / whole:.0f} %' if whole else '-'
