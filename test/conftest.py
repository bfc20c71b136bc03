# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Settings of all tests. pytest reads this file first, so also before anything imports rclpy."""

import os
import pathlib
import sys
from typing import Any, Iterator

import pytest
from hypothesis import HealthCheck, settings

# The modules that tests share. The pytest of Ubuntu 22.04 has no setting for it.
sys.path.insert(0, str(pathlib.Path(__file__).parent))

from missing import IN_CI, MUST_BE_THERE, package_missing_for  # noqa: E402

# Test runs beside each other, and whatever else this network holds, must not hear one another.
# Child processes inherit the domain, so the nodes of one run still meet; but the workers of
# pytest-xdist are child processes, too, and have to part.
if 'ROS_DOMAIN_ID' not in os.environ or 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
if 'PYTEST_XDIST_WORKER' in os.environ:
    # Torch would take all cores in each worker; more threads than cores are many times slower.
    os.environ.setdefault('OMP_NUM_THREADS', '1')
# The first is for Iron and later, the second for Humble.
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
os.environ.setdefault('ROS_LOCALHOST_ONLY', '1')

# Time limits of single examples say nothing on a busy machine.
settings.register_profile('default', deadline=None, max_examples=100, print_blob=True,
                          suppress_health_check=[HealthCheck.too_slow])
# The same examples in every run: a red build must mean that a change broke something.
settings.register_profile('ci', settings.get_profile('default'), derandomize=True, database=None)
settings.load_profile('ci' if IN_CI else 'default')


# A test that lacks a package is skipped, with the package's name: in a workspace, `colcon test`
# finds what package.xml lists, which is less than the extra `test`. In CI, it is an error.


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: Any) -> Iterator[None]:
    report = (yield).get_result()
    reason = report.failed and package_missing_for(report.call.excinfo.value.__cause__)
    _skip_instead(report, collector, reason)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:
    report = (yield).get_result()
    reason = report.failed and package_missing_for(call.excinfo.value)
    _skip_instead(report, item, reason)


def _skip_instead(report: Any, node: Any, reason: str) -> None:
    if reason and not MUST_BE_THERE:
        report.outcome = 'skipped'
        report.longrepr = (str(node.fspath), 0, 'Skipped: ' + reason)
