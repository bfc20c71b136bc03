# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The state of the node as `diagnostic_msgs/DiagnosticArray`."""

from typing import Any, Dict, List, Sequence, Tuple

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from deid_ros.node.statistics import Summary

# A camera that has been silent for so long is worth a warning, in seconds.
_SILENT = 3.0
# A frame at work for so long means that the detector or the anonymizer hangs, in seconds.
_STUCK = 10.0

# Outcomes of a frame that was not published as an anonymized image.
_FAILED = ('masked', 'withheld')

Problem = Tuple[bytes, str]


def status(name: str, problems: Sequence[Problem], fine: str, values: Dict[str, Any]
           ) -> DiagnosticStatus:
    """Return a status with the level of the worst problem, and all of them as its message."""
    level = max((problem[0] for problem in problems), default=DiagnosticStatus.OK)
    message = '; '.join(problem[1] for problem in problems) or fine
    return DiagnosticStatus(name=name, level=level, message=message, hardware_id='deid_ros',
                            values=[KeyValue(key=key, value=_text(value))
                                    for key, value in values.items()])


def camera_status(name: str, summary: Summary, is_subscribed: bool, publisher_count: int,
                  input_problem: str, leaks: Sequence[str]) -> DiagnosticStatus:
    """Return the status of one camera.

    :param is_subscribed: whether frames should arrive now.
    :param leaks: nodes that see the untreated images and were not allowed to.
    """
    problems = _failures(summary)
    if input_problem:
        problems.append((DiagnosticStatus.WARN, input_problem))
    elif not publisher_count:
        problems.append((DiagnosticStatus.WARN, 'nobody publishes the input'))
    elif is_subscribed and summary.seconds_since_arrival > _SILENT:
        problems.append((DiagnosticStatus.WARN,
                         'no image for more than {:g} s; if the camera runs, its images may be too '
                         'large for the middleware, see docs/integration.md'.format(_SILENT)))
    superseded, received = summary.new.get('superseded', 0), summary.new.get('received', 0)
    if superseded > received / 2:
        problems.append((DiagnosticStatus.WARN, 'overload: {} of {} frames superseded'.format(
            superseded, received)))
    if leaks:
        problems.append((DiagnosticStatus.WARN, 'leak: untreated images are also read by {}'.format(
            ', '.join(leaks))))
    fine = 'publishing' if is_subscribed else 'idle: nobody subscribes to an output'
    return status(name, problems, fine, _figures(summary))


def _failures(summary: Summary) -> List[Problem]:
    return [(DiagnosticStatus.ERROR, '{} frames {}'.format(number, key))
            for key, number in sorted(summary.new.items()) if key.startswith(_FAILED)]


def _figures(summary: Summary) -> Dict[str, Any]:
    figures = {
        'rate in (Hz)': summary.new.get('received', 0) / summary.seconds,
        'rate out (Hz)': summary.new.get('published', 0) / summary.seconds,
        'latency p50 (ms)': summary.latency_p50,
        'latency p95 (ms)': summary.latency_p95,
    }  # type: Dict[str, Any]
    for key in ('received', 'published', 'superseded', 'skipped', 'faces', 'held'):
        figures[key] = summary.totals.get(key, 0)
    for outcome in _FAILED:
        figures[outcome] = sum(number for key, number in summary.totals.items()
                               if key.startswith(outcome))
    figures.update((key, number) for key, number in sorted(summary.totals.items())
                   if key.startswith(_FAILED))
    return figures


def worker_problems(busy_seconds: float) -> List[Problem]:
    """Return what is wrong with the worker."""
    if busy_seconds < _STUCK:
        return []
    return [(DiagnosticStatus.ERROR, 'one frame has been at work for {:.0f} s: the detector or the '
             'anonymizer hangs; nothing is published meanwhile'.format(busy_seconds))]


def _text(value: Any) -> str:
    return '{:.2f}'.format(value) if isinstance(value, float) else str(value)
