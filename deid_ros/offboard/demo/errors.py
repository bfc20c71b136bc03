# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Why the demo cannot go on."""


class DemoError(Exception):
    """The message is meant for the user and says what to do."""
