# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import bag_command
import pytest


@pytest.fixture
def anonymize() -> Callable[..., int]:
    """The command in this process, with a detector that always sees the one face, and blur."""
    return bag_command.anonymize
