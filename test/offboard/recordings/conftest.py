# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import pytest


@pytest.fixture
def anonymize() -> Callable[..., int]:
    """The command in this process, with a detector that always sees the one face, and blur."""
    # Here, so that the tests are skipped, and not all of pytest fails, where packages are missing.
    import bag_command

    return bag_command.anonymize
