# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from deid_ros.offboard.maintenance import parameter_docs

PAGE = Path(__file__).parents[3] / 'docs' / 'parameters.md'


def test_the_page_is_what_the_declarations_say():
    assert PAGE.read_text(encoding='utf-8') == parameter_docs.markdown(), (
        'run: python -m deid_ros.offboard.maintenance.parameter_docs > docs/parameters.md')
