# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the core says in Python's log, such as what it waits for, in the log of the node."""

import logging
from typing import Any

_CORE = 'deid_ros.core'


class CoreLog(logging.Handler):
    """Hands the core's messages from INFO on to a ROS logger until `detach` is called."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger
        core = logging.getLogger(_CORE)
        core.setLevel(logging.INFO)
        core.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        # rclpy tells calls apart by their line, and lets none change its level.
        message = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._logger.error(message)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(message)
        else:
            self._logger.info(message)

    def detach(self) -> None:
        """Hand on nothing more."""
        logging.getLogger(_CORE).removeHandler(self)
