# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is missing: pip install -e ".[jazzy,test]"')

import rclpy
from ros_rig import FixedDetector, Rig

from deid_ros.node import deid_node


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Most tests wait for the diagnostics.
    monkeypatch.setattr(deid_node, '_DIAGNOSTICS_PERIOD', 0.2)
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> FixedDetector:
    """The detector of every node made in this test."""
    fixed = FixedDetector()
    monkeypatch.setattr('deid_ros.core.parameters.make_detector',
                        lambda names, model_path: fixed)
    return fixed


@pytest.fixture
def make_rig(ros: None, detector: FixedDetector) -> Iterator[Callable[..., Rig]]:
    """Make nodes with the given parameters, configured and active."""
    rigs = []

    def make(activate: bool = True, **parameters: object) -> Rig:
        # The chain is slower, and has tests of its own; test_street flies with the defaults.
        # The fake detector sees its face in whatever picture it is shown, so it looks once.
        parameters = {'deid__method': 'blur', 'detector__width': 640, **parameters}
        rig = Rig({name.replace('__', '.'): value for name, value in parameters.items()})
        rigs.append(rig)
        if activate:
            rig.activate()
        return rig

    yield make
    for rig in rigs:
        rig.close()
